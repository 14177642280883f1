//! What can go wrong in a Session's life, at every place where it can.

mod faults {
    mod conversations;
    mod deaths;
    mod endings;
    mod life;
    mod lives;
    mod refusals;
    mod watches;
}
