use clap::Parser;
use serde_json::{Value, json};

use super::{MAX_PROMPT, RunArgs, prompt, session};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

fn manifest(line: &[&str]) -> Value {
    let line = Line::try_parse_from(["run"].iter().chain(line)).unwrap_or_else(|error| panic!("{error}"));
    let prompt = prompt(line.run.prompt.as_deref(), line.run.prompt_file.as_deref()).unwrap();
    serde_json::to_value(session(&line.run, "team", prompt)).unwrap()
}

#[test]
fn the_least_is_a_prompt() {
    assert_eq!(
        manifest(&["--prompt", "true"]),
        json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "Session",
            "metadata": { "generateName": "run-", "namespace": "team", "labels": { "drover.dev/origin": "plugin" } },
            "spec": { "prompt": "true", "framework": "shell" },
        })
    );
}

#[test]
fn a_name_of_ones_own_is_no_plugins_name() {
    assert_eq!(manifest(&["tidy", "-p", "true"])["metadata"], json!({ "name": "tidy", "namespace": "team" }));
}

#[test]
fn flags_become_fields() {
    let line = [
        "--prompt",
        "x",
        "--framework",
        "aider",
        "--timeout",
        "90m",
        "--artifact",
        "a",
        "--artifact",
        "b/**",
        "--env",
        "A=1=2",
        "--env",
        "B=",
        "--requests",
        "cpu=500m",
        "--limits",
        "cpu=1,memory=1Gi",
    ];
    assert_eq!(
        manifest(&line)["spec"],
        json!({
            "prompt": "x", "framework": "aider", "timeout": "1h30m", "artifacts": ["a", "b/**"],
            "pod": {
                "env": [{ "name": "A", "value": "1=2" }, { "name": "B", "value": "" }],
                "resources": { "requests": { "cpu": "500m" }, "limits": { "cpu": "1", "memory": "1Gi" } },
            },
        })
    );
}

#[test]
fn a_prompt_can_come_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "echo a\necho b\n").unwrap();
    assert_eq!(prompt(None, Some(file.path())).unwrap(), "echo a\necho b\n");
}

#[test]
fn a_prompt_that_cannot_be_run_is_refused_here() {
    let message = |text: &str| prompt(Some(text), None).unwrap_err().to_string();
    assert_eq!(message(" \n"), "the prompt is empty: say what the agent is to do");
    assert!(message(&"x".repeat(MAX_PROMPT + 1)).contains("longer than 32768 characters"));
    assert!(prompt(Some(&"ü".repeat(MAX_PROMPT)), None).is_ok());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x".repeat(8 * MAX_PROMPT)).unwrap();
    assert!(prompt(None, Some(file.path())).unwrap_err().to_string().contains("longer than"));
    std::fs::write(file.path(), b"\xff").unwrap();
    assert!(format!("{:#}", prompt(None, Some(file.path())).unwrap_err()).contains("not UTF-8"));
}
