//! The end of the pod before the end of the agent, and asking for the end twice.

use std::time::Duration;

use drover_api::{report::Report, state::Reason};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use nix::sys::signal::Signal;
use tokio::{net::UnixStream, time::Instant};

use crate::{gateway::Gateway, harness::Pod};

#[tokio::test]
async fn exec_ends_the_agent_at_once_and_the_broker_stores_the_rest() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&["made"]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.script("trap 'echo asked' TERM; echo x > made; echo ready; while :; do sleep 0.1; done");
    drop(gateway.until(|held| held.lines() == ["ready"]).await);
    let start = Instant::now();
    assert_eq!(exec.terminate().await, 137);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    // Nobody asked for the end; the kubelet ends the sidecar after the agent's container.
    assert!(gateway.held.borrow().reports.is_empty());
    assert_eq!(broker.terminate().await, 0);
    let held = gateway.held.borrow();
    // The shell may say of its own that its sleep was ended.
    assert_eq!(held.lines().last().unwrap(), "asked");
    assert_eq!(held.artifacts["made"], "x\n");
    assert!(held.reports[0].last);
}

#[tokio::test]
async fn an_agent_that_goes_when_it_is_asked_keeps_its_code() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.script("trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done");
    drop(gateway.until(|held| held.lines() == ["ready"]).await);
    assert_eq!(exec.terminate().await, 9);
    assert_eq!(pod.termination().unwrap().reason, Reason::PodDeleted);
}

#[tokio::test]
async fn a_killed_exec_is_reported_by_the_broker() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&["made"]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.script("echo x > made; echo ready; exec sleep 5");
    drop(gateway.until(|held| held.lines() == ["ready"]).await);
    exec.kill().await;
    assert_eq!(broker.terminate().await, 0);
    let held = gateway.held.borrow();
    assert!(held.artifacts.contains_key("made") && held.reports[0].last);
}

#[tokio::test]
async fn a_broker_without_an_agent_goes_at_once() {
    let gateway = Gateway::down("hi").await;
    let pod = Pod::new(&["made"]);
    let mut broker = pod.broker(&gateway);
    while !pod.path("run/broker.sock").exists() {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    assert_eq!(broker.terminate().await, 0);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn exec_gives_up_waiting_when_it_is_asked_to() {
    let gateway = Gateway::down("hi").await;
    let pod = Pod::new(&[]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.script("true");
    for process in [&broker, &exec] {
        let status = format!("/proc/{}/status", process.pid());
        while !catches(&std::fs::read_to_string(&status).unwrap(), Signal::SIGTERM) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(exec.terminate().await, 143);
    assert_eq!(broker.terminate().await, 0);
}

#[tokio::test]
async fn the_end_can_be_asked_for_again() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&["made"]);
    let mut broker = pod.broker(&gateway);
    assert_eq!(pod.script("echo x > made").code().await, 0);
    let uploads = |requests: &[String]| requests.iter().filter(|path| path.contains("/artifacts/")).count();
    for _ in 0..2 {
        assert_eq!(finish(&pod).await, gateway.held.borrow().reports[0]);
    }
    assert_eq!(broker.terminate().await, 0);
    let held = gateway.held.borrow();
    assert_eq!((held.reports.len(), uploads(&held.requests)), (1, 1));
}

#[tokio::test]
async fn an_end_that_was_asked_for_too_early_is_made_again() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&["made"]);
    let mut broker = pod.broker(&gateway);
    let wait = |file| format!("while ! [ -e {file} ]; do sleep 0.05; done");
    let script =
        format!("echo 1 > made; echo one; {}; echo 2 > made; echo two; {}; echo 3 > made", wait("go"), wait("end"));
    let mut exec = pod.script(&script);
    drop(gateway.until(|held| held.lines() == ["one"]).await);
    let first = finish(&pod).await;
    assert_eq!((first.sequence, first.last), (1, true));
    std::fs::write(pod.workspace().join("go"), "").unwrap();
    drop(gateway.until(|held| held.lines() == ["one", "two"]).await);
    std::fs::write(pod.workspace().join("end"), "").unwrap();
    assert_eq!(exec.code().await, 0);
    let start = Instant::now();
    assert_eq!(broker.terminate().await, 0);
    assert!(start.elapsed() < Duration::from_secs(2), "nothing was unsent");
    let held = gateway.held.borrow();
    assert_eq!((held.lines(), held.artifacts["made"].as_ref()), (vec!["one".into(), "two".into()], &b"3\n"[..]));
    let reports: Vec<(u64, bool)> = held.reports.iter().map(|report| (report.sequence, report.last)).collect();
    assert_eq!(reports, [(1, true), (2, true)]);
}

/// What the agent can do as well as `exec`.
async fn finish(pod: &Pod) -> Report {
    let stream = UnixStream::connect(pod.path("run/broker.sock")).await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("/v1/finish").header("host", "broker").body(Empty::<Bytes>::new()).unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert!(answer.status().is_success());
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Whether a process catches a signal, from the text of its `/proc/…/status`.
fn catches(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal as i32 - 1)) != 0
}
