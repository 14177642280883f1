//! How many requests of a connection are in flight: from their head to the last of their answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;

/// The requests of one connection. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(watch::Sender<usize>);

impl Activity {
    /// A request begins; it ends when the guard is dropped.
    pub(super) fn begin(&self) -> InFlight {
        self.0.send_modify(|requests| *requests += 1);
        InFlight(self.clone())
    }

    /// Waits until there was no request for so long.
    pub(super) async fn silent_for(&self, time: Duration) {
        let mut requests = self.0.subscribe();
        loop {
            requests.wait_for(|requests| *requests == 0).await.expect("the sender is borrowed");
            tokio::select! {
                () = tokio::time::sleep(time) => return,
                _ = requests.changed() => {}
            }
        }
    }
}

/// A request that is in flight.
#[derive(Debug)]
pub(super) struct InFlight(Activity);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.send_modify(|requests| *requests -= 1);
    }
}

/// The body of an answer, with which its request ends.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _request: InFlight,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
