use drover_api::session::{EnvVar, PodOverrides, SessionSpec};

use super::*;

fn pod_of(overrides: PodOverrides, timeout: Option<&str>) -> Pod {
    let spec = SessionSpec {
        prompt: "a secret plan".to_owned(),
        framework: "f".to_owned(),
        timeout: timeout.map(|text| text.parse().unwrap()),
        artifacts: Vec::new(),
        pod: Some(overrides),
    };
    let session = Session::new("s", spec);
    let framework = Framework {
        image: "i".to_owned(),
        command: vec!["agent".to_owned(), "$(HOME)".to_owned()],
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
        status_delay: std::time::Duration::ZERO,
    };
    pod(Recipe { session: &session, framework: &framework, attempt: 1, settings: &settings })
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
    assert_eq!(agent(&pod).command.unwrap().last().unwrap(), "$$(HOME)");
}

#[test]
fn the_prompt_stands_nowhere_in_the_pod() {
    let text = serde_json::to_string(&pod_of(PodOverrides::default(), None)).unwrap();
    assert!(!text.contains("secret plan"), "{text}");
}

#[test]
fn the_agent_sees_neither_token_nor_gateway() {
    let pod = pod_of(PodOverrides::default(), None);
    let mounts = agent(&pod).volume_mounts.unwrap();
    let brokers_own = ["drover-token", "drover-journal"];
    assert!(!mounts.iter().any(|mount| brokers_own.contains(&mount.name.as_str())), "{mounts:?}");
    assert!(!agent(&pod).env.unwrap().iter().any(|variable| variable.name.starts_with("DROVER_")));
    assert_eq!(pod.spec.unwrap().automount_service_account_token, Some(false));
}

#[test]
fn the_deadline_leaves_exec_its_own() {
    let pod = pod_of(PodOverrides::default(), Some("10s"));
    assert_eq!(pod.spec.as_ref().unwrap().active_deadline_seconds, Some(1930));
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
