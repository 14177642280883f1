//! What people do with Drover, from one end to the other: real pods on a real node.

mod journeys {
    mod cli;
    mod endings;
    mod guards;
    mod handing_back;
    mod pending;
    mod rights;
    mod secrets;
    mod upheavals;
}
