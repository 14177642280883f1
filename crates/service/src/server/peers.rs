//! How many connections each address has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// The addresses that have connections. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    most: usize,
    connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Peers {
    /// Each address may have `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self { most, connections: Arc::default() }
    }

    /// A place for one more connection, given back when dropped; `None` when the address has all it may have.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connections.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { address, peers: self.clone() })
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    peers: Peers,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.peers.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = connections.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.address);
            }
        }
    }
}
