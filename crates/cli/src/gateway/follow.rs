//! A log stream that outlives its connections: every event once, in order.

use std::time::Duration;

use drover_api::log::{Event, EventId};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    Error,
    client::{Gateway, SessionRef, problem_text},
    sse::{Decoder, Message},
};

/// A stream that is silent for so long is taken for dead; the gateway sends comments in between.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// The first pause before connecting again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the gateway may be away before the log is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// A connection on which something came for so long was a good one, though it brought no event: the agent may have
/// nothing to say.
const STEADY: Duration = Duration::from_secs(10);

/// What happened next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Events came; at least one.
    Events(Vec<Event>),
    /// The stream broke and could not be taken up at once. It is tried again.
    Interrupted(Error),
    /// Nothing follows: the log is complete, or else the Session was deleted.
    End {
        /// Whether everything was sent.
        complete: bool,
    },
}

/// The log of one Session, from an event on.
pub(crate) struct Follow<'a> {
    gateway: &'a Gateway,
    session: SessionRef<'a>,
    /// The last event that was handed out.
    after: EventId,
    stream: Option<Stream>,
    /// The gateway said that nothing follows.
    ended: Option<Ended>,
    /// Whether the gateway ever answered: before that, an error is final.
    answered: bool,
    outage: Outage,
}

struct Stream {
    body: Incoming,
    decoder: Decoder,
    since: Instant,
    /// When something came last, a comment too.
    heard: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// The log's end, and whether everything was sent.
    Log { complete: bool },
    /// What went wrong, in the gateway's words.
    Problem(String),
}

impl<'a> Follow<'a> {
    /// Follows the log of `session` from the event after `after`.
    pub(crate) fn new(gateway: &'a Gateway, session: SessionRef<'a>, after: EventId) -> Self {
        Self { gateway, session, after, stream: None, ended: None, answered: false, outage: Outage::default() }
    }

    /// The next step. An error is final: what the gateway refuses, or its absence for two minutes.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        loop {
            match self.ended.take() {
                Some(Ended::Log { complete }) => return Ok(Step::End { complete }),
                Some(Ended::Problem(text)) => return Err(Error::Problem(text)),
                None => {}
            }
            let Some(mut stream) = self.stream.take() else {
                if let Some(error) = self.connect().await? {
                    return Ok(Step::Interrupted(error));
                }
                continue;
            };
            // A failed, silent or finished stream is not put back, so the next turn connects again.
            let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE_LIMIT, stream.body.frame()).await else {
                if let Some(error) = self.outage.stream_ended(stream.heard - stream.since)? {
                    return Ok(Step::Interrupted(error));
                }
                continue;
            };
            stream.heard = Instant::now();
            let bytes = frame.into_data().unwrap_or_default();
            let messages = stream.decoder.feed(&bytes).map_err(|error| Error::Protocol(error.to_string()))?;
            self.stream = Some(stream);
            let events = self.take(messages)?;
            if !events.is_empty() {
                self.outage.is_over();
                return Ok(Step::Events(events));
            }
        }
    }

    /// Connects after the pause that is due; gives back the error that begins an outage.
    async fn connect(&mut self) -> Result<Option<Error>, Error> {
        tokio::time::sleep(self.outage.pause()).await;
        match self.gateway.stream(self.session, self.after).await {
            Ok(body) => {
                let now = Instant::now();
                self.stream = Some(Stream { body, decoder: Decoder::default(), since: now, heard: now });
                self.answered = true;
                Ok(None)
            }
            Err(error) if !self.answered || !error.is_transient() => Err(error),
            Err(error) => self.outage.goes_on(error),
        }
    }

    /// The events among `messages` that were not handed out before, and whether the log ended with them.
    fn take(&mut self, messages: Vec<Message>) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        for message in messages {
            match message.event.as_str() {
                "end" => self.ended = Some(Ended::Log { complete: is_complete(&message.data) }),
                "problem" => {
                    let text = problem_text(StatusCode::INTERNAL_SERVER_ERROR, message.data.as_bytes());
                    self.ended = Some(Ended::Problem(text));
                }
                "agent" | "tool" | "hook" | "system" | "error" => {
                    let event: Event = serde_json::from_str(&message.data)
                        .map_err(|error| Error::Protocol(format!("an event of the log: {error}")))?;
                    if event.id > self.after {
                        self.after = event.id;
                        events.push(event);
                    }
                }
                // A kind of event that a newer gateway sends.
                _ => {}
            }
        }
        Ok(events)
    }
}

/// A time in which no connection brings anything.
#[derive(Debug, Default)]
struct Outage {
    since: Option<Instant>,
    /// How long to wait before the next connection; nothing after an event came.
    pause: Duration,
    /// The present connection brought an event.
    fruitful: bool,
}

impl Outage {
    /// An event came.
    fn is_over(&mut self) {
        *self = Self { fruitful: true, ..Self::default() };
    }

    /// The pause before the connection that comes next.
    fn pause(&mut self) -> Duration {
        self.fruitful = false;
        let next = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        std::mem::replace(&mut self.pause, next)
    }

    /// A connection broke before the log's end, on which something came for so long.
    fn stream_ended(&mut self, alive: Duration) -> Result<Option<Error>, Error> {
        if alive >= STEADY {
            *self = Self::default();
            return Ok(None);
        }
        if self.fruitful { Ok(None) } else { self.goes_on(Error::NothingCame) }
    }

    /// Gives back the error that begins the outage; fails with that which comes after [`PATIENCE`].
    fn goes_on(&mut self, error: Error) -> Result<Option<Error>, Error> {
        match self.since {
            Some(since) if since.elapsed() > PATIENCE => Err(error),
            Some(_) => Ok(None),
            None => {
                self.since = Some(Instant::now());
                Ok(Some(error))
            }
        }
    }
}

/// Whether the gateway sent everything. It says so unless the Session was deleted.
fn is_complete(data: &str) -> bool {
    #[derive(Deserialize)]
    struct End {
        complete: bool,
    }
    serde_json::from_str(data).map_or(true, |end: End| end.complete)
}

#[cfg(test)]
mod tests;
