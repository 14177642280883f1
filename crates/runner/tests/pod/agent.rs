//! Running the agent: its command line, environment, end and leftovers.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use drover_api::{
    log::{Kind, Stream},
    runner::PROMPT_ID,
    state::Reason,
};
use tokio::time::Instant;

use crate::{
    gateway::Gateway,
    harness::{Pod, RUNNER, plain, running, unshare},
};

#[tokio::test]
async fn a_run_from_prompt_to_report() {
    let gateway = Gateway::up("echo to stdout; echo to stderr >&2; echo made > out.txt; exit 3").await;
    let pod = Pod::new(&["*.txt"]);
    let mut broker = pod.broker(&gateway);
    let mut exec = pod.exec(60, &["sh", "{promptFile}"]);
    assert_eq!(exec.code().await, 3);

    // All is there when exec ends.
    let held = gateway.held.borrow();
    assert_eq!(held.reports.len(), 1);
    let report = &held.reports[0];
    assert!(report.last && report.problems.is_empty(), "{report:?}");
    assert_eq!(report.artifacts[0].name, "out.txt");
    assert_eq!(held.artifacts["out.txt"], "made\n");
    let text = |kind| held.events.iter().filter(|e| e.kind == kind).map(|e| e.text.as_str()).collect::<Vec<_>>();
    assert_eq!(
        text(Kind::System),
        ["turn prompt started", "turn prompt failed: the agent ended with exit code 3", "stored 1 artifact"]
    );
    assert_eq!(text(Kind::Error), Vec::<&str>::new());
    let stream = |text| held.events.iter().find(|e| e.text == text).unwrap().stream;
    assert_eq!((stream("to stdout"), stream("to stderr")), (Some(Stream::Stdout), Some(Stream::Stderr)));
    assert_eq!(held.events[0].id.to_string(), "1-1");
    drop(held);
    assert_eq!(pod.termination(), None);
    assert_eq!(fs::read_dir(pod.path("tmp")).unwrap().count(), 0, "the file with the prompt is gone");

    let start = Instant::now();
    assert_eq!(broker.terminate().await, 0);
    assert!(start.elapsed() < Duration::from_secs(2), "nothing was unsent");
}

#[tokio::test]
async fn the_agent_sees_its_workspace_and_nothing_of_drover() {
    let gateway = Gateway::up("{promptFile} $(id)").await;
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    let script = r#"pwd; env | grep DROVER_ || echo none; cat; printf %s "$1""#;
    assert_eq!(pod.exec(60, &["sh", "-c", script, "sh", "{prompt}"]).code().await, 0);
    let workspace = pod.workspace().display().to_string();
    let held = gateway.held.borrow();
    assert_eq!(held.lines(), [workspace.as_str(), "none", "{promptFile} $(id)"]);
    assert!(held.requests.iter().all(|path| !path.contains(PROMPT_ID)));
}

#[tokio::test]
async fn the_gateway_may_come_later() {
    let gateway = Gateway::down("echo there").await;
    let pod = Pod::new(&[]);
    let mut exec = pod.exec(60, &["sh", "{promptFile}"]);
    let _broker = pod.broker(&gateway);
    while !pod.path("run/broker.sock").exists() {
        tokio::task::yield_now().await;
    }
    gateway.start().await;
    assert_eq!(exec.code().await, 0);
    assert_eq!(gateway.held.borrow().lines(), ["there"]);
}

#[tokio::test]
async fn its_time_includes_the_wait_for_the_gateway() {
    let gateway = Gateway::down("echo never").await;
    let pod = Pod::new(&[]);
    let mut broker = pod.broker(&gateway);
    assert_eq!(pod.exec(1, &["sh", "{promptFile}"]).code().await, 124);
    let termination = pod.termination().unwrap();
    assert_eq!(termination.reason, Reason::DeadlineExceeded);
    assert!(termination.message.contains("the gateway gave no message within 1 s"), "{}", termination.message);
    assert_eq!(broker.terminate().await, 0);
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    for (command, code, message) in [
        ("no-such-agent", 127, "the command no-such-agent was not found in the image; PATH is "),
        ("/no/such/agent", 127, "the command /no/such/agent does not exist in the image"),
        ("./plain", 126, "the command ./plain cannot be run: Permission denied"),
        ("./lost", 126, "the interpreter that it names does not exist"),
    ] {
        let gateway = Gateway::up("hi").await;
        let pod = Pod::new(&[]);
        fs::write(pod.workspace().join("plain"), "").unwrap();
        let lost = pod.workspace().join("lost");
        fs::write(&lost, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&lost, fs::Permissions::from_mode(0o755)).unwrap();
        let _broker = pod.broker(&gateway);
        assert_eq!(pod.exec(60, &[command]).code().await, code, "{command}");
        let termination = pod.termination().unwrap();
        assert_eq!(termination.reason, Reason::CommandNotFound);
        assert!(termination.message.contains(message), "{}", termination.message);
        let held = gateway.held.borrow();
        assert!(held.says(message) && held.reports[0].last);
    }
}

#[tokio::test]
async fn the_deadline_ends_the_whole_tree() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    // Neither the agent nor its child goes when it is asked.
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 1000; sleep 1000' & wait; sleep 1000; sleep 1000";
    let start = Instant::now();
    assert_eq!(pod.exec(1, &["sh", "-c", script]).code().await, 124);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(pod.termination().unwrap().reason, Reason::DeadlineExceeded);
    let held = gateway.held.borrow();
    assert!(held.says(
        "the agent was stopped: the Session's time, which spec.timeout sets, was over; this attempt had 1 s of it"
    ));
    assert!(is_dead(&held.lines()[0]));
}

#[tokio::test]
async fn what_the_agent_leaves_running_does_not_hold_it_up() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    let start = Instant::now();
    assert_eq!(pod.script("sleep 1000 & echo $!; exit 5").code().await, 5);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let held = gateway.held.borrow();
    assert!(is_dead(&held.lines()[0]));
    assert!(held.says("the agent ended with exit code 5"));
}

#[tokio::test]
async fn a_signal_is_told_as_a_shell_tells_it() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&[]);
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.script("kill -9 $$").code().await, 137);
    assert!(gateway.held.borrow().says("the agent was ended by SIGKILL"));
    assert_eq!(pod.termination(), None);
}

/// As the first process of a pid namespace, as in a container.
#[tokio::test]
async fn as_first_process_it_reaps_and_ends_all() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&["made"]);
    let _broker = pod.broker(&gateway);
    let mut first = unshare();
    first.arg(RUNNER);
    // Orphans that end become children of exec; one lives on in a session of its own and holds the output open.
    let script = "
        for i in 1 2 3 4 5; do sh -c 'sh -c \"exit 7\" & sh -c \"exit 8\" &'; done
        setsid sh -c 'trap \"\" TERM HUP; : marked-leftover; sleep 1000; sleep 1000' &
        until ! grep -q 'State:.Z' /proc/[0-9]*/status 2>/dev/null; do sleep 0.05; done
        echo made > made
        touch ready
        while ! [ -e go ]; do sleep 0.05; done
        echo first process $PPID reaps
        exit 6";
    let mut exec = pod.exec_by(first, 60, &plain(&["sh", "-c", script]));
    while !pod.workspace().join("ready").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        running("marked-leftover"),
        2,
        "the agent and what it leaves; exec names it as well, but as an argument"
    );
    // Keeps exec waiting after the agent's end, when nothing but exec may live.
    gateway.change(|held| held.log_down = true);
    fs::write(pod.workspace().join("go"), "").unwrap();
    drop(gateway.until(|held| held.artifacts.contains_key("made")).await);
    assert_eq!(running("marked-leftover"), 0);
    gateway.change(|held| held.log_down = false);
    assert_eq!(exec.code().await, 6);
    assert_eq!(gateway.held.borrow().lines(), ["first process 1 reaps"]);
}

/// Whether a process is gone, or nothing but its status is left of it.
fn is_dead(pid: &str) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", pid.trim())) else { return true };
    status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}
