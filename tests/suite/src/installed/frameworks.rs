//! The chart's values that journeys need: frameworks beside the chart's own, and shorter times and smaller sizes.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Installed, run};
use crate::api_server::{root, tool};

/// Which frameworks the chart's values name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frameworks {
    /// Those of the chart alone.
    Default,
    /// Those of the journeys, too.
    Journeys,
}

/// The agent of the framework `scripted`, which comes by the values alone.
const SCRIPTED: &str = include_str!("../../../agents/json-lines.sh");

/// An image that the registry of a journey does not give; its host is the node itself.
pub const REFUSED_IMAGE: &str = "127.0.0.1:5997/agents/coder:7";

/// How much of workspace and home is kept, in bytes: 8 MiB.
const MAX_CHECKPOINT: u64 = 8 << 20;

/// An image that holds nothing but one static program: kubectl-drover, which knows how to speak to an API server.
const BARE_IMAGE: &str = "drover.local/drover-suite-bare:dev";

impl Frameworks {
    /// Makes them, beside the images, the only values of the release. Whatever a broken journey left there is gone then.
    pub(super) async fn install(self, installed: &Installed) -> Result<()> {
        let values = installed.values().await?;
        let mut wanted = self.values();
        wanted["images"] = values["images"].clone();
        if values == wanted {
            return Ok(());
        }
        if self == Self::Journeys {
            load_bare(installed).await?;
        }
        installed.upgrade(&wanted).await
    }

    fn values(self) -> Value {
        match self {
            Self::Default => json!({ "frameworks": {} }),
            Self::Journeys => json!({
                "frameworks": {
                    "missing": { "command": ["/no/such", "{promptFile}"] },
                    "say": { "command": ["/bin/echo", "prompt: {prompt}"] },
                    "someone": { "command": ["/bin/sh", "{promptFile}"], "runAsUser": 1234, "env": { "FROM": "framework", "HOW": "framework" } },
                    "scripted": scripted(),
                    "bare": { "image": BARE_IMAGE, "command": ["/kubectl-drover", "status", "--kubeconfig", "{promptFile}"] },
                    "no-image": { "image": "drover.local/no-such-image:1", "command": ["/bin/true"] },
                    "refused-image": { "image": REFUSED_IMAGE, "command": ["/bin/true"] },
                },
                "sessions": { "maxCheckpointBytes": MAX_CHECKPOINT },
                "gateway": { "sweepInterval": "3s" },
            }),
        }
    }
}

/// An agent that speaks JSON lines, as examples/frameworks/scripted.yaml has it.
fn scripted() -> Value {
    json!({
        "command": ["/bin/sh", "-c", SCRIPTED, "scripted", "{promptFile}"],
        "resumeCommand": ["/bin/sh", "-c", SCRIPTED, "scripted", "{promptFile}", "{resumeId}"],
        "interruptedNotice": "say I was interrupted, and begin this message again.",
        "output": { "jsonLines": {
            "text": "/text",
            "question": "/question",
            "resumeId": "/session_id",
            "usage": {
                "inputTokens": "/usage/input_tokens",
                "outputTokens": "/usage/output_tokens",
                "cacheReadTokens": "/usage/cache_read_tokens",
                "cacheWriteTokens": "/usage/cache_write_tokens",
            },
        }},
    })
}

async fn load_bare(installed: &Installed) -> Result<()> {
    let archive = root().join(".run/journeys-bare.tar");
    let plugin = tool("../../target/x86_64-unknown-linux-musl/debug/kubectl-drover");
    let plugin = plugin.canonicalize().context("kubectl-drover is not there: `make build` makes it")?;
    let mut image = Command::new(tool("drover-cluster"));
    image.args(["image", "--no-busybox", "--uid", "65532", "--name", BARE_IMAGE, "--output"]).arg(&archive);
    run(image.arg(format!("{}=/kubectl-drover", plugin.display())), None).await?;
    installed.load(&archive).await?;
    std::fs::remove_file(archive)?;
    Ok(())
}
