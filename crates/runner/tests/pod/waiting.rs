//! What ends `exec` from outside, whatever it waits for: a signal, the broker, the want of one, the deadline.

use std::{fs, time::Duration};

use drover_api::{log::Kind, runner::Termination, state::Reason};
use nix::sys::signal::Signal;
use tokio::{process::Command, time::Instant};

use crate::{
    broker::{Broker, turn},
    harness::{Pod, RUNNER, Running, plain, unshare},
};

/// An agent that does not go when it is asked.
const STUBBORN: &str = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done";
/// An end takes the agent's grace of 3 s, and some moments.
const AT_ONCE: Duration = Duration::from_secs(2);
const WITH_GRACE: Duration = Duration::from_secs(5);

/// `exec` that gives the broker up after `away` seconds.
fn impatient(pod: &Pod, away: u64, argv: &[&str]) -> Running {
    let mut command = Command::new(RUNNER);
    command.args(pod.exec_words(600, &plain(argv))).arg(format!("--away={away}"));
    pod.start(command)
}

fn pod_deleted() -> Termination {
    Termination { reason: Reason::PodDeleted, message: "the pod was asked to stop".to_owned() }
}

async fn waiting(pod: &Pod) -> (Broker, Running) {
    let broker = Broker::up(pod, [turn("prompt", "echo one")]);
    broker.change(|held| held.interactive = true);
    let exec = pod.exec(600, &["sh", "{promptFile}"]);
    drop(broker.until(|held| held.ended.len() == 1 && held.asked_for_stop == 1).await);
    (broker, exec)
}

#[tokio::test]
async fn a_message_may_come_late() {
    let pod = Pod::new(&[]);
    let (broker, mut exec) = waiting(&pod).await;
    broker.change(|held| held.turns.push_back(turn("late", "echo two")));
    drop(broker.until(|held| held.ended.len() == 2).await);
    broker.change(|held| held.interactive = false);
    assert_eq!(exec.code().await, 0);
    assert_eq!(broker.held.borrow().lines(Kind::Agent), ["one", "two"]);
}

#[tokio::test]
async fn a_signal_ends_the_waiting_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let pod = Pod::new(&[]);
        let (broker, mut exec) = waiting(&pod).await;
        let start = Instant::now();
        exec.signal(signal);
        assert_eq!(exec.code().await, 143);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        assert_eq!(pod.termination(), Some(pod_deleted()));
        let held = broker.held.borrow();
        // The broker is asked to stop as well, and does the rest alone.
        assert_eq!(held.finished, 0);
        assert_eq!(held.lines(Kind::System).last().unwrap(), "the pod was asked to stop");
    }
}

#[tokio::test]
async fn a_signal_ends_the_turn() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", STUBBORN)]);
    let mut exec = pod.exec(600, &["sh", "{promptFile}"]);
    drop(broker.until(|held| held.lines(Kind::Agent) == ["ready"]).await);
    let start = Instant::now();
    assert_eq!(exec.terminate().await, 137);
    assert!(start.elapsed() < WITH_GRACE, "{:?}", start.elapsed());
    assert_eq!(pod.termination(), Some(pod_deleted()));
    let held = broker.held.borrow();
    assert_eq!((held.ended.len(), held.finished), (0, 0));
    assert!(held.lines(Kind::Agent).contains(&"asked".to_owned()));
    let last = ["turn prompt was cut short: the agent was ended by SIGKILL", "the pod was asked to stop"];
    assert_eq!(held.lines(Kind::System)[1..], last);
}

/// An agent that ends well because it was asked to has not dealt with its message.
#[tokio::test]
async fn an_end_that_was_asked_for_is_never_a_good_one() {
    let pod = Pod::new(&[]);
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    let broker = Broker::up(&pod, [turn("prompt", script)]);
    let mut exec = pod.exec(600, &["sh", "{promptFile}"]);
    drop(broker.until(|held| held.lines(Kind::Agent) == ["ready"]).await);
    assert_eq!(exec.terminate().await, 143);
    assert_eq!((broker.held.borrow().ended.len(), pod.termination()), (0, Some(pod_deleted())));
}

#[tokio::test]
async fn the_broker_ends_the_agent_and_the_waiting() {
    let lost = Termination { reason: Reason::ReportingLost, message: "the gateway did not answer".to_owned() };
    let pod = Pod::new(&[]);
    let (broker, mut exec) = waiting(&pod).await;
    broker.change(|held| held.stop = Some(lost.clone()));
    assert_eq!(exec.code().await, 143);
    assert_eq!(pod.termination(), Some(lost.clone()));
    assert_eq!(broker.held.borrow().lines(Kind::Error), ["the gateway did not answer"]);

    let broker = Broker::up(&pod, [turn("prompt", STUBBORN)]);
    let mut exec = pod.exec(600, &["sh", "{promptFile}"]);
    drop(broker.until(|held| held.lines(Kind::Agent) == ["ready"]).await);
    let start = Instant::now();
    broker.change(|held| held.stop = Some(lost.clone()));
    assert_eq!(exec.code().await, 137);
    assert!(start.elapsed() < WITH_GRACE, "{:?}", start.elapsed());
    assert_eq!((pod.termination(), broker.held.borrow().finished), (Some(lost), 0));
}

#[tokio::test]
async fn the_broker_can_end_what_has_not_begun() {
    let failed = Termination { reason: Reason::RestoreFailed, message: "the archive is broken".to_owned() };
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, []);
    broker.change(|held| (held.interactive, held.stop) = (true, Some(failed.clone())));
    assert_eq!(pod.exec(600, &["true"]).code().await, 143);
    assert_eq!(pod.termination(), Some(failed));
    assert!(broker.held.borrow().output.is_empty());
}

#[tokio::test]
async fn the_want_of_a_broker_ends_the_agent() {
    let pod = Pod::new(&[]);
    // Before it came, while an agent runs, and while there is nothing to do.
    let mut exec = impatient(&pod, 1, &["true"]);
    assert_eq!(exec.code().await, 143);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::BrokerLost);
    assert!(termination.message.contains("did not answer for 1 s"), "{}", termination.message);

    for script in ["echo ready; touch began; exec sleep 1000", "echo ready; touch began"] {
        fs::write(pod.path("termination"), "").unwrap();
        let mut broker = Broker::up(&pod, [turn("prompt", script)]);
        broker.change(|held| held.interactive = true);
        let mut exec = impatient(&pod, 1, &["sh", "{promptFile}"]);
        let asked = |held: &crate::broker::Held| held.asked_for_stop == 1;
        drop(broker.until(|held| held.lines(Kind::Agent) == ["ready"] && asked(held)).await);
        broker.go();
        assert_eq!(exec.code().await, 143);
        assert_eq!(pod.termination().unwrap().reason, Reason::BrokerLost);
    }
}

#[tokio::test]
async fn a_broker_that_is_away_for_a_moment_is_not_lost() {
    let pod = Pod::new(&[]);
    let mut broker = Broker::up(&pod, [turn("prompt", "echo one")]);
    broker.change(|held| held.interactive = true);
    let mut exec = impatient(&pod, 30, &["sh", "{promptFile}"]);
    for away in 1..=2 {
        drop(broker.until(|held| held.ended.len() == 1 && held.asked_for_stop == away).await);
        broker.go();
        broker.start(&pod);
    }
    broker.change(|held| held.turns.push_back(turn("late", "echo two")));
    drop(broker.until(|held| held.ended.len() == 2).await);
    broker.change(|held| held.interactive = false);
    assert_eq!(exec.code().await, 0);
    assert_eq!(broker.held.borrow().lines(Kind::Agent), ["one", "two"]);
}

#[tokio::test]
async fn the_deadline_is_that_of_all_turns_and_of_the_waiting() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "echo one")]);
    broker.change(|held| held.interactive = true);
    assert_eq!(pod.exec(2, &["sh", "{promptFile}"]).code().await, 124);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::DeadlineExceeded);
    let message = "the agent is given no more messages: the Session's time, which spec.timeout sets, was over; this \
                   attempt had 2 s of it";
    assert_eq!(termination.message, message);
    let held = broker.held.borrow();
    // What exists by then is kept.
    assert_eq!((held.ended.len(), held.finished), (1, 1));
    drop(held);

    // Each turn is short enough, all together are not.
    let turns = (0..100).map(|number| turn(&format!("m-{number}"), "sleep 1"));
    let broker = Broker::up(&pod, turns);
    assert_eq!(pod.exec(3, &["sh", "{promptFile}"]).code().await, 124);
    let ended = broker.held.borrow().ended.len();
    assert!((1..=2).contains(&ended), "{ended}");
    assert!(pod.termination().unwrap().message.starts_with("the agent was stopped: "));
}

#[tokio::test]
async fn a_broker_without_room_does_not_hold_up_the_end() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "touch began; yes"), turn("next", "true")]);
    broker.change(|held| held.stuck = true);
    let mut exec = pod.exec(600, &["sh", "{promptFile}"]);
    while !pod.workspace().join("began").exists() {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    exec.terminate().await;
    assert!(start.elapsed() < WITH_GRACE, "{:?}", start.elapsed());
    assert_eq!(pod.termination(), Some(pod_deleted()));
}

/// Images name other signals by which they are stopped.
#[tokio::test]
async fn as_first_process_every_stop_signal_is_one() {
    for signal in ["QUIT", "HUP", "USR1", "USR2", "WINCH", "37"] {
        let pod = Pod::new(&[]);
        let broker = Broker::up(&pod, [turn("prompt", &format!("kill -{signal} $PPID; exec sleep 1000"))]);
        let mut command = unshare();
        command.arg(RUNNER);
        let mut exec = pod.exec_by(command, 600, &plain(&["sh", "{promptFile}"]));
        assert_eq!(exec.code().await, 143, "{signal}");
        assert_eq!(pod.termination(), Some(pod_deleted()));
        assert_eq!(broker.held.borrow().ended.len(), 0);
    }
}
