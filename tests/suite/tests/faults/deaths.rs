//! The operator dies before and after every write of every life, and every write meets a conflict, an answer that is
//! lost, or an API server that is unavailable. The life ends as it should, and leaves nothing.

use anyhow::{Context, Result, ensure};
use drover_suite::{
    faults::{Fault, Faults},
    world::World,
};
use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;

use super::lives::{self, Life, NAME};

/// How many rows run at once.
const AT_ONCE: usize = 8;

/// Lives a whole life with one fault in the first operator's way; another takes over where that one died.
async fn live(life: &Life, fault: Fault) -> Result<Faults> {
    let world = World::of_attempts((life.scripts)()).await?;
    let first = world.operator("operator", fault).await?;
    let faults = first.faults.clone();
    world.session_with(NAME, (life.spec)()).await?;
    let successor = async {
        faults.death().await;
        first.kill().await;
        let _second = world.operator("operator", Fault::None).await?;
        std::future::pending::<Result<()>>().await
    };
    let living = async {
        (life.steer)(&world).await?;
        check(&world, life).await
    };
    tokio::select! {
        ended = successor => ended?,
        lived = living => lived?,
    }
    Ok(faults)
}

/// The right end in the right attempt, one pod, the same artifact, each message once, nothing left.
async fn check(world: &World, life: &Life) -> Result<()> {
    let Some((phase, reason, attempt)) = life.end else { return Ok(()) };
    let session = world.ended(NAME).await?;
    let status = session.status.clone().unwrap_or_default();
    ensure!((status.phase, status.reason) == (phase, Some(reason)), "{status:?}");
    ensure!(status.attempt == attempt, "{status:?}");
    if status.exit_code == Some(0) {
        ensure!(status.artifacts.len() == 1 && status.artifacts[0].name == "out/hello.txt", "{status:?}");
    }
    let current = |pod: &k8s_openapi::api::core::v1::Pod| pod.metadata.deletion_timestamp.is_none();
    let pods = world.until_pods(|pods| pods.iter().filter(|pod| current(pod)).count() <= 1).await?;
    if let (Some(pod), Some(recorded)) = (pods.iter().find(|pod| current(pod)), &status.pod) {
        ensure!(pod.uid() == recorded.uid, "the pod is not the one that ran");
    }
    let delivered: Vec<_> = world.kubelet.deliveries().into_iter().map(|delivery| delivery.message).collect();
    ensure!(delivered == life.delivered, "{delivered:?} were delivered");
    world.reclaimed(NAME).await
}

/// Lives the life once without a fault, and then with this fault at each of its writes.
async fn sweep(life: &Life, fault: impl Fn(usize) -> Fault) -> Result<()> {
    let writes = live(life, Fault::None).await.context("without a fault")?.writes();
    ensure!(writes.len() >= 2, "a life has more writes than {writes:?}");
    stream::iter(1..=writes.len())
        .map(|number| {
            let fault = fault(number);
            let write = writes[number - 1].clone();
            // How often the status is written depends on the machine, so a fault at a high number may find no write.
            async move { live(life, fault).await.with_context(|| format!("{fault:?} at {write}")) }
        })
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// A sweep of every fault over a life.
macro_rules! sweeps {
    ($($name:ident: $life:ident,)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn dying_before_any_write() -> Result<()> {
                sweep(&lives::$life, Fault::DieBefore).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn dying_after_any_write() -> Result<()> {
                sweep(&lives::$life, Fault::DieAfter).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_conflict_on_any_write() -> Result<()> {
                sweep(&lives::$life, Fault::Conflict).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_lost_answer_to_any_write() -> Result<()> {
                sweep(&lives::$life, Fault::LoseAnswer).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn an_api_server_unavailable_at_any_write() -> Result<()> {
                sweep(&lives::$life, Fault::Unavailable).await
            }
        }
    )*};
}

sweeps! {
    one_turn: ONE_TURN,
    invalid: INVALID,
    deleted: DELETED,
    cancelled: CANCELLED,
    suspended: SUSPENDED,
    retried: RETRIED,
    drained: DRAINED,
    conversation: CONVERSATION,
}
