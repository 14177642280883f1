//! What not even the admin of a namespace may do to a run, and what they may.

use anyhow::{Context, Result};
use drover_api::{
    Session,
    names::{POD_FINALIZER, annotation, label},
    state::{Phase, Reason},
};
use drover_suite::installed::{Answer, Port, Role, Tenant, User, until};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A pod that restricted Pod Security takes.
fn pod(metadata: &Value) -> Result<Pod> {
    Ok(serde_json::from_value(json!({ "metadata": metadata, "spec": { "containers": [container()] } }))?)
}

fn container() -> Value {
    let security = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": { "drop": ["ALL"] },
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    json!({ "name": "other", "image": "drover.local/none:1", "imagePullPolicy": "Never", "securityContext": security })
}

/// Why the API server refuses something.
fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> String {
    match result {
        Err(kube::Error::Api(status)) => format!("{} {}", status.code, status.message),
        other => format!("{other:?}"),
    }
}

struct Run {
    tenant: Tenant,
    admin: User,
    pod: String,
}

/// A Session that runs, and the admin of its namespace.
async fn running(prefix: &str) -> Result<Run> {
    let tenant = Tenant::new(prefix).await?;
    let admin = tenant.user(Role::Admin).await?;
    tenant.create("guarded", json!({ "prompt": "while [ ! -e go ]; do sleep 0.2; done" })).await?;
    tenant.running("guarded").await?;
    let pod = tenant.pod("guarded").await?.name_any();
    Ok(Run { tenant, admin, pod })
}

impl Run {
    /// The Session ends as if nothing had been tried.
    async fn ends_well(self) -> Result<()> {
        self.tenant.touch("guarded", "go").await?;
        let status = self.tenant.ended("guarded").await?.status.context("no status")?;
        assert_eq!((status.phase, status.reason), (Phase::Succeeded, Some(Reason::Completed)));
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.admin.client.clone(), &self.tenant.namespace)
    }
}

#[tokio::test]
async fn nobody_makes_a_pod_that_looks_like_a_run() -> Result<()> {
    let tenant = Tenant::new("forged").await?;
    let admin = tenant.user(Role::Admin).await?;
    let pods: Api<Pod> = Api::namespaced(admin.client.clone(), &tenant.namespace);
    for (metadata, words) in [
        (json!({ "name": "drover-run-x" }), "names that begin with drover-run-"),
        (json!({ "name": "x", "labels": { label::SESSION: "x" } }), "labels of a pod that begin with drover.dev/"),
        (
            json!({ "name": "x", "annotations": { annotation::PLAN: "2" } }),
            "annotations of a pod that begin with drover.dev/",
        ),
        (json!({ "name": "x", "annotations": { annotation::REPORT: "{}" } }), "written by Drover's gateway alone"),
        (json!({ "name": "x", "finalizers": [POD_FINALIZER] }), "the finalizer drover.dev/observed"),
        (json!({ "generateName": "drover-run-" }), "names that begin with drover-run-"),
    ] {
        let refused = refusal(pods.create(&PostParams::default(), &pod(&metadata)?).await);
        assert!(refused.starts_with("403") && refused.contains(words), "{metadata}: {refused}");
    }
    pods.create(&PostParams::default(), &pod(&json!({ "name": "harmless" }))?).await?;
    Ok(())
}

#[tokio::test]
async fn nobody_changes_the_pod_of_a_run() -> Result<()> {
    let run = running("changed").await?;
    let report = json!({ "metadata": { "annotations": { annotation::REPORT: "{\"sequence\":1,\"last\":true}" } } });
    for (patch, words) in [
        (report.clone(), "the annotation drover.dev/report is written by Drover's gateway alone"),
        (json!({ "metadata": { "labels": { label::SESSION_UID: "another" } } }), "labels of a pod"),
        (json!({ "metadata": { "labels": { label::SESSION: null } } }), "labels of a pod"),
        (json!({ "metadata": { "annotations": { annotation::PLAN: null } } }), "annotations of a pod"),
        (json!({ "metadata": { "finalizers": null } }), "the finalizer drover.dev/observed"),
        (json!({ "spec": { "activeDeadlineSeconds": 1 } }), "the pod of a Session is not changed while it runs"),
    ] {
        let refused = refusal(run.pods().patch(&run.pod, &PatchParams::default(), &Patch::Merge(&patch)).await);
        assert!(refused.starts_with("403") && refused.contains(words), "{patch}: {refused}");
    }
    // The role admin has no right to the subresource status; whoever has it is held by the guard.
    let refused =
        refusal(run.tenant.pods().patch_status(&run.pod, &PatchParams::default(), &Patch::Merge(&report)).await);
    assert!(refused.contains("written by Drover's gateway alone"), "{refused}");
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "team": "red" } } }));
    run.pods().patch(&run.pod, &PatchParams::default(), &patch).await.context("other labels are anybody's")?;
    run.ends_well().await
}

#[tokio::test]
async fn nobody_gets_into_the_broker_but_the_agent_can_be_entered() -> Result<()> {
    let run = running("entered").await?;
    let namespace = run.tenant.namespace.clone();
    let kubectl = async |arguments: &[&str]| -> Result<Answer> {
        let mut all = vec!["--namespace", &namespace];
        all.extend(arguments);
        run.admin.kubectl(&all).await
    };
    let broker = "nobody enters the container broker of a Session's pod";
    for (arguments, words) in [
        (vec!["exec", &run.pod, "--container", "broker", "--", "/drover-runner", "--version"], broker),
        (vec!["attach", &run.pod, "--container", "broker"], broker),
        (vec!["port-forward", &run.pod, "18080:8080"], "no port of a Session's pod is forwarded"),
    ] {
        let answer = kubectl(&arguments).await?;
        assert!(answer.code != 0 && answer.stderr.contains(words), "{arguments:?}: {answer:?}");
    }
    let debug = json!({ "spec": { "ephemeralContainers": [container()] } });
    let (pods, debug) = (run.tenant.pods(), Patch::Strategic(debug));
    let refused = refusal(pods.patch_ephemeral_containers(&run.pod, &PatchParams::default(), &debug).await);
    assert!(refused.contains("no container is added to a Session's pod"), "{refused}");

    let inside = kubectl(&["exec", &run.pod, "--container", "agent", "--", "/bin/echo", "inside"]).await?;
    assert_eq!((inside.code, inside.stdout.as_str()), (0, "inside\n"), "{inside:?}");
    run.ends_well().await
}

#[tokio::test]
async fn nobody_gets_a_token_for_the_gateway() -> Result<()> {
    let run = running("token").await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(run.admin.client.clone(), &run.tenant.namespace);
    let pod = run.tenant.pod("guarded").await?;
    let bound = json!({ "kind": "Pod", "apiVersion": "v1", "name": run.pod, "uid": pod.uid() });
    for audiences in
        [json!(["drover-gateway"]), json!(["https://kubernetes.default.svc.cluster.local", "drover-gateway"])]
    {
        let request = json!({ "spec": { "audiences": audiences, "boundObjectRef": bound, "expirationSeconds": 600 } });
        let request: TokenRequest = serde_json::from_value(request)?;
        let made = accounts.create_token_request("drover-runner", &PostParams::default(), &request).await;
        let refused = refusal(made.map(|_| "a token"));
        assert!(refused.contains("tokens for the audience drover-gateway are for runner pods"), "{refused}");
    }
    run.ends_well().await
}

/// A kubelet requests tokens for whatever pod asks for them; the gateway takes only those of runner pods.
#[tokio::test]
async fn another_pod_has_a_token_for_the_gateway_and_gets_nothing() -> Result<()> {
    let tenant = Tenant::new("borrowed").await?;
    let admin = tenant.user(Role::Admin).await?;
    // The first Session of a namespace brings the service account.
    tenant.run("first", json!({ "prompt": "true" })).await?;
    let mut container = container();
    container["image"] = json!("drover.local/drover-shell:dev");
    container["command"] = json!(["/bin/sleep", "3600"]);
    container["securityContext"]["runAsUser"] = json!(65532);
    container["volumeMounts"] = json!([{ "name": "token", "mountPath": "/token" }]);
    let projection = json!({ "serviceAccountToken": { "audience": "drover-gateway", "path": "token" } });
    let spec = json!({
        "serviceAccountName": "drover-runner",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{ "name": "token", "projected": { "sources": [projection] } }],
    });
    let pods: Api<Pod> = Api::namespaced(admin.client.clone(), &tenant.namespace);
    let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "borrower" }, "spec": spec }))?;
    pods.create(&PostParams::default(), &pod).await?;
    let phase = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.clone()?.phase).unwrap_or_default();
    until(&pods, "borrower", |pod| phase(pod) == "Running").await?;
    let token = admin.kubectl(&["exec", "borrower", "--", "/bin/cat", "/token/token"]).await?;
    assert_eq!(token.code, 0, "{}", token.stderr);

    let gateway = tenant.gateway(Port::Runner).await?;
    for (method, path) in [(Method::GET, "/runner/v1/conversation"), (Method::PUT, "/runner/v1/logs/1")] {
        let answer = gateway.request(method, path, Some(&token.stdout)).body("{}").send().await?;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn nobody_says_how_a_session_ended_but_its_pod_may_be_deleted() -> Result<()> {
    let run = running("outcome").await?;
    let sessions: Api<Session> = Api::namespaced(run.admin.client.clone(), &run.tenant.namespace);
    let forged = json!({ "metadata": { "annotations": { annotation::OUTCOME: "{}" } } });
    let refused = refusal(sessions.patch("guarded", &PatchParams::default(), &Patch::Merge(forged)).await);
    assert!(refused.contains("the annotation drover.dev/outcome is changed by Drover's operator alone"), "{refused}");
    let status = json!({ "status": { "phase": "Succeeded" } });
    let refused = refusal(sessions.patch_status("guarded", &PatchParams::default(), &Patch::Merge(status)).await);
    assert!(refused.starts_with("403"), "{refused}");

    run.pods().delete(&run.pod, &DeleteParams::default()).await?;
    let status = run.tenant.ended("guarded").await?.status.context("no status")?;
    assert_eq!((status.phase, status.reason), (Phase::Failed, Some(Reason::PodDeleted)));
    run.tenant.until_no_pods().await
}

#[tokio::test]
async fn nobody_speaks_in_anothers_name() -> Result<()> {
    let tenant = Tenant::new("names").await?;
    let edit = tenant.user(Role::Edit).await?;
    let sessions: Api<Session> = Api::namespaced(edit.client.clone(), &tenant.namespace);
    tenant.create("named", json!({ "prompt": "echo first", "interactive": true })).await?;
    let change = async |spec: Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        sessions.patch("named", &PatchParams::default(), &patch).await
    };
    let say = |id: &str, by: &str| json!({ "id": id, "text": "true", "by": by });
    for (mut spec, words) in [
        (json!({ "messages": [say("m", "boss")] }), "by of a message in spec.messages names the user who adds it"),
        (json!({ "suspend": { "by": "boss" } }), "spec.suspend.by names the user who suspends"),
        (json!({ "cancel": { "by": "boss" } }), "spec.cancel.by names the user who cancels"),
    ] {
        let words = format!("{words}: write {}, or leave it out", edit.name);
        let refused = refusal(change(spec.clone()).await);
        assert!(refused.starts_with("403") && refused.contains(&words), "{spec}: {refused}");
        spec["prompt"] = json!("true");
        let session = Session::new("forged", serde_json::from_value(spec.clone())?);
        let refused = refusal(sessions.create(&PostParams::default(), &session).await);
        assert!(refused.starts_with("403") && refused.contains(&words), "created with {spec}: {refused}");
    }
    let (mine, nobodys) = (say("mine", &edit.name), json!({ "id": "nobodys", "text": "true" }));
    change(json!({ "messages": [mine, nobodys] })).await.context("one's own name, and none")?;
    // What stands there may stay, whoever writes; what is new may not borrow a name.
    let with = |more: Value| json!({ "messages": [mine, nobodys, more] });
    let refused = tenant.change("named", with(say("more", &edit.name))).await.unwrap_err().to_string();
    assert!(refused.contains("by of a message in spec.messages names the user who adds it"), "{refused}");
    tenant.change("named", with(json!({ "id": "more", "text": "true" }))).await?;
    tenant.dealt_with("named", "more").await?;

    change(json!({ "suspend": { "by": edit.name } })).await?;
    let suspended = tenant.stands("named", Phase::Suspended, Reason::SuspendRequested).await?;
    let message = suspended.status.and_then(|status| status.message).unwrap_or_default();
    assert!(message.starts_with(&format!("The Session is suspended by {}.", edit.name)), "{message}");
    change(json!({ "cancel": { "by": edit.name } })).await?;
    let ended = tenant.ended("named").await?.status.context("no status")?;
    assert_eq!(ended.message, Some(format!("The Session was cancelled by {}.", edit.name)));
    Ok(())
}
