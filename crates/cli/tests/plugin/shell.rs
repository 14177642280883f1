//! Completion, and colours.

use std::{fs, io::Read, os::unix::fs::symlink};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{Result, World};

#[tokio::test]
async fn each_shell_has_a_script_that_asks_the_program() {
    let world = World::new().await;
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = world.run(&["completion", shell]).await;
        assert_eq!(script.code, Some(0), "{script:?}");
        assert!(script.out.contains("COMPLETE") && script.out.contains("kubectl-drover"), "{script:?}");
    }
    assert!(world.api.requests().is_empty(), "a script needs no cluster");
}

/// What the script for bash gets for a line whose last word is to be completed.
async fn bash(world: &World, line: &str) -> Vec<String> {
    let words: Vec<&str> = ["--", "kubectl-drover"].into_iter().chain(line.split(' ')).collect();
    let mut command = world.command(&words);
    let place = (words.len() - 2).to_string();
    command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", place).env("_CLAP_IFS", "\n");
    let result = Result::from(command.output().await.unwrap());
    assert_eq!((result.code, result.err.as_str()), (Some(0), ""), "{result:?}");
    result.out.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[tokio::test]
async fn commands_and_names_of_sessions_are_completed() {
    let world = World::new().await;
    world.add_session("tidy-docs", "Running");
    world.add_session("tidy-code", "Running");
    world.add_session("other", "Running");
    assert_eq!(bash(&world, "sus").await, ["suspend"]);
    for line in ["logs tidy-", "message tidy-", "cancel -n other tidy-", "artifacts get tidy-", "status tidy-"] {
        assert_eq!(bash(&world, line).await, ["tidy-code", "tidy-docs"], "{line}");
    }
    let asked = world.api.requests();
    assert!(asked.contains(&"GET /apis/drover.dev/v1alpha1/namespaces/other/sessions".to_owned()), "{asked:?}");
    assert_eq!(bash(&world, "logs --kubeconfig absent tidy-").await, [""; 0], "an error is no candidate");
}

#[tokio::test]
async fn kubectl_completes_by_a_link() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let link = world.dir.path().join("kubectl_complete-drover");
    symlink(env!("CARGO_BIN_EXE_kubectl-drover"), &link).unwrap();
    let mut command = tokio::process::Command::new(&link);
    command.args(["resume", "ti"]).env("KUBECONFIG", world.dir.path().join("token")).env_remove("HTTPS_PROXY");
    let result = Result::from(command.output().await.unwrap());
    assert_eq!((result.code, result.out.as_str()), (Some(0), "tidy\t\n:4\n"), "{result:?}");
}

/// What the plugin writes to a terminal.
async fn on_a_terminal(world: &World, no_color: &str) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut command = world.command(&["status", "tidy"]);
    command.stdout(terminal).env("NO_COLOR", no_color).env("TERM", "xterm");
    let status = command.status().await.unwrap();
    assert!(status.success());
    // Its own end of the terminal goes with the command; the read then fails as it does when a terminal is gone.
    drop(command);
    let (mut master, mut text) = (fs::File::from(master), Vec::new());
    if let Err(error) = master.read_to_end(&mut text) {
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    assert!(on_a_terminal(&world, "").await.contains("\u{1b}[36mRunning\u{1b}[0m"));
    assert!(!on_a_terminal(&world, "1").await.contains('\u{1b}'));
    let piped = world.run(&["status", "tidy"]).await;
    assert!(piped.out.contains("Running") && !piped.out.contains('\u{1b}'), "{piped:?}");
}
