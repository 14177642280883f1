//! The folders of a pod, and a broker in a thread of its own, which can be ended like a process.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Once,
    thread::JoinHandle,
    time::Duration,
};

use drover_api::{
    report::Report,
    runner::{NextTurn, Termination, TurnEnd},
};
use drover_broker::{Config, KeptBy, Paths};
use reqwest::{Client, Response, StatusCode};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::gateway::{Gateway, TOKEN};

pub const MOST: u64 = 16 * 1024 * 1024;

/// Everything that may survive a pod, and what does not.
pub struct Pod {
    pub dir: TempDir,
    pub kept_by: KeptBy,
    pub attempt: u32,
    pub previous_interrupted: bool,
    pub artifacts: Vec<String>,
    pub patience: Duration,
}

impl Pod {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for folder in ["run", "journal", "workspace", "home", "state"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("token"), TOKEN).unwrap();
        Self {
            dir,
            kept_by: KeptBy::Checkpoint { most: MOST },
            attempt: 1,
            previous_interrupted: false,
            artifacts: Vec::new(),
            patience: Duration::from_secs(120),
        }
    }

    /// A pod of the next attempt, with folders of its own.
    pub fn next_attempt(&self) -> Self {
        Self { attempt: self.attempt + 1, kept_by: self.kept_by, ..Self::new() }
    }

    /// The next attempt's pod on the same claim.
    pub fn on_same_claim(self) -> Self {
        fs::remove_dir_all(self.path("journal")).unwrap();
        fs::create_dir(self.path("journal")).unwrap();
        Self { attempt: self.attempt + 1, ..self }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// What the broker left as its container's termination message.
    pub fn termination(&self) -> Option<Termination> {
        self.read("termination").map(|text| serde_json::from_str(&text).unwrap())
    }

    pub async fn broker(&self, gateway: &Gateway) -> Broker {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
        let paths = Paths {
            run_dir: self.path("run"),
            journal: self.path("journal"),
            workspace: self.path("workspace"),
            home: self.path("home"),
            state: self.path("state"),
            token: self.path("token"),
            termination_log: self.path("termination"),
        };
        let socket = paths.socket();
        let _ = fs::remove_file(&socket);
        let config = Config {
            gateway: format!("https://127.0.0.1:{}", gateway.port).parse().unwrap(),
            ca: gateway.ca.clone(),
            artifacts: self.artifacts.clone(),
            attempt: self.attempt,
            kept_by: self.kept_by,
            previous_interrupted: self.previous_interrupted,
            reporting_patience: self.patience,
            paths,
        };
        let broker = Broker::start(config, Client::builder().unix_socket(socket.clone()).build().unwrap());
        // The socket's file is there a moment before anybody listens.
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::task::yield_now().await;
        }
        broker
    }
}

/// A broker that runs.
pub struct Broker {
    client: Client,
    terminate: Option<oneshot::Sender<()>>,
    kill: Option<oneshot::Sender<()>>,
    over: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Broker {
    fn start(config: Config, client: Client) -> Self {
        let (terminate, terminated) = oneshot::channel::<()>();
        let (kill, killed) = oneshot::channel::<()>();
        let (ended, over) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    _ = killed => {}
                    run = drover_broker::run(config, async { drop(terminated.await) }) => run.unwrap(),
                }
            });
            runtime.shutdown_background();
            let _ = ended.send(());
        });
        Self { client, terminate: Some(terminate), kill: Some(kill), over, thread }
    }

    /// As the kernel would: whatever it is at, nothing more is done.
    pub async fn kill(mut self) {
        drop(self.kill.take());
        self.gone().await;
    }

    /// SIGTERM, and the wait for its end.
    pub async fn terminate(mut self) {
        drop(self.terminate.take());
        self.gone().await;
    }

    async fn gone(self) {
        self.over.await.unwrap();
        self.thread.join().unwrap();
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("http://broker{path}")).send().await.unwrap()
    }

    pub async fn next(&self) -> Option<NextTurn> {
        let answer = self.get("/v1/turns/next").await;
        match answer.status() {
            StatusCode::NO_CONTENT => None,
            StatusCode::OK => Some(answer.json().await.unwrap()),
            other => panic!("{other}"),
        }
    }

    /// The id of the next message.
    pub async fn next_id(&self) -> String {
        self.next().await.expect("there is no message").message.id
    }

    /// A request for the next message that somebody else waits for.
    pub fn ask_next(&self) -> tokio::task::JoinHandle<Response> {
        let request = self.client.get("http://broker/v1/turns/next");
        tokio::spawn(async move { request.send().await.unwrap() })
    }

    pub async fn end_with(&self, id: &str, end: &TurnEnd) -> StatusCode {
        let request = self.client.post(format!("http://broker/v1/turns/{id}/end")).json(end);
        request.send().await.unwrap().status()
    }

    pub async fn end(&self, id: &str) {
        let end = TurnEnd { result: format!("did {id}"), ..TurnEnd::default() };
        assert_eq!(self.end_with(id, &end).await, StatusCode::NO_CONTENT, "{id}");
    }

    /// The end of a turn, for which nobody waits.
    pub fn begin_end(&self, id: &str) {
        let request = self.client.post(format!("http://broker/v1/turns/{id}/end")).json(&TurnEnd::default());
        tokio::spawn(request.send());
    }

    pub async fn stop(&self) -> Termination {
        self.get("/v1/stop").await.json().await.unwrap()
    }

    pub async fn finish(&self) -> Report {
        self.client.post("http://broker/v1/finish").send().await.unwrap().json().await.unwrap()
    }
}
