//! A runner pod without Kubernetes: the folders that its containers share, a broker and an `exec`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use drover_api::runner::{Termination, env};
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
}

impl Pod {
    pub fn new(artifacts: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        for folder in ["run", "journal", "workspace", "tmp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        // The kubelet ends the file without a line end, people with one.
        fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        fs::write(dir.path().join("termination"), "left by the agent").unwrap();
        Self { dir, artifacts: serde_json::to_string(artifacts).unwrap() }
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
            .args([arg("--journal", &self.path("journal")), arg("--token", &self.path("token"))])
            .env(env::GATEWAY_URL, format!("https://127.0.0.1:{}", gateway.port))
            .env(env::GATEWAY_CA, &gateway.ca)
            .env(env::ARTIFACTS, &self.artifacts)
            .env(env::ATTEMPT, "1");
        Running::start(command)
    }

    /// `exec` around an argv.
    pub fn exec(&self, seconds: u64, argv: &[&str]) -> Running {
        self.exec_by(Command::new(RUNNER), seconds, argv)
    }

    /// `exec` around a shell script.
    pub fn script(&self, script: &str) -> Running {
        self.exec(600, &["sh", "-c", script])
    }

    /// `exec` as the argument of another command.
    pub fn exec_by(&self, mut command: Command, seconds: u64, argv: &[&str]) -> Running {
        command
            .arg("exec")
            .args(["--timeout", &seconds.to_string()])
            .args([arg("--socket", &self.path("run/broker.sock")), arg("--workspace", &self.workspace())])
            .args([arg("--termination-log", &self.path("termination")), "--".to_owned()])
            .args(argv)
            .env("TMPDIR", self.path("tmp"))
            .env("DROVER_SECRET", "for Drover alone");
        Running::start(command)
    }

    pub fn termination(&self) -> Option<Termination> {
        let message = fs::read(self.path("termination")).unwrap();
        (!message.is_empty()).then(|| serde_json::from_slice(&message).unwrap())
    }
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
        peak_kib(&status)
    }
}

/// From the text of `/proc/…/status`.
pub fn peak_kib(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
