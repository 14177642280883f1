use clap::Parser;
use serde_json::{Value, json};

use super::{PROMPT, RunArgs, session};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

fn manifest(line: &[&str]) -> Value {
    let line = Line::try_parse_from(["run"].iter().chain(line)).unwrap_or_else(|error| panic!("{error}"));
    let prompt = PROMPT.read(line.run.prompt.as_deref(), line.run.prompt_file.as_deref()).unwrap();
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
fn a_conversation_has_its_fields() {
    let line = ["-p", "x", "-i", "--suspend-after", "30m", "--workspace-claim", "10Gi", "--retry", "2", "--ttl", "24h"];
    assert_eq!(
        manifest(&line)["spec"],
        json!({
            "prompt": "x", "framework": "shell", "interactive": true, "idle": { "suspendAfter": "30m" },
            "workspace": { "claim": { "size": "10Gi" } }, "retry": { "limit": 2 }, "ttlAfterFinished": "24h",
        })
    );
}
