//! The agent's output: from its pipes to lines of the log, and to what it said in its turn.

mod json;
mod splitter;
mod tail;

use std::{
    io,
    process::{ChildStderr, ChildStdout},
};

use drover_api::{
    framework::OutputFormat,
    log::{Kind, Stream},
    runner::{Output, TurnEnd},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    sync::{mpsc, watch},
    task::JoinSet,
};

use json::JsonReader;
use splitter::Splitter;
use tail::Tail;

/// The longest result and the longest question that the broker takes, in bytes.
const MAX_SAID: usize = 4 * 1024;
/// How much is read at once, in bytes.
const READ: usize = 16 * 1024;

/// Both pipes of the agent, being read.
#[derive(Debug)]
pub(super) struct Pipes {
    readers: JoinSet<TurnEnd>,
    stop: watch::Sender<bool>,
    said: TurnEnd,
}

impl Pipes {
    /// Begins to read; the lines go to `lines`, which may make the agent wait.
    pub(super) fn read(
        stdout: ChildStdout,
        stderr: ChildStderr,
        format: &OutputFormat,
        lines: &mpsc::Sender<Output>,
    ) -> io::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let stdout = Receiver::from_owned_fd(stdout.into())?;
        let stderr = Receiver::from_owned_fd(stderr.into())?;
        let mut readers = JoinSet::new();
        readers.spawn(read(stdout, Reader::of_stdout(format), lines.clone(), stopping.clone()));
        readers.spawn(read(stderr, Reader::of_stderr(), lines.clone(), stopping));
        Ok(Self { readers, stop, said: TurnEnd::default() })
    }

    /// What the agent said, once both pipes are closed and all lines are handed on. May be cancelled and called again.
    pub(super) async fn ended(&mut self) -> TurnEnd {
        while let Some(read) = self.readers.join_next().await {
            // Of standard error nothing is known but its lines.
            if let Ok(said) = read
                && said != TurnEnd::default()
            {
                self.said = said;
            }
        }
        self.said.clone()
    }

    /// From now on an empty pipe counts as closed.
    pub(super) fn stop_when_empty(&self) {
        self.stop.send_replace(true);
    }
}

async fn read(
    mut pipe: Receiver,
    mut reader: Reader,
    lines: mpsc::Sender<Output>,
    mut stop: watch::Receiver<bool>,
) -> TurnEnd {
    let mut buffer = vec![0; READ];
    loop {
        let mut pieces = Vec::new();
        let read = tokio::select! {
            // First what is there, then the stop.
            biased;
            read = pipe.read(&mut buffer) => read.unwrap_or(0),
            _ = stop.wait_for(|stop| *stop) => 0,
        };
        if read == 0 {
            reader.end(&mut pieces);
        } else {
            reader.push(&buffer[..read], &mut pieces);
        }
        for piece in pieces {
            if lines.send(piece).await.is_err() {
                return TurnEnd::default();
            }
        }
        if read == 0 {
            return reader.said();
        }
    }
}

/// Makes lines of the log of one stream, and finds in it what the agent says.
#[derive(Debug)]
enum Reader {
    /// Nothing is found.
    Lines(Splitter),
    /// The last lines are what the agent says.
    Text(Splitter, Tail),
    /// JSON lines say it.
    Json(Box<JsonReader>),
}

impl Reader {
    fn of_stdout(format: &OutputFormat) -> Self {
        match format {
            OutputFormat::Text => Self::Text(Splitter::new(Kind::Agent, Stream::Stdout), Tail::default()),
            OutputFormat::JsonLines(pointers) => Self::Json(Box::new(JsonReader::new(pointers))),
        }
    }

    const fn of_stderr() -> Self {
        Self::Lines(Splitter::new(Kind::Agent, Stream::Stderr))
    }

    /// Adds bytes; what became whole goes to `pieces`.
    fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Output>) {
        match self {
            Self::Lines(splitter) => splitter.push(bytes, pieces),
            Self::Text(splitter, tail) => {
                let before = pieces.len();
                splitter.push(bytes, pieces);
                tail.add(&pieces[before..]);
            }
            Self::Json(reader) => reader.push(bytes, pieces),
        }
    }

    /// Ends a line that has no end.
    fn end(&mut self, pieces: &mut Vec<Output>) {
        match self {
            Self::Lines(splitter) => splitter.end(pieces),
            Self::Text(splitter, tail) => {
                let before = pieces.len();
                splitter.end(pieces);
                tail.add(&pieces[before..]);
            }
            Self::Json(reader) => reader.end(pieces),
        }
    }

    /// What the agent said so far.
    fn said(&self) -> TurnEnd {
        match self {
            Self::Lines(_) => TurnEnd::default(),
            Self::Text(_, tail) => TurnEnd { result: tail.lines(), ..TurnEnd::default() },
            Self::Json(reader) => reader.said(),
        }
    }
}
