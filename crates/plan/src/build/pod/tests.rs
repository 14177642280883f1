use drover_api::session::{EnvVar, PodOverrides, SessionSpec};

use super::*;

fn pod_of(overrides: PodOverrides, timeout: Option<&str>) -> Pod {
    let mut spec: SessionSpec = serde_json::from_value(json!({ "prompt": "a secret plan", "framework": "f" })).unwrap();
    spec.messages = serde_json::from_value(json!([{ "id": "m", "text": "a secret answer" }])).unwrap();
    spec.pod = Some(overrides);
    let session = Session::new("s", spec);
    let framework = Framework {
        image: "i".to_owned(),
        command: vec!["agent".to_owned(), "$(HOME)".to_owned()],
        resume_command: Vec::new(),
        interrupted_notice: String::new(),
        output: drover_api::framework::OutputFormat::Text,
        env: [("A".to_owned(), "framework".to_owned()), ("B".to_owned(), "framework".to_owned())].into(),
        run_as_user: Some(1234),
    };
    let settings = Settings {
        runner_image: "r".to_owned(),
        image_pull_policy: "Always".to_owned(),
        gateway_runner_url: "https://g".to_owned(),
        gateway_ca: "pem".to_owned(),
        default_timeout: drover_api::Duration::from_secs(60).unwrap(),
        pod_retention: std::time::Duration::ZERO,
        start_timeout: drover_api::Duration::from_secs(3600).unwrap(),
        reporting_patience: drover_api::Duration::from_secs(120).unwrap(),
        max_checkpoint_bytes: 1 << 30,
        status_delay: std::time::Duration::ZERO,
    };
    let timeout = timeout.map_or(settings.default_timeout, |text| text.parse().unwrap());
    pod(Recipe {
        session: &session,
        framework: &framework,
        attempt: 1,
        timeout,
        interrupted: true,
        settings: &settings,
    })
}

fn agent(pod: &Pod) -> k8s_openapi::api::core::v1::Container {
    pod.spec.as_ref().unwrap().containers[0].clone()
}

#[test]
fn a_sessions_environment_stands_above_its_frameworks_and_is_taken_literally() {
    let env = vec![EnvVar { name: "A".to_owned(), value: "$(B)".to_owned() }];
    let pod = pod_of(PodOverrides { env, ..PodOverrides::default() }, None);
    let value = |name: &str| agent(&pod).env.unwrap().into_iter().find(|v| v.name == name).and_then(|v| v.value);
    assert_eq!(value("A").as_deref(), Some("$$(B)"));
    assert_eq!(value("B").as_deref(), Some("framework"));
    assert_eq!(agent(&pod).command.unwrap().last().unwrap(), r#"{"command":["agent","$$(HOME)"]}"#);
}

#[test]
fn neither_prompt_nor_messages_stand_anywhere_in_the_pod() {
    let text = serde_json::to_string(&pod_of(PodOverrides::default(), None)).unwrap();
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn the_agent_sees_neither_token_nor_gateway() {
    let pod = pod_of(PodOverrides::default(), None);
    let mounts = agent(&pod).volume_mounts.unwrap();
    let brokers_own = ["drover-token", "drover-journal", "drover-state"];
    assert!(!mounts.iter().any(|mount| brokers_own.contains(&mount.name.as_str())), "{mounts:?}");
    assert!(!agent(&pod).env.unwrap().iter().any(|variable| variable.name.starts_with("DROVER_")));
    assert_eq!(pod.spec.unwrap().automount_service_account_token, Some(false));
}

#[test]
fn the_deadline_leaves_exec_its_own() {
    let pod = pod_of(PodOverrides::default(), Some("10s"));
    assert_eq!(pod.spec.as_ref().unwrap().active_deadline_seconds, Some(10 + 3600 + 120));
    assert!(agent(&pod).command.unwrap().windows(2).any(|pair| pair == ["--timeout", "10"]));
}

#[test]
fn a_users_own_patience_with_a_node_is_not_doubled() {
    let own = Toleration {
        key: Some("node.kubernetes.io/not-ready".to_owned()),
        operator: Some("Exists".to_owned()),
        ..Toleration::default()
    };
    let pod = pod_of(PodOverrides { tolerations: vec![own], ..PodOverrides::default() }, None);
    let tolerations = pod.spec.unwrap().tolerations.unwrap();
    let keys: Vec<_> = tolerations.iter().filter_map(|t| t.key.as_deref()).collect();
    assert_eq!(keys, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
}

#[test]
fn a_claim_holds_what_outlives_the_pod() {
    let mut session = Session::new("s", serde_json::from_value(json!({ "prompt": "p" })).unwrap());
    session.spec.workspace = serde_json::from_value(json!({ "claim": { "size": "5Gi" } })).unwrap();
    let claim = crate::build::claim(&session).unwrap();
    assert_eq!(claim.metadata.name.as_deref(), Some(&*run_name(&session)));
    let mounts = volumes::for_broker(&session);
    let kept: Vec<_> = mounts.iter().filter(|m| m.name == "kept").filter_map(|m| m.sub_path.as_deref()).collect();
    assert_eq!(kept, ["drover-state", "workspace", "home"]);
    let named = |volume: &k8s_openapi::api::core::v1::Volume| {
        volume.persistent_volume_claim.as_ref().map(|source| source.claim_name.clone())
    };
    assert_eq!(volumes::all(&session).iter().filter_map(named).collect::<Vec<_>>(), [run_name(&session)]);
    assert!(!volumes::for_agent(&session).iter().any(|m| m.sub_path.as_deref() == Some("drover-state")));
}

#[test]
fn what_may_change_later_does_not_change_the_plan() {
    let mut session = Session::new("s", serde_json::from_value(json!({ "prompt": "p" })).unwrap());
    let before = plan_hash(&session);
    session.spec.messages = serde_json::from_value(json!([{ "id": "m", "text": "more" }])).unwrap();
    session.spec.suspend = Some(drover_api::session::Suspend::default());
    assert_eq!(plan_hash(&session), before);
    session.spec.framework = "other".to_owned();
    assert_ne!(plan_hash(&session), before);
}
