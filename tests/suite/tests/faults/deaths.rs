//! The operator dies before and after every write of a Session's life, and every write meets a conflict, an answer
//! that is lost, or an API server that is unavailable.

use anyhow::{Context, Result, ensure};
use drover_api::state::{Phase, Reason};
use drover_suite::{
    faults::Fault,
    kubelet::Script,
    world::{World, phase},
};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};

/// The writes that every life has; on a slow machine the status is written once or twice more, so that a fault at a
/// higher number may find no write.
const SHORTEST_LIFE: usize = 9;
/// How many rows run at once.
const AT_ONCE: usize = 6;

/// Lives a whole life with one fault in the first operator's way; a second takes over where that one died.
async fn life(fault: Fault) -> Result<Vec<String>> {
    let world = World::new(Script::default()).await?;
    let first = world.operator("operator", fault).await?;
    world.session("row").await?;
    let dies = matches!(fault, Fault::DieBefore(_) | Fault::DieAfter(_));
    let reclaimed_by_the_dead = async {
        world.ended("row").await?;
        world.reclaimed("row").await
    };
    let faults = first.faults.clone();
    if dies {
        // The fault may stand in the life's last writes, which are due after the retention time.
        tokio::select! {
            () = faults.death() => {}
            done = reclaimed_by_the_dead => done?,
        }
        first.kill().await;
        let second = world.operator("operator", Fault::None).await?;
        check(&world).await?;
        second.stop().await?;
    } else {
        check(&world).await?;
        first.stop().await?;
    }
    let writes = faults.writes();
    ensure!(faults.hit() || writes.len() >= SHORTEST_LIFE, "the life ended before the fault: {writes:#?}");
    Ok(writes)
}

/// An operator dies at each write of a life in which the Session is deleted while it runs; nothing is left.
async fn deleted_life(fault: Fault) -> Result<Vec<String>> {
    let world = World::new(Script { endless: true, ..Script::default() }).await?;
    let first = world.operator("operator", fault).await?;
    world.session("row").await?;
    let faults = first.faults.clone();
    let running = |session: &drover_api::Session| phase(session) == Phase::Running;
    tokio::select! {
        () = faults.death() => {}
        session = world.until("row", running) => drop(session?),
    }
    world.sessions().delete("row", &DeleteParams::default()).await?;
    tokio::select! {
        () = faults.death() => {}
        pods = world.until_pods(<[_]>::is_empty) => drop(pods?),
    }
    first.kill().await;
    let second = world.operator("operator", Fault::None).await?;
    world.until_pods(<[_]>::is_empty).await?;
    second.stop().await?;
    Ok(faults.writes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_while_a_session_is_deleted() -> Result<()> {
    let writes = deleted_life(Fault::None).await?;
    for number in 1..=writes.len() {
        let at = |fault| async move { deleted_life(fault).await.with_context(|| format!("{fault:?}")) };
        futures::try_join!(at(Fault::DieBefore(number)), at(Fault::DieAfter(number)))?;
    }
    Ok(())
}

/// An operator dies at each write of a Session whose pod is never accepted; its outcome is noted all the same.
async fn invalid_life(fault: Fault) -> Result<Vec<String>> {
    let world = World::new(Script::default()).await?;
    let first = world.operator("operator", fault).await?;
    let spec = serde_json::json!({ "prompt": "true", "pod": { "tolerations": [{ "operator": "Sometimes" }] } });
    let session = serde_json::from_value(serde_json::json!({ "metadata": { "name": "row" }, "spec": spec }))?;
    world.sessions().create(&PostParams::default(), &session).await?;
    let noted = |session: &drover_api::Session| session.annotations().contains_key("drover.dev/outcome");
    let faults = first.faults.clone();
    tokio::select! {
        () = faults.death() => {}
        session = world.until("row", noted) => drop(session?),
    }
    first.kill().await;
    let second = world.operator("operator", Fault::None).await?;
    let session = world.until("row", noted).await?;
    ensure!(phase(&session) == Phase::Failed, "{:?}", session.status);
    second.stop().await?;
    Ok(faults.writes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_while_a_pod_is_refused_for_good() -> Result<()> {
    let writes = invalid_life(Fault::None).await?;
    for number in 1..=writes.len() {
        let at = |fault| async move { invalid_life(fault).await.with_context(|| format!("{fault:?}")) };
        futures::try_join!(at(Fault::DieBefore(number)), at(Fault::DieAfter(number)))?;
    }
    Ok(())
}

/// The right end, one pod, the same artifact, nothing left.
async fn check(world: &World) -> Result<()> {
    let session = world.ended("row").await?;
    let status = session.status.clone().unwrap_or_default();
    ensure!(status.phase == Phase::Succeeded && status.reason == Some(Reason::Completed), "{status:?}");
    ensure!(status.attempt == Some(1), "{status:?}");
    ensure!(status.artifacts.len() == 1 && status.artifacts[0].name == "out/hello.txt", "{status:?}");
    let pods = world.runner_pods().await?;
    ensure!(pods.len() <= 1, "{} pods", pods.len());
    if let (Some(pod), Some(recorded)) = (pods.first(), &status.pod) {
        ensure!(pod.uid() == recorded.uid, "the pod is not the one that ran");
    }
    world.reclaimed("row").await
}

async fn sweep(fault: impl Fn(usize) -> Fault) -> Result<()> {
    let writes = life(Fault::None).await?;
    ensure!(writes.len() >= SHORTEST_LIFE, "a life has more writes than {writes:?}");
    stream::iter(1..=writes.len())
        .map(|number| {
            let fault = fault(number);
            let write = writes[number - 1].clone();
            async move { life(fault).await.with_context(|| format!("{fault:?} at {write}")) }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_before_any_write() -> Result<()> {
    sweep(Fault::DieBefore).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_after_any_write() -> Result<()> {
    sweep(Fault::DieAfter).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_on_any_write() -> Result<()> {
    sweep(Fault::Conflict).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_any_write() -> Result<()> {
    sweep(Fault::LoseAnswer).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_unavailable_at_any_write() -> Result<()> {
    sweep(Fault::Unavailable).await
}
