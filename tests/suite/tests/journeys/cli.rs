//! `kubectl drover run`, as somebody with the role `edit` uses it.

use anyhow::{Context, Result};
use drover_api::state::Phase;
use drover_suite::installed::{PATIENCE, Role, Tenant, phase};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

#[tokio::test]
async fn run_shows_the_log_while_the_run_goes_on() -> Result<()> {
    let tenant = Tenant::new("cli").await?;
    let user = tenant.user(Role::Edit).await?;
    let script = "echo first; echo aside >&2; while [ ! -e go ]; do sleep 0.1; done; echo second; exit 7";
    let mut run = user.plugin(&["run", "live", "--prompt", script]).spawn()?;
    let mut lines = BufReader::new(run.stdout.take().context("no output")?).lines();

    let first = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
    assert_eq!(first.as_deref(), Some("first"));
    let session = tenant.sessions().get("live").await?;
    assert_eq!(phase(&session), Phase::Running, "what the agent wrote is seen before its end");

    tenant.touch("live", "go").await?;
    let second = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
    assert_eq!(second.as_deref(), Some("second"));
    let ended = tokio::time::timeout(PATIENCE, run.wait()).await??;
    let mut told = String::new();
    run.stderr.take().context("no errors")?.read_to_string(&mut told).await?;
    assert_eq!(ended.code(), Some(7), "{told}");
    for words in ["session live created in namespace", "running on node", "aside", "The agent ended with exit code 7."]
    {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    assert_eq!(lines.next_line().await?, None, "nothing of Drover's own is mixed with the agent's output");
    Ok(())
}

#[tokio::test]
async fn run_exits_as_the_session_does_and_names_what_came_back() -> Result<()> {
    let tenant = Tenant::new("cli").await?;
    let user = tenant.user(Role::Edit).await?;
    let arguments = ["run", "well", "--prompt", "echo $WHO | tee who", "--env", "WHO=me", "--artifact", "who"];
    let answer = user.drover(&arguments).await?;
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "me\n"), "{answer:?}");
    assert!(answer.stderr.contains("succeeded after") && answer.stderr.contains("who"), "{answer:?}");

    let again = user.drover(&arguments).await?;
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("already exists"), "{again:?}");
    let status = user.drover(&["status", "well"]).await?;
    assert!(status.stdout.contains("Succeeded"), "{status:?}");
    Ok(())
}

#[tokio::test]
async fn run_does_not_wait_for_what_cannot_run() -> Result<()> {
    let tenant = Tenant::new("cli").await?;
    let user = tenant.user(Role::Edit).await?;
    let answer = user.drover(&["run", "--framework", "nobody", "--prompt", "hello"]).await?;
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("No framework is called \"nobody\""), "{answer:?}");
    Ok(())
}
