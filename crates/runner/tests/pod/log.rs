//! The log: complete and in order, whatever fails, in bounded memory.

use std::fs;

use drover_api::log::{Kind, MAX_TEXT};

use crate::{
    gateway::Gateway,
    harness::{Pod, peak_kib},
};

/// Far more than the parts need, far less than what passes through them.
const MEMORY_KIB: u64 = 32 * 1024;

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_the_broker_is_killed() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&[]);
    let mut broker = pod.broker(&gateway);
    let script =
        "i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); [ $((i % 300)) = 0 ] && sleep 0.1; done; true";
    let mut exec = pod.script(script);
    for round in 1..=4 {
        drop(gateway.until(|held| held.events.len() > round * 800).await);
        broker.kill().await;
        broker = pod.broker(&gateway);
    }
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    let expected: Vec<String> = (0..6000).map(|number| format!("line {number}")).collect();
    assert_eq!(held.lines(), expected);
    assert!(held.reports.last().unwrap().problems.is_empty());
}

#[tokio::test]
async fn answers_that_are_lost_change_nothing() {
    let gateway = Gateway::up("hi").await;
    gateway.change(|held| held.lose_answers = 3);
    let pod = Pod::new(&["a"]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.script("echo one; while ! [ -e go ]; do sleep 0.05; done; echo two > a");
    drop(gateway.until(|held| held.lines() == ["one"] && held.lose_answers == 0).await);
    // The next ones are those of the artifact, of the log and of the report.
    gateway.change(|held| held.lose_answers = 6);
    fs::write(pod.workspace().join("go"), "").unwrap();
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    assert_eq!((held.lines(), held.reports.len()), (vec!["one".to_owned()], 1));
    assert_eq!(held.artifacts["a"], "two\n");
}

#[tokio::test]
async fn output_without_lines_passes_in_bounded_memory() {
    const BYTES: usize = 24 * 1024 * 1024;
    let gateway = Gateway::up("hi").await;
    gateway.change(|held| held.log_down = true);
    let pod = Pod::new(&[]);
    let broker = pod.broker(&gateway);
    let script = format!("head -c {BYTES} /dev/zero | tr '\\0' x; touch written; echo; cat /proc/$PPID/status");
    let mut exec = pod.script(&script);
    // The gateway is away: the buffer fills, and the agent waits.
    let segments = || fs::read_dir(pod.path("journal")).map_or(0, Iterator::count);
    while segments() < 8 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!pod.workspace().join("written").exists(), "the agent waits");
    assert!(segments() < 16, "what is held is bounded");
    gateway.change(|held| held.log_down = false);
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    let lines = held.lines();
    assert_eq!((lines[0].len(), lines[0].trim_matches('x')), (BYTES, ""));
    assert!(held.events.iter().all(|event| event.text.len() <= MAX_TEXT));
    let exec_peak = lines.iter().find_map(|line| peak_kib(line)).unwrap();
    assert!(exec_peak < MEMORY_KIB, "exec took {exec_peak} KiB");
    assert!(broker.peak_kib() < MEMORY_KIB, "the broker took {} KiB", broker.peak_kib());
}

#[tokio::test]
async fn the_end_of_the_log_is_not_the_end_of_the_run() {
    let gateway = Gateway::up("hi").await;
    gateway.change(|held| held.log_limit = Some(100));
    let pod = Pod::new(&["done"]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.script("head -c 8000000 /dev/urandom; echo; echo end > done");
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    assert_eq!(held.artifacts["done"], "end\n");
    // What is said of the artifacts does not suffer, and the log itself says that it was cut.
    assert_eq!(held.reports[0].problems, [""; 0]);
    let texts: Vec<&str> = held.events.iter().map(|event| event.text.as_str()).collect();
    let said = texts.iter().position(|text| text.starts_with("the log is longer than the platform keeps; ")).unwrap();
    // The start was said in the first chunk, which may have been refused for what follows in it.
    let (start, rest) = texts.split_at(said);
    let rest: Vec<&str> = rest[1..].iter().copied().filter(|text| *text != "turn prompt started").collect();
    assert_eq!(rest, ["turn prompt ended", "stored 1 artifact"]);
    assert!(start.len() <= 100 && held.events[said].kind == Kind::Error);
}

#[tokio::test]
async fn a_full_store_does_not_hold_the_agent_up() {
    let gateway = Gateway::up("hi").await;
    gateway.change(|held| held.log_full = true);
    let pod = Pod::new(&["done"]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.script("head -c 8000000 /dev/urandom; echo; echo end > done");
    assert_eq!(exec.code().await, 0);
    let held = gateway.held.borrow();
    assert_eq!((held.events.len(), held.artifacts.len()), (0, 1));
    assert_eq!(held.reports[0].problems, [""; 0]);
}

#[tokio::test]
async fn the_journal_lies_where_the_agent_cannot_write() {
    let gateway = Gateway::up("hi").await;
    gateway.change(|held| held.log_down = true);
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    let mut exec = pod.script("echo one; touch written");
    while !pod.workspace().join("written").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let names = |folder| {
        let entries = fs::read_dir(pod.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names("run"), ["broker.sock"]);
    assert!(!names("journal").is_empty());
    gateway.change(|held| held.log_down = false);
    assert_eq!(exec.code().await, 0);
}
