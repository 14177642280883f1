//! Between the threads that read and write files, and the connection to the gateway: bytes in both directions, of which
//! only a few pieces are held.

use std::{
    io::{self, Read, Write},
    task::{Poll, ready},
};

use bytes::{Buf, Bytes};
use futures::Stream;
use tokio::sync::mpsc;

/// The size of a piece on its way out.
const PIECE: usize = 64 * 1024;
/// How many pieces are held.
const PIECES: usize = 2;

enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// Where a thread writes what is sent.
pub(super) struct Sink {
    sender: mpsc::Sender<Piece>,
    piece: Vec<u8>,
}

/// A sink, and what is written to it as a body. The body ends properly only when the sink was [ended](Sink::end); in
/// any other case it fails, so that nobody takes a part for the whole.
pub(super) fn sink() -> (Sink, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (sender, mut pieces) = mpsc::channel(PIECES);
    let mut over = false;
    let body = futures::stream::poll_fn(move |context| {
        if over {
            return Poll::Ready(None);
        }
        let piece = ready!(pieces.poll_recv(context));
        over = !matches!(piece, Some(Piece::Bytes(_)));
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(bytes.into())),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::other("the archive was not finished"))),
        })
    });
    (Sink { sender, piece: Vec::with_capacity(PIECE) }, body)
}

impl Sink {
    /// Says that all was written.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        let length = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.send(Piece::Bytes(piece))
    }
}

/// Where a thread reads what comes. It ends when the sender is gone, for whatever reason.
pub(super) struct Source {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

/// A source, and where to send what it is to give.
pub(super) fn source() -> (mpsc::Sender<Bytes>, Source) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (sender, Source { receiver, piece: Bytes::new() })
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
