//! The frameworks that journeys need beside the chart's own.

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

/// An image that holds nothing but one static program: kubectl-drover, which knows how to speak to an API server.
const BARE_IMAGE: &str = "drover.local/drover-suite-bare:dev";

impl Frameworks {
    /// Makes them, beside the images, the only values of the release. Whatever a broken journey left there is gone then.
    pub(super) async fn install(self, installed: &Installed) -> Result<()> {
        let values = installed.values().await?;
        let wanted = json!({ "images": values["images"], "frameworks": self.values() });
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
            Self::Default => json!({}),
            Self::Journeys => json!({
                "missing": { "command": ["/no/such", "{promptFile}"] },
                "say": { "command": ["/bin/echo", "prompt: {prompt}"] },
                "someone": { "command": ["/bin/sh", "{promptFile}"], "runAsUser": 1234, "env": { "FROM": "framework", "HOW": "framework" } },
                "bare": { "image": BARE_IMAGE, "command": ["/kubectl-drover", "status", "--kubeconfig", "{promptFile}"] },
                "no-image": { "image": "drover.local/no-such-image:1", "command": ["/bin/true"] },
            }),
        }
    }
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
