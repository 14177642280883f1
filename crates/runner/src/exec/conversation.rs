//! The agent's turns, one after the other.

use std::{path::PathBuf, time::Duration};

use drover_api::{
    framework::Invocation,
    log::Kind,
    runner::{NextTurn, Output, TurnEnd},
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    argv::{self, Values},
    broker_client::BrokerClient,
    oom::OomCounter,
    output::Pipes,
    outside::Outside,
    process::{self, Ending, Exit, Reaper, Spawned},
    say,
    verdict::{OUT_OF_MEMORY, Verdict},
};

/// How long what the agent left running may go on writing.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// All that turns need.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) framework: Invocation,
    pub(super) workspace: PathBuf,
    /// The time of this attempt.
    pub(super) seconds: u64,
    pub(super) broker: BrokerClient,
    pub(super) lines: mpsc::Sender<Output>,
    pub(super) reaper: Reaper,
    pub(super) outside: Outside,
    /// Of the turn that was the end of all.
    pub(super) unread: Option<Unread>,
}

/// What is left of a turn when no process of it lives any more.
#[derive(Debug)]
pub(super) struct Unread {
    /// The rest of its output.
    pub(super) pipes: Pipes,
    /// What is said behind it.
    pub(super) last_words: String,
}

/// One run of the agent's command.
struct Run {
    ending: Ending,
    out_of_memory: bool,
    pipes: Pipes,
}

impl Conversation {
    /// Deals with messages until there are no more, or something else ends the attempt.
    pub(super) async fn run(&mut self) -> Verdict {
        let mut begun = false;
        loop {
            let turn = match self.outside.unless_over(self.broker.next_turn()).await {
                Ok(Ok(Some(turn))) => turn,
                Ok(Ok(None)) => return Verdict::completed(),
                Ok(Err(refused)) => return refused.into(),
                Err(cause) if begun => return Verdict::ended(cause, None, self.seconds),
                Err(cause) => return Verdict::not_begun(cause, self.seconds),
            };
            begun = true;
            if let Err(verdict) = self.turn(turn).await {
                return verdict;
            }
        }
    }

    /// Over when the message is dealt with; any other end of the turn is the end of all.
    async fn turn(&mut self, turn: NextTurn) -> Result<(), Verdict> {
        let id = &turn.message.id;
        let again = if turn.interrupted { " again, because it was interrupted" } else { "" };
        self.say(Kind::System, &format!("turn {id} started{again}")).await?;
        let Run { ending: Ending { exit, cause }, out_of_memory, mut pipes } = self.run_agent(&turn).await?;
        if let Some(cause) = cause {
            let last_words = format!("turn {id} was cut short: the agent {exit}");
            self.unread = Some(Unread { pipes, last_words });
            return Err(Verdict::ended(cause, Some(exit), self.seconds));
        }
        if exit != Exit::Code(0) {
            self.unread = Some(Unread { pipes, last_words: format!("turn {id} failed: the agent {exit}") });
            return Err(Verdict::failed(exit, out_of_memory));
        }
        let read = self.outside.unless_over(pipes.ended()).await;
        let said = read.map_err(|cause| Verdict::ended(cause, None, self.seconds))?;
        if out_of_memory {
            self.say(Kind::Error, OUT_OF_MEMORY).await?;
        }
        self.say(Kind::System, &format!("turn {id} ended")).await?;
        let end = TurnEnd { resume_id: said.resume_id.or_else(|| turn.resume_id.clone()), ..said };
        let told = self.outside.unless_over(self.broker.end_turn(id, &end)).await;
        Ok(told.map_err(|cause| Verdict::ended(cause, None, self.seconds))??)
    }

    /// Runs the agent's command until neither it nor anything that it started lives.
    async fn run_agent(&mut self, turn: &NextTurn) -> Result<Run, Verdict> {
        let Invocation { command, resume_command, interrupted_notice, output } = &self.framework;
        let message = match interrupted_notice.as_str() {
            notice if turn.interrupted && !notice.is_empty() => format!("{notice}\n\n{}", turn.message.text),
            _ => turn.message.text.clone(),
        };
        let template = if turn.resume_id.is_some() && !resume_command.is_empty() { resume_command } else { command };
        let resume_id = turn.resume_id.as_deref().unwrap_or_default();
        let command = argv::expand(template, &Values { message: &message, resume_id })?;
        let oom = OomCounter::start();
        let Spawned { pid, stdout, stderr } = process::spawn(&command.argv, &self.workspace, turn.interrupted)?;
        let mut pipes = match Pipes::read(stdout, stderr, output, &self.lines) {
            Ok(pipes) => pipes,
            Err(error) => {
                self.reaper.end_rest(pid).await;
                return Err(error.into());
            }
        };
        let ending = self.reaper.supervise(pid, &mut self.outside).await;
        let out_of_memory = oom.rose();
        // What the agent left running may still say something; only then is it ended.
        let _ = timeout(LEFTOVERS, pipes.ended()).await;
        self.reaper.end_rest(pid).await;
        pipes.stop_when_empty();
        Ok(Run { ending, out_of_memory, pipes })
    }

    /// Adds a line to the log, for which there may be no room before the end.
    async fn say(&mut self, kind: Kind, text: &str) -> Result<(), Verdict> {
        let said = self.outside.unless_over(say(&self.lines, kind, text)).await;
        said.map_err(|cause| Verdict::ended(cause, None, self.seconds))
    }
}
