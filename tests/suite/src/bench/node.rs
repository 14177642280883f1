//! What people wait for, on a real node with real pods: until an agent begins, and until one that is cancelled is dead.
//!
//! Agents tell the time by `/proc/uptime`, which is the same in all containers of a machine and outside of them. So the
//! node must be on this machine.

use anyhow::{Context, Result, ensure};
use drover_api::{
    log::{Event, Kind},
    state::Phase,
};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{DeleteParams, LogParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{
    delays::median,
    report::{Bar, Report},
};
use crate::installed::{Gateway, Port, Role, Tenant, User, phase, said, until};

/// How often each of the two is begun, in turns, and how often an agent is cancelled.
const BEGINNINGS: usize = 10;
const CANCELLATIONS: usize = 5;

/// Writes the seconds since the machine's start.
const TELL: &str = "read -r up _ < /proc/uptime; echo $up";
/// Does so until it is ended.
const BEAT: &str = "while :; do read -r up _ < /proc/uptime; echo $up; sleep 0.05; done";
/// The same, and does not listen to SIGTERM.
const BEAT_DEAF: &str = "trap '' TERM; while :; do read -r up _ < /proc/uptime; echo $up; sleep 0.05; done";

/// Measures, or says in the report why not.
pub(super) async fn measure(report: &mut Report, divide: usize) -> Result<()> {
    const WHAT: &str = "cancellation and the agent's first instruction";
    if std::env::var_os("DROVER_KUBECONFIG").is_some() {
        report.not_measured(WHAT, "DROVER_KUBECONFIG names a cluster whose clock may be another than this machine's");
        return Ok(());
    }
    let tenant = match Tenant::new("bench").await {
        Ok(tenant) => tenant,
        Err(error) => {
            report.not_measured(WHAT, &format!("no node can be had: {error:#}"));
            return Ok(());
        }
    };
    beginnings(&tenant, report, BEGINNINGS.div_ceil(divide)).await?;
    for (agent, script) in [("that obeys SIGTERM", BEAT), ("that ignores SIGTERM", BEAT_DEAF)] {
        cancellations(&tenant, report, agent, script, CANCELLATIONS.div_ceil(divide)).await?;
    }
    Ok(())
}

/// Seconds since the machine's start.
fn now() -> Result<f64> {
    seconds(&std::fs::read_to_string("/proc/uptime")?)
}

fn seconds(text: &str) -> Result<f64> {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().with_context(|| format!("{text:?} is not a time"))
}

/// From the creation to the agent's first instruction, beside a bare pod's.
async fn beginnings(tenant: &Tenant, report: &mut Report, runs: usize) -> Result<()> {
    // What is needed once for a namespace and a node is made by the first ones, which do not count.
    session(tenant, "first").await?;
    let like = tenant.pod("first").await?;
    bare(tenant, "bare-first", &like).await?;
    let (mut sessions, mut pods) = (Vec::new(), Vec::new());
    for run in 0..runs {
        sessions.push(session(tenant, &format!("session-{run}")).await?);
        pods.push(bare(tenant, &format!("bare-{run}"), &like).await?);
    }
    let (session, pod) = (median(sessions), median(pods));
    report.row(&format!("Session created → agent's first instruction, median of {runs}"), session, "s", Bar::None);
    report.row(&format!("bare pod created → its first instruction, median of {runs}"), pod, "s", Bar::None);
    report.row("agent's first instruction, as many times a bare pod's", session / pod, "", Bar::AtMost(1.5));
    Ok(())
}

async fn session(tenant: &Tenant, name: &str) -> Result<f64> {
    tenant.create(name, json!({ "prompt": TELL })).await?;
    let created = now()?;
    let ended = tenant.ended(name).await?;
    ensure!(phase(&ended) == Phase::Succeeded, "{name} did not succeed: {:?}", ended.status);
    let log = tenant.log(name).await?;
    Ok(seconds(said(&log).first().context("the agent said nothing")?)? - created)
}

/// A pod without Drover that has as many containers, of the same images, as Drover's.
async fn bare(tenant: &Tenant, name: &str, like: &Pod) -> Result<f64> {
    let pods = tenant.pods();
    let pod: Pod = serde_json::from_value(bare_pod(name, like)?)?;
    pods.create(&PostParams::default(), &pod).await?;
    let created = now()?;
    let is_over = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded");
    until(&pods, name, |pod| pod.is_some_and(is_over)).await?;
    let text = pods.logs(name, &LogParams { container: Some("main".to_owned()), ..LogParams::default() }).await?;
    pods.delete(name, &DeleteParams::default()).await?;
    Ok(seconds(&text)? - created)
}

fn bare_pod(name: &str, like: &Pod) -> Result<Value> {
    let spec = like.spec.as_ref().context("the pod has no spec")?;
    let image = |containers: Option<&Vec<Container>>| {
        containers.and_then(|all| all.first()?.image.clone()).context("the pod's container has no image")
    };
    let (runner, agent) = (image(spec.init_containers.as_ref())?, image(Some(&spec.containers))?);
    let container = |name: &str, image: &str| {
        json!({
            "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
            "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        })
    };
    let (mut init, mut sidecar, mut main) =
        (container("init", &runner), container("sidecar", &agent), container("main", &agent));
    init["args"] = json!(["--version"]);
    sidecar["restartPolicy"] = json!("Always");
    // The runner's image has nothing that only waits, so this is the agent's.
    sidecar["command"] = json!(["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]);
    main["command"] = json!(["/bin/sh", "-c", TELL]);
    Ok(json!({
        "metadata": { "name": name },
        "spec": {
            "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "initContainers": [init, sidecar],
            "containers": [main],
        },
    }))
}

/// From the patch that cancels to the agent's last sign of life.
async fn cancellations(tenant: &Tenant, report: &mut Report, agent: &str, script: &str, runs: usize) -> Result<()> {
    let user = tenant.user(Role::View).await?;
    let gateway = tenant.gateway(Port::Api).await?;
    let mut took = Vec::new();
    for run in 0..runs {
        let name = format!("{}-{run}", agent.replace(' ', "-").to_lowercase());
        took.push(cancel(tenant, (&user, &gateway), &name, script).await?);
    }
    let longest = took.iter().copied().fold(f64::NAN, f64::max);
    report.row(&format!("cancel → agent {agent} dead, median of {runs}"), median(took), "s", Bar::None);
    report.row(&format!("cancel → agent {agent} dead, longest of {runs}"), longest, "s", Bar::AtMost(5.0));
    Ok(())
}

async fn cancel(tenant: &Tenant, (user, gateway): (&User, &Gateway), name: &str, script: &str) -> Result<f64> {
    tenant.create(name, json!({ "prompt": script })).await?;
    tenant.running(name).await?;
    let mut stream = gateway.follow(&tenant.namespace, name, &user.token, None).await?;
    let mut lives = false;
    while !lives {
        let event = stream.next().await?.context("the agent ended before it was cancelled")?;
        lives = serde_json::from_str::<Event>(&event.data).is_ok_and(|event| event.kind == Kind::Agent);
    }
    let cancelled = now()?;
    let patch = Patch::Merge(json!({ "spec": { "cancel": {} } }));
    tenant.sessions().patch(name, &PatchParams::default(), &patch).await?;
    let ended = tenant.ended(name).await?;
    ensure!(phase(&ended) == Phase::Cancelled, "{name} was not cancelled: {:?}", ended.status);
    let log = gateway.log(&tenant.namespace, name, &user.token, 1024 * 1024).await?;
    let last = log.iter().rposition(|event| event.kind == Kind::Agent).context("the agent said nothing")?;
    // `exec` has the last word, once the agent is dead and all that it wrote was read.
    ensure!(log[last + 1..].iter().any(|event| event.kind == Kind::System), "the end of the log of {name} is missing");
    Ok(seconds(&log[last].text)? - cancelled)
}
