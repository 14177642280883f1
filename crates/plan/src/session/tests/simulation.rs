//! Whole lives at random: pods that start, end, are evicted, lost or taken away, authors who change their minds, and an
//! operator that dies between two writes or plans from what is old by then. What must hold in every one of them is
//! asserted wherever it could break.

use std::collections::HashSet;

use drover_api::{
    names::label,
    report::{Turn, Waiting as Waits},
    session::{Cancel, SessionMessage, Suspend, consumed_entry},
};
use k8s_openapi::api::core::v1::PodCondition;

use super::*;
use crate::run::adopt::is_same_run;

/// What happens next.
#[derive(Clone, Debug)]
enum Happening {
    Time(u64),
    /// The operator looks. It dies after so many steps, where that is said.
    Look(Option<usize>),
    /// The author writes while the operator is at work, so that its status is refused.
    Conflict(Wish),
    Wish(Wish),
    /// The node goes on with its pods.
    Node,
    /// The agent deals with a message.
    Turn,
    /// The agent ends by itself.
    Exit(i32),
    Evict,
    LoseNode,
    DeletePod,
    /// Somebody takes finalizer and pod away by force.
    TakeAway,
}

/// What the author may write.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Cancel,
    Suspend,
    Resume,
    Say,
    Unsay,
    Interactive(bool),
}

fn wishes() -> impl Strategy<Value = Wish> {
    prop_oneof![
        1 => Just(Wish::Cancel),
        4 => Just(Wish::Suspend),
        4 => Just(Wish::Resume),
        4 => Just(Wish::Say),
        1 => Just(Wish::Unsay),
        2 => any::<bool>().prop_map(Wish::Interactive),
    ]
}

fn happenings() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0u64..400).prop_map(Happening::Time),
        8 => Just(Happening::Look(None)),
        3 => (0usize..3).prop_map(|steps| Happening::Look(Some(steps))),
        3 => wishes().prop_map(Happening::Conflict),
        5 => wishes().prop_map(Happening::Wish),
        9 => Just(Happening::Node),
        4 => Just(Happening::Turn),
        2 => prop::sample::select(vec![0, 1, 3]).prop_map(Happening::Exit),
        1 => Just(Happening::Evict),
        1 => Just(Happening::LoseNode),
        1 => Just(Happening::DeletePod),
        1 => Just(Happening::TakeAway),
    ]
}

/// How long an agent lives on that its broker is to end, in seconds: the broker's patience, and exec's.
const LIVES_ON: u64 = 123;

/// A pod, and the truth about its agent.
struct Simulated {
    object: Pod,
    /// Until when the agent lives that was started; later than ever while nothing ends it.
    alive_until: Option<Timestamp>,
    lost: bool,
    report: Report,
}

impl Simulated {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.alive_until.is_some_and(|until| now < until)
    }

    fn phase(&self) -> &str {
        self.object.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
    }

    fn deleting(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    fn is_bound(&self) -> bool {
        self.object.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
    }

    fn held(&self) -> bool {
        self.object.metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty())
    }

    fn ended(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    fn set_status(&mut self, phase: &str, agent: ContainerState, broker: ContainerState) {
        let conditions = self.object.status.take().and_then(|status| status.conditions);
        let status = on_node(phase, agent, broker).status.unwrap();
        self.object.status = Some(PodStatus { conditions, ..status });
    }

    fn tell(&mut self) {
        self.report.sequence += 1;
        self.object = reported(self.object.clone(), &self.report);
    }
}

struct World {
    session: Session,
    now: Timestamp,
    pods: Vec<Simulated>,
    /// Agents of pods that were taken away live on for a while.
    ghosts: Vec<Timestamp>,
    made: HashSet<u32>,
    dealt_with: Vec<String>,
    said: usize,
    /// Something changed since the operator looked.
    news: bool,
    wake: Option<Timestamp>,
}

fn at(time: Timestamp, seconds: u64) -> Timestamp {
    time + std::time::Duration::from_secs(seconds)
}

impl World {
    fn new(interactive: bool, retry: bool, idle: bool) -> Self {
        let mut session = session();
        session.spec.interactive = interactive;
        session.spec.retry = retry.then(|| serde_json::from_value(serde_json::json!({ "limit": 2 })).unwrap());
        let length = serde_json::json!({ "suspendAfter": "5m", "deleteAfter": "1h" });
        session.spec.idle = idle.then(|| serde_json::from_value(length).unwrap());
        let (pods, ghosts, dealt_with, made) = (Vec::new(), Vec::new(), Vec::new(), HashSet::new());
        Self { session, now: now(), pods, ghosts, made, dealt_with, said: 0, news: true, wake: None }
    }

    fn status(&self) -> &SessionStatus {
        self.session.status.as_ref().unwrap()
    }

    fn is_finished(&self) -> bool {
        self.status().phase.is_finished()
    }

    fn happens(&mut self, happening: &Happening) {
        match happening {
            Happening::Time(seconds) => self.now = at(self.now, *seconds),
            Happening::Look(None) => self.look_until_settled(),
            Happening::Look(Some(steps)) => self.look(Some(*steps), None),
            Happening::Conflict(wish) => self.look(None, Some(*wish)),
            Happening::Wish(wish) => self.wish(*wish),
            Happening::Node => drop(self.node()),
            Happening::Turn => drop(self.turn()),
            Happening::Exit(code) => self.exit(*code),
            Happening::Evict => self.disrupt("EvictionByEvictionAPI", false),
            Happening::LoseNode => self.disrupt("DeletionByTaintManager", true),
            Happening::DeletePod => (0..self.pods.len()).for_each(|index| self.delete(index, 120)),
            Happening::TakeAway => self.take_away(),
        }
    }

    fn wish(&mut self, wish: Wish) {
        if self.is_finished() {
            return;
        }
        let spec = &mut self.session.spec;
        match wish {
            Wish::Cancel => spec.cancel = Some(Cancel::default()),
            Wish::Suspend => spec.suspend = Some(Suspend::default()),
            Wish::Resume => spec.suspend = None,
            Wish::Interactive(wanted) => spec.interactive = wanted,
            Wish::Unsay => drop(spec.messages.pop()),
            Wish::Say => {
                self.said += 1;
                spec.messages.push(SessionMessage { id: format!("m{}", self.said), text: String::new(), by: None });
            }
        }
        self.session.metadata.generation = self.session.metadata.generation.map(|generation| generation + 1);
        self.news = true;
    }

    /// At one time, the operator comes to rest: what it did leads to nothing more to do.
    fn look_until_settled(&mut self) {
        for _ in 0..8 {
            let before = (self.session.clone(), self.pods.iter().map(|pod| pod.object.clone()).collect::<Vec<_>>());
            self.look(None, None);
            let after = (self.session.clone(), self.pods.iter().map(|pod| pod.object.clone()).collect::<Vec<_>>());
            if before == after {
                return;
            }
        }
        panic!("the operator does not come to rest: {:?}", self.status());
    }

    fn look(&mut self, dies_after: Option<usize>, meanwhile: Option<Wish>) {
        self.news = false;
        let planned_from = self.session.clone();
        let pods: Vec<_> = self.pods.iter().map(|pod| Arc::new(RunnerPod::read(&pod.object).unwrap())).collect();
        let plan = plan_at(&planned_from, &pods, self.now);
        let mut receipts = Vec::new();
        for (number, step) in plan.steps.iter().enumerate() {
            if dies_after == Some(number) {
                break;
            }
            receipts.push(self.take(step));
        }
        meanwhile.into_iter().for_each(|wish| self.wish(wish));
        if dies_after.is_some() || self.session.metadata.generation != planned_from.metadata.generation {
            self.news = true;
            return;
        }
        let (status, wake) = plan.settle(&planned_from, &settings(), &receipts, self.now);
        self.wake = wake;
        self.write(status);
    }

    fn write(&mut self, status: SessionStatus) {
        let before = self.status().clone();
        if before == status {
            return;
        }
        assert!(status.attempt >= before.attempt, "{before:?} {status:?}");
        assert!(!before.phase.is_finished(), "an end is an end: {before:?} {status:?}");
        assert!(before.consumed.iter().all(|entry| status.consumed.contains(entry)));
        assert_eq!(status.observed_generation, self.session.metadata.generation, "{status:?}");
        self.session.status = Some(status);
        self.news = true;
    }

    fn take(&mut self, step: &Step) -> Receipt {
        let index =
            |pod: &PodTarget| self.pods.iter().position(|p| p.object.metadata.uid.as_deref() == Some(&*pod.uid));
        match step {
            Step::CreatePod(pod) => return self.create(pod),
            Step::DeletePod { pod, grace } => {
                if let Some(index) = index(pod) {
                    self.delete(index, grace.unwrap_or(120));
                }
            }
            Step::ReleasePod { pod, .. } => {
                if let Some(index) = index(pod) {
                    self.pods[index].object.metadata.finalizers = None;
                    self.news = true;
                    self.collect();
                }
            }
            // No watch tells of a change of a finished Session.
            Step::RecordOutcome(outcome) => {
                let annotations = self.session.metadata.annotations.get_or_insert_default();
                annotations.insert(annotation::OUTCOME.to_owned(), outcome.clone());
            }
            Step::CreateServiceAccount | Step::CreateClaim(_) | Step::DeleteClaim => {}
            Step::DeleteSession => panic!("nobody named it"),
        }
        Receipt::Done
    }

    fn create(&mut self, wanted: &Pod) -> Receipt {
        if let Some(present) = self.pods.iter().find(|pod| pod.object.metadata.name == wanted.metadata.name) {
            assert!(is_same_run(&present.object, wanted));
            return Receipt::Pod(Arc::new(RunnerPod::read(&present.object).unwrap()));
        }
        let attempt = wanted.metadata.labels.as_ref().unwrap()[label::ATTEMPT].parse().unwrap();
        assert!(self.made.iter().all(|made| *made < attempt), "attempt {attempt} after {:?}", self.made);
        self.made.insert(attempt);
        assert!(self.session.spec.cancel.is_none() && self.session.spec.suspend.is_none());
        let mut object = wanted.clone();
        object.metadata.uid = Some(format!("uid-{attempt}-{}", self.now));
        object.metadata.creation_timestamp = Some(Time(self.now));
        let receipt = Receipt::Pod(Arc::new(RunnerPod::read(&object).unwrap()));
        self.pods.push(Simulated { object, alive_until: None, lost: false, report: Report::default() });
        self.news = true;
        receipt
    }

    /// What the API server does about a request for deletion.
    fn delete(&mut self, index: usize, grace: u32) {
        let pod = &mut self.pods[index];
        let grace = if pod.is_bound() && !pod.ended() { i64::from(grace) } else { 0 };
        let meta = &mut pod.object.metadata;
        let asked = match (&meta.deletion_timestamp, meta.deletion_grace_period_seconds) {
            (Some(_), Some(present)) if present <= grace => return,
            (Some(end), Some(present)) => end.0 - jiff::SignedDuration::from_secs(present),
            _ => self.now,
        };
        meta.deletion_timestamp = Some(Time(asked + jiff::SignedDuration::from_secs(grace)));
        meta.deletion_grace_period_seconds = Some(grace);
        // Also where no kubelet does anything: the gateway's answer to the next heartbeat, or none, makes the broker.
        pod.alive_until = pod.alive_until.map(|until| until.min(at(self.now, LIVES_ON)));
        self.news = true;
        self.collect();
    }

    /// Objects that nothing holds go.
    fn collect(&mut self) {
        self.pods.retain(|pod| !pod.deleting() || pod.held() || (pod.is_bound() && !pod.ended()));
    }

    /// The node's next step with each pod; says whether there was one.
    fn node(&mut self) -> bool {
        let mut worked = false;
        for index in 0..self.pods.len() {
            worked |= self.advance(index);
        }
        self.news |= worked;
        self.collect();
        worked
    }

    fn advance(&mut self, index: usize) -> bool {
        let now = self.now;
        let (state, others) = (&self.pods[index], self.pods.iter().enumerate().filter(|(other, _)| *other != index));
        if state.lost || state.ended() {
            return false;
        }
        match (state.is_bound(), state.deleting(), state.phase()) {
            (false, true, _) => return false,
            (false, false, _) => self.pods[index].object.spec.as_mut().unwrap().node_name = Some("node-1".to_owned()),
            (true, true, "Running") => self.stop(index, 143),
            (true, true, _) => {
                self.pods[index].set_status("Failed", ContainerState::default(), ContainerState::default())
            }
            (true, false, "Pending") => {
                let other = others.map(|(_, pod)| pod).any(|pod| pod.is_alive(now));
                assert!(!other && self.ghosts.iter().all(|until| *until <= now), "two agents at one piece of work");
                let pod = &mut self.pods[index];
                pod.alive_until = Some(Timestamp::MAX);
                pod.set_status("Running", started(now), started(now));
            }
            _ => return false,
        }
        true
    }

    /// The agent ends, and the broker has its last word.
    fn stop(&mut self, index: usize, code: i32) {
        let consumed = self.consumed();
        let (now, pod) = (self.now, &mut self.pods[index]);
        pod.alive_until = None;
        pod.report.last = true;
        pod.report.consumed = consumed;
        // As the broker says it: of an agent that ended, nothing waits.
        pod.report.waiting = None;
        pod.tell();
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        pod.set_status(phase, exited(code, now), exited(0, now));
        self.news = true;
    }

    /// What a broker knows was dealt with, in whichever attempt: it goes from one to the next with the workspace.
    fn consumed(&self) -> Vec<String> {
        self.dealt_with.iter().map(|id| consumed_entry(id)).collect()
    }

    fn running(&self) -> Option<usize> {
        self.pods.iter().position(|pod| !pod.lost && pod.phase() == "Running")
    }

    /// The next message that no agent has dealt with.
    fn pending(&self) -> Option<String> {
        let ids = std::iter::once("prompt".to_owned()).chain(self.session.spec.messages.iter().map(|m| m.id.clone()));
        ids.into_iter().find(|id| !self.dealt_with.contains(id))
    }

    /// The agent deals with a message, waits for one, or ends for want of one; says whether anything came of it.
    fn turn(&mut self) -> bool {
        let Some(index) = self.running().filter(|index| !self.pods[*index].deleting()) else { return false };
        let (now, pending, interactive) = (self.now, self.pending(), self.session.spec.interactive);
        let consumed = self.consumed();
        let Some(message) = pending else {
            if !interactive {
                self.stop(index, 0);
                return true;
            }
            let report = &mut self.pods[index].report;
            if report.waiting.is_some() {
                return false;
            }
            report.waiting = Some(Waits { since: Time(now), question: Some("what?".to_owned()) });
            report.consumed = consumed;
            self.pods[index].tell();
            self.news = true;
            return true;
        };
        self.dealt_with.push(message.clone());
        let attempt = self.pods[index].object.metadata.labels.as_ref().unwrap()[label::ATTEMPT].parse().unwrap();
        let consumed = self.consumed();
        let report = &mut self.pods[index].report;
        let (started_at, finished_at) = (Time(now), Time(now));
        report.turns = vec![Turn { message, attempt, started_at, finished_at, result: String::new(), usage: None }];
        report.consumed = consumed;
        report.waiting = None;
        self.pods[index].tell();
        self.news = true;
        true
    }

    fn exit(&mut self, code: i32) {
        // The agent ends well only once all is dealt with.
        if let Some(index) = self.running().filter(|_| code != 0) {
            self.stop(index, code);
        }
    }

    fn disrupt(&mut self, reason: &str, lost: bool) {
        let Some(index) = self.running() else { return };
        let pod = &mut self.pods[index];
        pod.lost = lost;
        if lost {
            pod.alive_until = pod.alive_until.map(|until| until.min(at(self.now, LIVES_ON)));
        }
        let condition = PodCondition {
            type_: "DisruptionTarget".to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            ..PodCondition::default()
        };
        pod.object.status.as_mut().unwrap().conditions = Some(vec![condition]);
        self.delete(index, 120);
    }

    /// One that the status does not name yet would leave no trace, which is the price of making pods before a status
    /// is written.
    fn take_away(&mut self) {
        let now = self.now;
        if self.status().pod.is_none() {
            return;
        }
        self.ghosts.extend(self.pods.drain(..).filter(|pod| pod.is_alive(now)).map(|_| at(now, LIVES_ON)));
        self.news = true;
    }

    /// Nobody disturbs it any more: things take their course until nothing is left to happen.
    fn quiet(&mut self) {
        for _ in 0..400 {
            let due = self.wake.is_some_and(|wake| wake <= self.now);
            if self.news || due {
                self.wake = self.wake.filter(|_| !due);
                self.look(None, None);
            } else if self.node() || self.turn() {
            } else if let Some(wake) = self.wake {
                self.now = wake.max(self.now);
            } else {
                return;
            }
        }
        panic!("there is no end of it: {:?}", self.status());
    }

    fn check_rest(&self) {
        let (spec, status) = (&self.session.spec, self.status());
        let came_to_rest = match status.phase {
            Phase::Succeeded | Phase::Failed | Phase::Cancelled => self.pods.iter().all(|pod| !pod.held()),
            Phase::Suspended => spec.suspend.is_some() && spec.cancel.is_none(),
            Phase::Waiting => {
                spec.interactive && spec.suspend.is_none() && spec.cancel.is_none() && spec.idle.is_none()
            }
            Phase::Pending | Phase::Running => false,
        };
        assert!(came_to_rest, "{status:?}");
        assert_eq!(status.observed_generation, self.session.metadata.generation);
        if status.phase == Phase::Succeeded {
            assert!(self.pending().is_none(), "a message was lost: {status:?}");
        }
    }
}

fn started(at: Timestamp) -> ContainerState {
    let running = ContainerStateRunning { started_at: Some(Time(at)) };
    ContainerState { running: Some(running), ..ContainerState::default() }
}

fn exited(exit_code: i32, at: Timestamp) -> ContainerState {
    let mut state = terminated(exit_code, "", "");
    let end = state.terminated.as_mut().unwrap();
    (end.started_at, end.finished_at) = (Some(Time(at)), Some(Time(at)));
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn every_life_keeps_its_promises(
        interactive in any::<bool>(),
        retry in any::<bool>(),
        idle in any::<bool>(),
        happenings in prop::collection::vec(happenings(), 0..60),
    ) {
        let mut world = World::new(interactive, retry, idle);
        happenings.iter().for_each(|happening| world.happens(happening));
        world.quiet();
        world.check_rest();
    }
}
