//! Agents that misbehave, and images that have nothing. With a broker of the test's own.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    time::{Duration, Instant},
};

use drover_api::{
    framework::Invocation,
    log::{Kind, MAX_TEXT, Stream},
    state::Reason,
};
use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::{
    broker::{Broker, Held, turn},
    harness::{Pod, RUNNER, peak_kib, plain, running, unshare},
    turns::scripted,
};

/// More than `exec` needs beside its own code, less than each of the lines that pass through it.
const MEMORY_KIB: u64 = 20 * 1024;

fn agents_lines(held: &Held) -> Vec<String> {
    held.lines(Kind::Agent)
}

#[tokio::test]
async fn every_exit_code_is_handed_on() {
    for (script, code) in [
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -SEGV $$", 139),
        ("kill -TERM $$", 143),
        ("exec >&- 2>&-; sleep 0.1; exit 4", 4),
    ] {
        let pod = Pod::new(&[]);
        let broker = Broker::up(&pod, [turn("prompt", script)]);
        assert_eq!(pod.exec(60, &["sh", "{promptFile}"]).code().await, code, "{script}");
        assert_eq!((broker.held.borrow().ended.len(), pod.termination()), (0, None));
    }
}

/// A few hundred processes that do not go when they are asked, and some that start another and go all the time, so that
/// no list of them is ever true. Their number is bounded by the script, and they live in a namespace that ends with
/// `exec`.
#[tokio::test]
async fn a_fork_bomb_is_ended_whole() {
    let pod = Pod::new(&[]);
    let grow = "trap '' TERM HUP
        case $1 in
        0) while :; do sleep 1000; done ;;
        *) sh grow.sh $(($1 - 1)) marked-bomb & sh grow.sh $(($1 - 1)) marked-bomb & while :; do wait; done ;;
        esac";
    fs::write(pod.workspace().join("grow.sh"), grow).unwrap();
    let hop = "trap '' TERM HUP; setsid sh hop.sh marked-bomb &";
    fs::write(pod.workspace().join("hop.sh"), hop).unwrap();
    let script = "for i in 1 2 3 4; do sh hop.sh marked-bomb & done; sh grow.sh 7 marked-bomb &
        while ! [ -e go ]; do sleep 0.1; done; exit 3";
    let broker = Broker::up(&pod, [turn("prompt", script)]);
    // Keeps exec waiting after the agent's end, when nothing but exec may live.
    broker.change(|held| held.hold_finish = true);
    let mut command = unshare();
    command.arg(RUNNER);
    let mut exec = pod.exec_by(command, 600, &plain(&["sh", "{promptFile}"]));
    while running("marked-bomb") < 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = Instant::now();
    fs::write(pod.workspace().join("go"), "").unwrap();
    drop(broker.until(|held| held.finished == 1).await);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(running("marked-bomb"), 0, "only exec lives");
    broker.change(|held| held.hold_finish = false);
    assert_eq!(exec.code().await, 3);
}

/// In a session of its own, with another parent, and without the agent's output.
#[tokio::test]
async fn a_daemon_does_not_outlive_its_turn() {
    let pod = Pod::new(&[]);
    let daemon = "
        (setsid sh -c 'sh -c \"trap \\\"\\\" TERM HUP; : marked-daemon; touch up; sleep 1000; sleep 1000\" &' &) \
            > /dev/null 2>&1
        while ! [ -e up ]; do sleep 0.05; done";
    let broker = Broker::up(&pod, [turn("prompt", daemon), turn("next", "touch second; while :; do sleep 0.1; done")]);
    let mut command = unshare();
    command.arg(RUNNER);
    let mut exec = pod.exec_by(command, 600, &plain(&["sh", "{promptFile}"]));
    drop(broker.until(|held| held.ended.len() == 1).await);
    while !pod.workspace().join("second").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(running("marked-daemon"), 0);
    exec.kill().await;
}

#[tokio::test]
async fn the_agent_cannot_end_or_stop_the_first_process() {
    let pod = Pod::new(&[]);
    let script = "kill -KILL $PPID; kill -STOP $PPID; kill -SEGV $PPID; kill -PIPE $PPID; echo still here";
    let broker = Broker::up(&pod, [turn("prompt", script)]);
    let mut command = unshare();
    command.arg(RUNNER);
    assert_eq!(pod.exec_by(command, 600, &plain(&["sh", "{promptFile}"])).code().await, 0);
    assert_eq!(broker.held.borrow().only_end().result, "still here");
}

#[tokio::test]
async fn an_agent_that_is_stopped_is_ended() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "echo ready; kill -STOP $$")]);
    let mut exec = pod.exec(600, &["sh", "{promptFile}"]);
    drop(broker.until(|held| agents_lines(held) == ["ready"]).await);
    let start = Instant::now();
    exec.signal(Signal::SIGTERM);
    assert_eq!(exec.code().await, 137);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let pod = Pod::new(&[]);
    let fill = "cat /dev/zero > $TMPDIR/fill 2> /dev/null; echo filled";
    let broker = Broker::up(&pod, [turn("prompt", fill), turn("next", &"echo never;".repeat(2000))]);
    let mut command = unshare();
    let mount = r#"mount -t tmpfs -o size=64k none "$TMPDIR" && exec "$0" "$@""#;
    command.args(["sh", "-c", mount, RUNNER]);
    assert_eq!(pod.exec_by(command, 60, &plain(&["sh", "{promptFile}"])).code().await, 125);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::PodFailed);
    for part in ["cannot be written to a file in ", "No space left on device", "earlier turns have left no room"] {
        assert!(termination.message.contains(part), "{}", termination.message);
    }
    let held = broker.held.borrow();
    assert_eq!((held.only_end().result.as_str(), held.finished), ("filled", 1));
}

#[tokio::test]
async fn binary_output_is_handed_on() {
    let pod = Pod::new(&[]);
    let script = r"printf 'a\0b\377c\n'; head -c 300000 /dev/urandom | tee /dev/stderr; printf '\n\200'";
    let broker = Broker::up(&pod, [turn("prompt", script)]);
    assert_eq!(pod.exec(60, &["sh", "{promptFile}"]).code().await, 0);
    let held = broker.held.borrow();
    assert_eq!(agents_lines(&held)[0], "a\0b\u{FFFD}c");
    assert!(held.output.iter().all(|output| output.text.len() <= MAX_TEXT));
    for stream in [Stream::Stdout, Stream::Stderr] {
        assert!(held.output.iter().filter(|output| output.stream == Some(stream)).count() > 100);
    }
    assert_eq!(held.output.iter().rfind(|output| output.stream == Some(Stream::Stdout)).unwrap().text, "\u{FFFD}");
}

#[tokio::test]
async fn output_larger_than_memory_passes_as_text() {
    passes_in_bounded_memory(plain(&[])).await;
}

#[tokio::test]
async fn output_larger_than_memory_passes_as_json() {
    passes_in_bounded_memory(scripted()).await;
}

/// A line longer than any bound, a JSON line longer than what is parsed, and those that take the most memory.
async fn passes_in_bounded_memory(framework: Invocation) {
    const MIB: usize = 1024 * 1024;
    let pod = Pod::new(&[]);
    let script = format!(
        "cat /proc/$PPID/status
         head -c {line} /dev/zero | tr '\\0' x; echo
         printf '{{\"text\":\"'; head -c {line} /dev/zero | tr '\\0' y; echo '\"}}'
         for i in 1 2 3 4 5 6 7 8; do printf '[0'; yes ,0 | head -c 240000 | tr -d '\\n'; echo ']'; done
         head -c {lines} /dev/zero | tr '\\0' '\\n'
         printf '{{\"text\":\"'; yes '\\n' | head -c 240000 | tr -d '\\n'; echo '\"}}'
         cat /proc/$PPID/status",
        line = 24 * MIB,
        lines = MIB / 4,
    );
    let broker = Broker::up(&pod, [turn("prompt", &script)]);
    let command = ["sh", "{promptFile}"].map(str::to_owned).into();
    assert_eq!(pod.framework(&Invocation { command, ..framework }).code().await, 0);
    let held = broker.held.borrow();
    let lines = agents_lines(&held);
    let whole = |character| lines.iter().any(|line| line.len() >= 24 * MIB && line.contains(character));
    assert!(whole('x') && whole('y'));
    let peaks: Vec<u64> = lines.iter().filter_map(|line| peak_kib(line)).collect();
    let [before, after] = peaks.as_slice() else { panic!("{peaks:?}") };
    assert!(after - before < MEMORY_KIB, "exec took {} KiB more", after - before);
}

#[tokio::test]
async fn names_and_variables_that_are_not_text_are_handed_on() {
    let pod = Pod::new(&[]);
    fs::write(pod.workspace().join(OsStr::from_bytes(b"na\xffme")), "").unwrap();
    let broker = Broker::up(&pod, [turn("prompt", "ls | od -An -tx1; printf %s \"$RAW\" | od -An -tx1")]);
    let mut command = Command::new(RUNNER);
    command.env("RAW", OsStr::from_bytes(b"caf\xe9")).env(OsStr::from_bytes(b"\xff\xfe"), "x");
    assert_eq!(pod.exec_by(command, 60, &plain(&["sh", "{promptFile}"])).code().await, 0);
    assert_eq!(agents_lines(&broker.held.borrow()), [" 6e 61 ff 6d 65 0a", " 63 61 66 e9"]);
}

#[tokio::test]
async fn nothing_has_to_be_open() {
    let pod = Pod::new(&[]);
    let broker = Broker::up(&pod, [turn("prompt", "cat; echo out; echo err >&2")]);
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" "$@" <&- >&- 2>&-"#, RUNNER]);
    assert_eq!(pod.exec_by(command, 60, &plain(&["sh", "{promptFile}"])).code().await, 0);
    let mut lines = agents_lines(&broker.held.borrow());
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

/// No shell, no library, no user, no PATH, no TMPDIR: the pod's own folder is the root, with what Kubernetes mounts.
#[tokio::test]
async fn an_image_of_one_static_binary_is_enough() {
    let pod = Pod::new(&[]);
    fs::copy(RUNNER, pod.path("agent")).unwrap();
    fs::create_dir(pod.path("dev")).unwrap();
    fs::write(pod.path("dev/null"), "").unwrap();
    let broker = Broker::up(&pod, [turn("prompt", "--version"), turn("next", "--no-such-option")]);
    let mut command = unshare();
    let root = pod.path("").display().to_string();
    let enter = r#"mount --bind /dev/null "$0/dev/null" && exec env -i "$(command -v chroot)" "$0" "$@""#;
    let framework = serde_json::to_string(&plain(&["/agent", "{prompt}"])).unwrap();
    command.args(["sh", "-c", enter, &root, "/agent", "exec", "--timeout=60", "--socket=/run/broker.sock"]);
    command.args(["--workspace=/workspace", "--termination-log=/termination", "--framework", &framework]);
    assert_eq!(pod.start(command).code().await, 2);
    let held = broker.held.borrow();
    assert_eq!(held.only_end().result, concat!("drover-runner ", env!("CARGO_PKG_VERSION")));
}
