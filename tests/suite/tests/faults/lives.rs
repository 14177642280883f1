//! The lives of a Session that the sweeps put faults into: one row for each way through its states.

use std::{pin::Pin, time::Duration};

use anyhow::{Result, ensure};
use drover_api::{
    Session,
    state::{Phase, Reason},
};
use drover_suite::{
    kubelet::Script,
    world::{RETENTION, World, phase},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

/// The name of the Session in every life.
pub const NAME: &str = "row";

type Steps<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A life.
pub struct Life {
    /// What its agents do, attempt by attempt.
    pub scripts: fn() -> Vec<Script>,
    /// What is asked for.
    pub spec: fn() -> Value,
    /// What its author does meanwhile.
    pub steer: for<'a> fn(&'a World) -> Steps<'a>,
    /// How it ends, and in which attempt; none when the Session is deleted.
    pub end: Option<(Phase, Reason, Option<u32>)>,
    /// Which messages are given to an agent, each once.
    pub delivered: &'static [&'static str],
}

fn plain() -> Value {
    json!({ "prompt": "true", "artifacts": ["out/*"] })
}

fn nothing(_: &World) -> Steps<'_> {
    Box::pin(async { Ok(()) })
}

async fn until(world: &World, wanted: Phase) -> Result<Session> {
    world.until(NAME, |session| phase(session) == wanted).await
}

/// One turn, with an artifact.
pub const ONE_TURN: Life = Life {
    scripts: || vec![Script::default()],
    spec: plain,
    steer: nothing,
    end: Some((Phase::Succeeded, Reason::Completed, Some(1))),
    delivered: &[],
};

/// A pod that the API server never takes.
pub const INVALID: Life = Life {
    scripts: || vec![Script::default()],
    spec: || json!({ "prompt": "true", "pod": { "tolerations": [{ "operator": "Sometimes" }] } }),
    steer: nothing,
    end: Some((Phase::Failed, Reason::InvalidPod, None)),
    delivered: &[],
};

/// Deleted while its agent runs.
pub const DELETED: Life = Life {
    scripts: || vec![Script::endless()],
    spec: plain,
    steer: |world| {
        Box::pin(async {
            until(world, Phase::Running).await?;
            world.sessions().delete(NAME, &DeleteParams::default()).await?;
            world.until_pods(<[_]>::is_empty).await?;
            Ok(())
        })
    },
    end: None,
    delivered: &[],
};

/// Cancelled while its agent runs.
pub const CANCELLED: Life = Life {
    scripts: || vec![Script::endless()],
    spec: plain,
    steer: |world| {
        Box::pin(async {
            until(world, Phase::Running).await?;
            world.change(NAME, json!({ "cancel": {} })).await?;
            Ok(())
        })
    },
    end: Some((Phase::Cancelled, Reason::CancelRequested, Some(1))),
    delivered: &[],
};

/// Suspended in its turn, resumed, and done in the second attempt.
pub const SUSPENDED: Life = Life {
    scripts: || vec![Script::endless(), Script::default()],
    spec: plain,
    steer: |world| {
        Box::pin(async {
            until(world, Phase::Running).await?;
            world.change(NAME, json!({ "suspend": {} })).await?;
            until(world, Phase::Suspended).await?;
            world.change(NAME, json!({ "suspend": null })).await?;
            Ok(())
        })
    },
    end: Some((Phase::Succeeded, Reason::Completed, Some(2))),
    delivered: &[],
};

/// Failed once, retried, and done; then its claim goes with its time to live.
pub const RETRIED: Life = Life {
    scripts: || vec![Script::exits(3), Script::default()],
    spec: || {
        json!({
            "prompt": "true", "artifacts": ["out/*"], "retry": { "limit": 1, "backoff": "1s" },
            "workspace": { "claim": { "size": "1Gi" } }, "ttlAfterFinished": "1h",
        })
    },
    steer: |world| {
        Box::pin(async {
            world.ended(NAME).await?;
            world.time.advance(RETENTION);
            world.until(NAME, |session| session.annotations().contains_key("drover.dev/outcome")).await?;
            world.time.advance(Duration::from_secs(3600));
            world.until(NAME, has_expired).await?;
            ensure!(live_claims(world).await? == 0, "the claim is left");
            Ok(())
        })
    },
    end: Some((Phase::Succeeded, Reason::Completed, Some(2))),
    delivered: &[],
};

/// Whether nothing of a finished Session is left to go.
fn has_expired(session: &Session) -> bool {
    session.annotations().get("drover.dev/outcome").is_some_and(|outcome| !outcome.contains("expiresAt"))
}

/// How many claims there are whose deletion nobody asked for; no kubelet is there that would let them go.
async fn live_claims(world: &World) -> Result<usize> {
    let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(world.client.clone(), &world.namespace);
    let claims = claims.list(&ListParams::default()).await?;
    Ok(claims.items.iter().filter(|claim| claim.metadata.deletion_timestamp.is_none()).count())
}

/// Evicted once, and done in the second attempt.
pub const DRAINED: Life = Life {
    scripts: || vec![Script { disruption: Some("EvictionByEvictionAPI"), ..Script::exits(143) }, Script::default()],
    spec: plain,
    steer: nothing,
    end: Some((Phase::Succeeded, Reason::Completed, Some(2))),
    delivered: &[],
};

/// A conversation: messages while the agent waits, while it is suspended, and an end by its author.
pub const CONVERSATION: Life = Life {
    scripts: || vec![Script::talks()],
    spec: || json!({ "prompt": "true", "artifacts": ["out/*"], "interactive": true }),
    steer: |world| {
        Box::pin(async {
            until(world, Phase::Waiting).await?;
            world.say(NAME, "one").await?;
            world.say(NAME, "two").await?;
            dealt_with(world, 3).await?;
            world.change(NAME, json!({ "suspend": {} })).await?;
            until(world, Phase::Suspended).await?;
            world.say(NAME, "three").await?;
            world.change(NAME, json!({ "suspend": null })).await?;
            dealt_with(world, 4).await?;
            world.change(NAME, json!({ "interactive": false })).await?;
            Ok(())
        })
    },
    end: Some((Phase::Succeeded, Reason::Completed, Some(2))),
    delivered: &["prompt", "one", "two", "three"],
};

/// Waits until the agent has dealt with so many messages and waits for more.
async fn dealt_with(world: &World, turns: usize) -> Result<Session> {
    let done = |session: &Session| session.status.as_ref().is_some_and(|status| status.turns.len() == turns);
    world.until(NAME, |session| done(session) && phase(session) == Phase::Waiting).await
}
