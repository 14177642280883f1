//! What can go wrong in a Session's life, at every place where it can.

mod faults {
    mod deaths;
    mod life;
    mod refusals;
    mod watches;
}
