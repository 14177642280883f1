//! A log stream that outlives its connections: every event once, in order.

use std::time::Duration;

use drover_api::log::{Event, EventId};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    Error,
    client::{Gateway, SessionRef},
    sse::{Decoder, Message},
};

/// A stream that is silent for so long is taken for dead; the gateway sends comments in between.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// The first pause before connecting again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the gateway may be away before the log is given up.
const PATIENCE: Duration = Duration::from_secs(120);

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
    stream: Option<(Incoming, Decoder)>,
    /// The gateway said that nothing follows, and whether the log is complete.
    ended: Option<bool>,
    /// Whether the gateway ever answered: before that, an error is final.
    answered: bool,
    /// How long to wait before the next connection; nothing after an event came.
    pause: Duration,
    /// Since when no connection succeeds.
    failing_since: Option<Instant>,
}

impl<'a> Follow<'a> {
    /// Follows the log of `session` from the event after `after`.
    pub(crate) fn new(gateway: &'a Gateway, session: SessionRef<'a>, after: EventId) -> Self {
        Self {
            gateway,
            session,
            after,
            stream: None,
            ended: None,
            answered: false,
            pause: Duration::ZERO,
            failing_since: None,
        }
    }

    /// The next step. An error is final: what the gateway refuses, or its absence for two minutes.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        loop {
            if let Some(complete) = self.ended {
                return Ok(Step::End { complete });
            }
            let Some((mut body, mut decoder)) = self.stream.take() else {
                if let Some(error) = self.connect().await? {
                    return Ok(Step::Interrupted(error));
                }
                continue;
            };
            // A failed, silent or finished stream is not put back, so the next turn connects again.
            let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE_LIMIT, body.frame()).await else { continue };
            let bytes = frame.into_data().unwrap_or_default();
            let messages = decoder.feed(&bytes).map_err(|error| Error::Protocol(error.to_string()))?;
            self.stream = Some((body, decoder));
            let events = self.take(messages)?;
            if !events.is_empty() {
                self.pause = Duration::ZERO;
                return Ok(Step::Events(events));
            }
        }
    }

    /// Connects after the pause that is due; gives back the error that begins an outage.
    async fn connect(&mut self) -> Result<Option<Error>, Error> {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        match self.gateway.stream(self.session, self.after).await {
            Ok(body) => {
                self.stream = Some((body, Decoder::default()));
                self.failing_since = None;
                self.answered = true;
                Ok(None)
            }
            Err(error) if !self.answered || !error.is_transient() => Err(error),
            Err(error) => match self.failing_since {
                Some(since) if since.elapsed() > PATIENCE => Err(error),
                Some(_) => Ok(None),
                None => {
                    self.failing_since = Some(Instant::now());
                    Ok(Some(error))
                }
            },
        }
    }

    /// The events among `messages` that were not handed out before, and whether the log ended with them.
    fn take(&mut self, messages: Vec<Message>) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        for message in messages {
            match message.event.as_str() {
                "end" => self.ended = Some(is_complete(&message.data)),
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

/// Whether the gateway sent everything. It says so unless the Session was deleted.
fn is_complete(data: &str) -> bool {
    #[derive(Deserialize)]
    struct End {
        complete: bool,
    }
    serde_json::from_str(data).map_or(true, |end: End| end.complete)
}
