//! A runner pod without Kubernetes: the folders that its containers share, a broker and an `exec`.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use drover_api::{
    framework::{Invocation, OutputFormat},
    runner::{Termination, env},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::gateway::{Gateway, TOKEN};

pub const RUNNER: &str = env!("CARGO_BIN_EXE_drover-runner");
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Pod {
    dir: TempDir,
    artifacts: String,
    pub attempt: u32,
    /// How long the broker bears a gateway that does not answer, in seconds.
    pub patience: u64,
}

impl Pod {
    pub fn new(artifacts: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        for folder in ["run", "journal", "workspace", "home", "state", "tmp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        // The kubelet ends the file without a line end, people with one.
        fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        fs::write(dir.path().join("termination"), "left by the agent").unwrap();
        Self { dir, artifacts: serde_json::to_string(artifacts).unwrap(), attempt: 1, patience: 120 }
    }

    /// The pod of the attempt after, on another node: nothing of the one before is there.
    pub fn next(&self) -> Self {
        Self { attempt: self.attempt + 1, artifacts: self.artifacts.clone(), ..Self::new(&[]) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn workspace(&self) -> PathBuf {
        self.path("workspace")
    }

    pub fn broker(&self, gateway: &Gateway) -> Running {
        let mut command = Command::new(RUNNER);
        command
            .arg("broker")
            .args([arg("--run-dir", &self.path("run")), arg("--workspace", &self.workspace())])
            .args([arg("--home", &self.path("home")), arg("--state", &self.path("state"))])
            .args([arg("--journal", &self.path("journal")), arg("--token", &self.path("token"))])
            .arg(arg("--termination-log", &self.path("broker-termination")))
            .env(env::GATEWAY_URL, format!("https://127.0.0.1:{}", gateway.port))
            .env(env::GATEWAY_CA, &gateway.ca)
            .env(env::ARTIFACTS, &self.artifacts)
            .env(env::ATTEMPT, self.attempt.to_string())
            .env(env::KEPT_BY, env::KEPT_BY_CHECKPOINT)
            .env(env::PREVIOUS_INTERRUPTED, "false")
            .env(env::MAX_CHECKPOINT_BYTES, (64 * 1024 * 1024).to_string())
            .env(env::REPORTING_PATIENCE, self.patience.to_string());
        Running::start(command)
    }

    /// `exec` around an argv.
    pub fn exec(&self, seconds: u64, argv: &[&str]) -> Running {
        self.exec_by(Command::new(RUNNER), seconds, &plain(argv))
    }

    /// `exec` around a shell script.
    pub fn script(&self, script: &str) -> Running {
        self.exec(600, &["sh", "-c", script])
    }

    /// `exec` around a framework.
    pub fn framework(&self, framework: &Invocation) -> Running {
        self.exec_by(Command::new(RUNNER), 600, framework)
    }

    /// `exec` as the argument of another command.
    pub fn exec_by(&self, mut command: Command, seconds: u64, framework: &Invocation) -> Running {
        command.args(self.exec_words(seconds, framework));
        self.start(command)
    }

    /// What follows the binary.
    pub fn exec_words(&self, seconds: u64, framework: &Invocation) -> Vec<String> {
        let framework = serde_json::to_string(framework).unwrap();
        let words = ["exec".to_owned(), format!("--timeout={seconds}"), format!("--framework={framework}")];
        let places = [
            arg("--socket", &self.path("run/broker.sock")),
            arg("--workspace", &self.workspace()),
            arg("--termination-log", &self.path("termination")),
        ];
        [words, places].concat()
    }

    /// Starts a command with the environment of the agent's container.
    pub fn start(&self, mut command: Command) -> Running {
        command.env("TMPDIR", self.path("tmp")).env("HOME", self.path("home")).env("DROVER_SECRET", "for Drover alone");
        Running::start(command)
    }

    /// What `exec` left as its container's termination message.
    pub fn termination(&self) -> Option<Termination> {
        let message = fs::read(self.path("termination")).unwrap();
        (!message.is_empty()).then(|| serde_json::from_slice(&message).unwrap())
    }

    /// What the broker left as its own.
    pub fn broker_termination(&self) -> Option<Termination> {
        serde_json::from_slice(&fs::read(self.path("broker-termination")).ok()?).ok()
    }
}

/// A framework that speaks text.
pub fn plain(argv: &[&str]) -> Invocation {
    Invocation {
        command: argv.iter().map(|word| (*word).to_owned()).collect(),
        resume_command: Vec::new(),
        interrupted_notice: String::new(),
        output: OutputFormat::Text,
    }
}

/// One in which the agent is the first process of a pid namespace, as in a container, and may mount.
pub fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare
}

fn arg(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// A process that ends with the test.
pub struct Running {
    child: Child,
}

impl Running {
    fn start(mut command: Command) -> Self {
        Self { child: command.kill_on_drop(true).spawn().unwrap() }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().unwrap() as i32
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub async fn status(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the process does not end").unwrap()
    }

    pub async fn code(&mut self) -> i32 {
        self.status().await.code().expect("killed")
    }

    /// Sends SIGTERM and gives the exit code.
    pub async fn terminate(&mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.code().await
    }

    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.status().await;
    }

    /// The most memory that it had so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        status.lines().find_map(peak_kib).unwrap()
    }
}

/// The most memory, in KiB, if this line of `/proc/…/status` says it.
pub fn peak_kib(line: &str) -> Option<u64> {
    line.strip_prefix("VmHWM:")?.trim().trim_end_matches(" kB").parse().ok()
}

/// How many shells on this machine have the mark among their arguments.
pub fn running(mark: &str) -> usize {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    let mark = mark.as_bytes();
    processes.filter(|line| line.starts_with(b"sh\0") && line.windows(mark.len()).any(|part| part == mark)).count()
}
