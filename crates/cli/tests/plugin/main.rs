//! The plugin's binary against a small API server and a small gateway, over TLS on loopback.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod api;
mod cluster;
mod conversation;
mod forward;
mod gateway;
mod shell;
mod steering;
mod tls;

use std::{
    fs,
    net::SocketAddr,
    process::{Output, Stdio},
};

use api::{Api, TOKEN};
use gateway::Gateway;
use serde_json::{Value, json};
use tempfile::TempDir;
use tls::Authority;
use tokio::process::{Child, Command};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A cluster, its gateway and a kubeconfig for it.
struct World {
    api: Api,
    gateway: Gateway,
    address: SocketAddr,
    authority: Authority,
    dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (authority, cluster) = (Authority::new(), Authority::new());
        let (api, gateway) = (Api::new(), Gateway::default());
        let server = tls::serve(api.router(), cluster.server("127.0.0.1", &cluster)).await;
        let address = tls::serve(gateway.router(), authority.server("localhost", &cluster)).await;
        api.announce(&format!("https://localhost:{}", address.port()), &authority.pem());
        let world = Self { api, gateway, address, authority, dir: tempfile::tempdir().unwrap() };
        world.write("token", server, &cluster, json!({ "token": TOKEN }));
        let (certificate, key) = cluster.client("jane");
        fs::write(world.dir.path().join("jane.crt"), certificate).unwrap();
        fs::write(world.dir.path().join("jane.key"), key).unwrap();
        let user = json!({ "client-certificate": "jane.crt", "client-key": "jane.key" });
        world.write("certificate", server, &cluster, user);
        world.write("nobody", server, &cluster, json!({}));
        world
    }

    /// Writes a kubeconfig; JSON is YAML too.
    fn write(&self, name: &str, server: SocketAddr, cluster: &Authority, user: Value) {
        fs::write(self.dir.path().join("ca.crt"), cluster.pem()).unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u", "namespace": "team" } }],
            "clusters": [{ "name": "c", "cluster": { "server": format!("https://{server}"), "certificate-authority": "ca.crt" } }],
            "users": [{ "name": "u", "user": user }],
        });
        fs::write(self.dir.path().join(name), kubeconfig.to_string()).unwrap();
    }

    /// Writes a kubeconfig like that with the token, with a change.
    fn vary(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let text = fs::read_to_string(self.dir.path().join("token")).unwrap();
        let mut kubeconfig = serde_json::from_str(&text).unwrap();
        change(&mut kubeconfig);
        fs::write(self.dir.path().join(name), kubeconfig.to_string()).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-drover"));
        command.args(args).env("KUBECONFIG", self.dir.path().join("token"));
        for variable in
            ["DROVER_NAMESPACE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"]
        {
            command.env_remove(variable);
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn run(&self, args: &[&str]) -> Result {
        Result::from(self.command(args).output().await.unwrap())
    }

    /// Gives the Session `name` in `phase` to the cluster.
    fn add_session(&self, name: &str, phase: &str) {
        self.api.put(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
            "metadata": { "name": name, "namespace": "team", "uid": "1", "generation": 1, "managedFields": [{ "manager": "m" }] },
            "spec": { "prompt": "x", "framework": "shell" },
            "status": { "phase": phase, "observedGeneration": 1 },
        }));
    }
}

/// What a process left.
#[derive(Debug)]
struct Result {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Result {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let result = Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!result.err.contains(TOKEN) && !result.err.contains("panicked"), "{result:?}");
        result
    }
}

/// Presses Ctrl-C.
fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn finished(phase: &str, exit_code: i32, artifacts: &[Value]) -> Value {
    json!({
        "phase": phase, "observedGeneration": 1, "reason": "NonZeroExit", "message": format!("The agent ended with {exit_code}."),
        "exitCode": exit_code, "startedAt": "2026-03-01T12:00:00Z", "finishedAt": "2026-03-01T12:00:09Z", "artifacts": artifacts,
    })
}

#[tokio::test]
async fn a_run_is_followed_to_its_end_and_hands_back_its_exit_code() {
    let world = World::new().await;
    world.gateway.log("system", None, "started");
    world.gateway.log("agent", Some("stdout"), "hello");
    world.gateway.log("agent", Some("stderr"), "careful");
    world.gateway.store("out/a b.txt", b"abc", ABC);
    let child = world.spawn(&["run", "--prompt", "exit 3"]);
    let name = world.api.created().await;
    assert_eq!(world.api.session(&name).unwrap()["metadata"]["labels"], json!({ "drover.dev/origin": "plugin" }));
    world.api.set_status(&name, json!({ "phase": "Pending", "reason": "Starting", "message": "pulling" }));
    world.api.set_status(&name, json!({ "phase": "Running", "pod": { "name": "p", "node": "n1" } }));
    world.api.set_status(&name, finished("Failed", 3, &world.gateway.artifacts()));
    let run = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!((run.code, run.out.as_str()), (Some(3), "hello\n"), "{run:?}");
    for line in [
        "session run-abcde created in namespace team\n",
        "drover: started\ncareful\n",
        "failed after 9s: The agent ended with 3.\n",
        "artifacts, to be fetched with: kubectl drover artifacts get run-abcde -n team\n",
        "  out/a b.txt   3 B    ba7816bf",
    ] {
        assert!(run.err.contains(line), "{line:?} in {run:?}");
    }
    let log = world.run(&["logs", &name]).await;
    assert_eq!((log.code, log.out.as_str()), (Some(0), "drover: started\nhello\ncareful\n"), "{log:?}");
    let got = world.run(&["artifacts", "get", &name, "--to", "out"]).await;
    assert_eq!((got.code, got.err.as_str()), (Some(0), "out/out/a b.txt (3 B)\n"), "{got:?}");
    assert_eq!(fs::read(world.dir.path().join("out/out/a b.txt")).unwrap(), b"abc");
}

#[tokio::test]
async fn progress_has_a_line_for_each_change() {
    let world = World::new().await;
    let mut child = world.spawn(&["run", "tidy", "--prompt", "true", "-o", "json"]);
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stderr.take().unwrap()));
    let name = world.api.created().await;
    let mut line = async || lines.next_line().await.unwrap().unwrap();
    assert_eq!(line().await, "session tidy created in namespace team");
    assert_eq!(line().await, "pending: waiting for the operator");
    world.api.set_status(&name, json!({ "phase": "Pending", "reason": "Unschedulable", "message": "no node fits" }));
    assert_eq!(line().await, "pending: no node fits");
    world.gateway.log("agent", Some("stdout"), "hello");
    world.api.set_status(&name, json!({ "phase": "Running", "pod": { "name": "p", "node": "n1" } }));
    assert_eq!(line().await, "running on node n1");
    assert_eq!(line().await, "hello");
    world.api.set_status(&name, finished("Succeeded", 0, &[]));
    assert_eq!(line().await, "succeeded after 9s");
    let run = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!(run.code, Some(0));
    let document: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&document["kind"], &document["status"]["phase"]), (&json!("Session"), &json!("Succeeded")));
}

#[tokio::test]
async fn a_session_that_cannot_be_accepted_ends_the_run() {
    let world = World::new().await;
    let child = world.spawn(&["run", "--prompt", "x", "--framework", "nope"]);
    let name = world.api.created().await;
    let message = "framework nope is not known; known are: shell";
    let condition = json!({ "type": "Stalled", "status": "True", "reason": "UnknownFramework", "message": message,
                            "lastTransitionTime": "2026-03-01T12:00:00Z" });
    let status =
        json!({ "phase": "Pending", "reason": "UnknownFramework", "message": message, "conditions": [condition] });
    world.api.set_status(&name, status);
    let run = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains(&format!("pending: {message}\n")), "{run:?}");
    assert!(run.err.ends_with("to remove it: kubectl delete session run-abcde -n team\n"), "{run:?}");
}

#[tokio::test]
async fn a_run_without_a_gateway_still_ends_with_its_exit_code() {
    let world = World::new().await;
    world.api.announce("https://localhost:1", &world.authority.pem());
    let child = world.spawn(&["run", "--prompt", "exit 4"]);
    let name = world.api.created().await;
    world.api.set_status(&name, finished("Failed", 4, &[]));
    let run = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!(run.code, Some(4));
    assert!(run.err.contains("the log cannot be shown: the gateway cannot be reached"), "{run:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_the_session_running() {
    let world = World::new().await;
    let mut child = world.spawn(&["run", "--prompt", "sleep 100"]);
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stderr.take().unwrap()));
    // The second line comes from the watch, which is polled beside the signal.
    for _ in 0..2 {
        lines.next_line().await.unwrap().unwrap();
    }
    interrupt(&child);
    let mut last = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        last = line;
    }
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert_eq!(last, "  stop it:       kubectl drover cancel run-abcde -n team");
}

#[tokio::test]
async fn a_run_can_be_left_alone_or_only_tried() {
    let world = World::new().await;
    let tried = world.run(&["run", "--prompt", "x", "--dry-run", "client"]).await;
    assert_eq!((tried.code, tried.out.as_str()), (Some(0), "session.drover.dev/run-… created (dry run)\n"));
    assert_eq!(world.api.requests(), [""; 0]);
    let tried = world.run(&["run", "--prompt", "x", "--dry-run=server", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&tried.out).unwrap()["spec"]["prompt"], "x");
    assert!(world.api.session("run-abcde").is_none());
    let left = world.run(&["run", "--prompt", "x", "-d", "-n", "other"]).await;
    assert_eq!((left.code, left.out.as_str()), (Some(0), "session.drover.dev/run-abcde created\n"));
    assert_eq!(world.api.session("run-abcde").unwrap()["metadata"]["namespace"], "other");
    let refused = world.run(&["run", "--prompt", "x", "--timeout", "744h"]).await;
    assert_eq!((refused.code, refused.err.as_str()), (Some(1), "error: the namespace allows at most 1h\n"));
}

#[tokio::test]
async fn a_cut_stream_goes_on_without_loss_or_repetition() {
    let world = World::new().await;
    for number in 1..=20 {
        world.gateway.log("agent", Some("stdout"), &format!("line {number}"));
    }
    // Before anything, within an event, between lines of one, and where it was before.
    world.gateway.cut([3, 700, 1300, 150, 0]);
    let log = world.run(&["logs", "tidy", "-f"]).await;
    let expected: String = (1..=20).map(|number| format!("line {number}\n")).collect();
    assert_eq!((log.code, log.out.as_str()), (Some(0), expected.as_str()), "{log:?}");
    let resumed = world.gateway.resumed();
    assert_eq!(resumed.len(), 6, "{resumed:?}");
    assert_eq!(resumed[..2], [None, None]);
    assert!(resumed[2..].iter().all(Option::is_some), "{resumed:?}");
}

#[tokio::test]
async fn streams_that_bring_nothing_are_told() {
    let world = World::new().await;
    world.gateway.cut([3; 1000]);
    let mut child = world.spawn(&["logs", "tidy", "-f"]);
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stderr.take().unwrap()));
    let told = "the log is interrupted, trying again: the gateway ends the stream without a word";
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(told));
}

#[tokio::test]
async fn a_problem_in_the_stream_ends_it() {
    let world = World::new().await;
    world.gateway.log("agent", Some("stdout"), "hello");
    world.gateway.fail("the log is damaged: ask the platform admin");
    let log = world.run(&["logs", "tidy", "-f"]).await;
    assert_eq!((log.code, log.out.as_str()), (Some(1), "hello\n"), "{log:?}");
    assert_eq!(log.err, "error: the log is damaged: ask the platform admin\n");
}

#[tokio::test]
async fn a_log_comes_in_pages_and_as_json() {
    let world = World::new().await;
    for kind in ["system", "agent", "error", "agent", "agent"] {
        world.gateway.log(kind, None, kind);
    }
    let log = world.run(&["logs", "tidy", "--type", "error,system"]).await;
    assert_eq!(log.out, "drover: system\ndrover: error: error\n");
    let log = world.run(&["logs", "tidy", "-o", "json", "--after", "1-3"]).await;
    let ids: Vec<Value> =
        log.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, ["1-4", "1-5"]);
}

#[tokio::test]
async fn artifacts_are_listed_verified_and_not_overwritten() {
    let world = World::new().await;
    world.gateway.store("a", b"abc", ABC);
    world.gateway.store("b", b"abd", ABC);
    world.gateway.store("../c", b"abc", ABC);
    let list = world.run(&["artifacts", "list", "tidy"]).await;
    assert_eq!(list.out.lines().next(), Some("NAME   SIZE   SHA256"));
    let list = world.run(&["artifacts", "list", "tidy", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&list.out).unwrap()["artifacts"][0]["name"], "a");
    let get = async |args: &[&str]| world.run(&[&["artifacts", "get", "tidy"], args].concat()).await;
    assert_eq!(get(&["a", "--to", "-"]).await.out, "abc");
    assert_eq!(get(&["a"]).await.code, Some(0));
    let again = get(&["a"]).await;
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("./a exists already: use --force"), "{again:?}");
    assert_eq!(get(&["a", "--force"]).await.code, Some(0));
    let damaged = get(&["b"]).await;
    assert!(damaged.code == Some(1) && damaged.err.contains("arrived damaged"), "{damaged:?}");
    assert!(!world.dir.path().join("b").exists());
    let escaping = get(&["../c"]).await;
    assert!(escaping.code == Some(1) && escaping.err.contains("not safe"), "{escaping:?}");
    let absent = get(&["d"]).await;
    assert_eq!(absent.err, "error: there is no artifact \"d\": see kubectl drover artifacts list tidy -n team\n");
}

#[tokio::test]
async fn status_tells_of_one_and_of_all() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    world.add_session("other", "Failed");
    let all = world.run(&["status"]).await;
    assert_eq!(all.out.lines().next(), Some("NAME    PHASE     REASON   FRAMEWORK   EXIT   DURATION   AGE"));
    assert!(world.run(&["status", "-A"]).await.out.contains("\nteam        tidy    Running"));
    let list: Value = serde_json::from_str(&world.run(&["status", "-o", "json"]).await.out).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("List"), 2));
    assert!(!list.to_string().contains("managedFields"));
    let absent = world.run(&["status", "absent"]).await;
    let told = "error: there is no Session \"absent\" in namespace team: see kubectl drover status -n team, or choose \
                another namespace with -n\n";
    assert_eq!((absent.code, absent.err.as_str()), (Some(1), told));
}

#[tokio::test]
async fn problems_are_told_in_one_line() {
    let world = World::new().await;
    let refused = "error: the gateway answered 403: you may not get sessions/logs in namespace team\n";
    for args in [&["logs", "secret"][..], &["logs", "secret", "-f"], &["artifacts", "list", "secret"]] {
        let result = world.run(args).await;
        assert_eq!((result.code, result.err.as_str()), (Some(1), refused), "{args:?}");
    }
    let elsewhere = world.run(&["logs", "x", "--kubeconfig", "absent"]).await;
    assert!(elsewhere.code == Some(1) && elsewhere.err.starts_with("error: no kubeconfig: "), "{elsewhere:?}");
    assert_eq!(world.run(&["logs"]).await.code, Some(2));
    assert_eq!(world.run(&["frobnicate"]).await.code, Some(2));
}

#[tokio::test]
async fn a_client_certificate_is_an_identity_too() {
    let world = World::new().await;
    world.gateway.log("agent", Some("stdout"), "hello");
    let log = world.run(&["logs", "tidy", "--kubeconfig", "certificate"]).await;
    assert_eq!((log.code, log.out.as_str()), (Some(0), "hello\n"), "{log:?}");
    let log = world.run(&["logs", "tidy", "--kubeconfig", "nobody"]).await;
    let told = "error: the API server does not accept the kubeconfig's credentials: log in again, or choose another --context\n";
    assert_eq!((log.code, log.err.as_str()), (Some(1), told), "{log:?}");
}

#[tokio::test]
async fn nothing_is_said_to_a_gateway_that_is_not_trusted() {
    let world = World::new().await;
    let url = format!("https://localhost:{}", world.address.port());
    world.api.announce(&url, &Authority::new().pem());
    world.api.add_pod(world.address);
    let log = world.run(&["logs", "tidy"]).await;
    assert!(log.code == Some(1) && log.err.contains("certificate"), "{log:?}");
    assert_eq!(world.gateway.requests(), 0);
}

#[tokio::test]
async fn a_gateway_out_of_reach_is_reached_by_port_forward() {
    let world = World::new().await;
    world.gateway.log("agent", Some("stdout"), "hello");
    world.gateway.store("a", b"abc", ABC);
    // Nothing listens on port 1; the certificate is for the announced host all the same.
    world.api.announce("https://localhost:1", &world.authority.pem());
    let refused = world.run(&["logs", "tidy"]).await;
    let needs = "rights to list pods and to create pods/portforward in namespace drover-system";
    assert!(refused.code == Some(1) && refused.err.contains(needs), "{refused:?}");
    world.api.add_pod(world.address);
    let log = world.run(&["logs", "tidy", "-f"]).await;
    assert_eq!((log.code, log.out.as_str()), (Some(0), "hello\n"), "{log:?}");
    let got = world.run(&["artifacts", "get", "tidy", "--to", "there"]).await;
    assert_eq!(got.code, Some(0), "{got:?}");
    assert_eq!(fs::read(world.dir.path().join("there/a")).unwrap(), b"abc");
    world.api.add_pod("127.0.0.1:1".parse().unwrap());
    let dead = world.run(&["logs", "tidy"]).await;
    assert!(dead.code == Some(1) && dead.err.contains("by port-forward: connection refused by the pod"), "{dead:?}");
}

#[tokio::test]
async fn a_cluster_without_drover_is_told() {
    let world = World::new().await;
    let result = world.run(&["logs", "tidy", "--drover-namespace", "elsewhere"]).await;
    assert_eq!(result.code, Some(1));
    assert!(result.err.starts_with("error: namespace elsewhere does not announce a gateway"), "{result:?}");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it_quietly() {
    let world = World::new().await;
    for number in 0..2000 {
        world.gateway.log("agent", Some("stdout"), &format!("{number} {}", "x".repeat(200)));
    }
    let mut child = world.spawn(&["logs", "tidy", "-f"]);
    drop(child.stdout.take());
    let result = Result::from(child.wait_with_output().await.unwrap());
    assert_eq!((result.code, result.err.as_str()), (Some(141), ""));
}

#[test]
fn helps_without_a_cluster() {
    let help = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-drover")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(help(&["--version"]).starts_with("kubectl-drover "));
    assert!(help(&["run", "-h"]).contains("Usage: kubectl drover run"));
}
