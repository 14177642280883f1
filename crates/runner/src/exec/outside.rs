//! What ends the agent from outside: a signal, the broker, the deadline.

use std::{future::poll_fn, io, task::Poll};

use drover_api::runner::Termination;
use nix::unistd::{Pid, getpid};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Instant, sleep_until},
};

/// By which a container is asked to stop unless its image says otherwise, and by which people stop a program.
const ASKED: [SignalKind; 2] = [SignalKind::terminate(), SignalKind::interrupt()];
/// What else images name as STOPSIGNAL. To a program that is not the first process they mean something else.
const ASKED_AS_FIRST_PROCESS: [SignalKind; 6] = [
    SignalKind::quit(),
    SignalKind::hangup(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
    SignalKind::window_change(),
    // SIGRTMIN+3, as container runtimes count it.
    SignalKind::from_raw(37),
];

/// Why the agent has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The container was asked to stop.
    Signal,
    /// The broker says so, or there is none any more.
    Broker(Termination),
    /// The time is over.
    Deadline,
}

/// Everything that can end the agent.
#[derive(Debug)]
pub(super) struct Outside {
    signals: Vec<Signal>,
    broker: watch::Receiver<Option<Termination>>,
    deadline: Instant,
}

impl Outside {
    /// Made before anything is started, so that no signal is missed.
    pub(super) fn new(broker: watch::Receiver<Option<Termination>>, deadline: Instant) -> io::Result<Self> {
        let first = getpid() == Pid::from_raw(1);
        let more = if first { ASKED_AS_FIRST_PROCESS.as_slice() } else { &[] };
        let signals = ASKED.iter().chain(more).map(|kind| signal(*kind)).collect::<io::Result<_>>()?;
        Ok(Self { signals, broker, deadline })
    }

    /// Over when the agent has to end. May be cancelled and called again.
    pub(super) async fn end(&mut self) -> Cause {
        let deadline = self.deadline;
        tokio::select! {
            biased;
            cause = self.stopped() => cause,
            () = sleep_until(deadline) => Cause::Deadline,
        }
    }

    /// Over when somebody wants an end, whatever the time.
    pub(super) async fn stopped(&mut self) -> Cause {
        let Self { signals, broker, deadline: _ } = self;
        tokio::select! {
            biased;
            () = any(signals) => Cause::Signal,
            termination = told(broker) => Cause::Broker(termination),
        }
    }

    /// What `work` comes to, unless the agent has to end before.
    pub(super) async fn unless_over<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Cause> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            cause = self.end() => Err(cause),
        }
    }
}

async fn any(signals: &mut [Signal]) {
    poll_fn(|context| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if came { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn told(broker: &mut watch::Receiver<Option<Termination>>) -> Termination {
    match broker.wait_for(Option::is_some).await.map(|termination| termination.clone()) {
        Ok(Some(termination)) => termination,
        // Nobody is there to say anything.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}
