//! Attempts that fail, and what comes after them.

use std::time::Duration;

use anyhow::{Context, Result};
use drover_api::state::{Phase, Reason};
use drover_suite::installed::{Tenant, said, turns};
use serde_json::json;

/// On a claim the workspace is as the attempt before left it, so this one knows.
#[tokio::test]
async fn the_second_attempt_succeeds_after_a_pause() -> Result<()> {
    const PAUSE: Duration = Duration::from_secs(3);
    let tenant = Tenant::new("retry").await?;
    let spec = json!({
        "prompt": "if [ -e tried ]; then echo well; else touch tried; echo badly; exit 5; fi",
        "retry": { "limit": 3, "backoff": "3s" },
        "workspace": { "claim": { "size": "16Mi" } },
    });
    tenant.create("tries", spec).await?;
    let retrying = tenant.stands("tries", Phase::Pending, Reason::Retrying).await?.status.context("no status")?;
    let message = retrying.message.unwrap_or_default();
    let words = "Attempt 1 ended (NonZeroExit): The agent ended with exit code 5. Attempt 2 follows.";
    assert_eq!((message.as_str(), retrying.failures), (words, 1));
    let next = retrying.next_attempt_at.context("no next attempt")?.0;

    let ended = tenant.ended("tries").await?;
    assert_eq!(turns(&ended), [("prompt", 2)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.reason, status.exit_code), (Phase::Succeeded, Some(Reason::Completed), Some(0)));
    assert_eq!((status.attempt, status.failures, status.next_attempt_at), (Some(2), 1, None));
    let log = tenant.log("tries").await?;
    assert_eq!(said(&log), ["badly", "well"]);
    let time = |attempt: u32, from_end: bool| {
        let mut events = log.iter().filter(|event| event.id.attempt == attempt);
        let event = if from_end { events.next_back() } else { events.next() };
        event.context("no event")?.time.parse::<jiff::Timestamp>().context("no time")
    };
    let (failed, began) = (time(1, true)?, time(2, false)?);
    assert!(began >= next, "the second attempt began at {began}, before {next}");
    let pause = Duration::try_from(next.duration_since(failed))?;
    assert!(pause + Duration::from_secs(1) >= PAUSE, "the pause from {failed} to {next} is too short");
    Ok(())
}

/// Turns that were finished stay so; the one that fails begins each time with the files of the turn before.
#[tokio::test]
async fn all_attempts_fail() -> Result<()> {
    let tenant = Tenant::new("retry").await?;
    let spec = json!({
        "prompt": "echo one > notes; echo first",
        "messages": [{ "id": "bad", "text": "echo two >> notes; wc -l < notes; exit 7" }],
        "retry": { "limit": 1, "backoff": "1s" },
    });
    let ended = tenant.run("fails", spec).await?;
    assert_eq!(turns(&ended), [("prompt", 1)]);
    let status = ended.status.context("no status")?;
    assert_eq!((status.phase, status.reason, status.exit_code), (Phase::Failed, Some(Reason::NonZeroExit), Some(7)));
    assert_eq!((status.attempt, status.failures), (Some(2), 2));
    let message = status.message.unwrap_or_default();
    assert!(message.starts_with("The agent ended with exit code 7. Its log: kubectl drover logs fails"), "{message}");
    assert_eq!(said(&tenant.log("fails").await?), ["first", "2", "2"]);
    Ok(())
}

/// Nothing is tried again that would end the same way.
#[tokio::test]
async fn a_command_that_does_not_exist_is_not_tried_again() -> Result<()> {
    let tenant = Tenant::new("retry").await?;
    let spec = json!({ "framework": "missing", "prompt": "hello", "retry": { "limit": 3, "backoff": "1s" } });
    let status = tenant.run("missing", spec).await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::CommandNotFound)));
    assert_eq!((status.attempt, status.failures), (Some(1), 0));
    Ok(())
}
