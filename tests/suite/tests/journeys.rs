//! What people do with Drover, from one end to the other: real pods on a real node.

mod journeys {
    mod cancelling;
    mod cli;
    mod conversations;
    mod disruptions;
    mod endings;
    mod guards;
    mod handing_back;
    mod pending;
    mod retries;
    mod rights;
    mod secrets;
    mod store;
    mod upheavals;
}
