use drover_api::report::{Artifact, MAX_ARTIFACT_NAME, MAX_ARTIFACTS};

use super::*;

#[test]
fn a_report_keeps_its_bounds_whatever_was_found() {
    let artifact = |index: usize| Artifact {
        name: format!("{index:03}{}", "\"".repeat(MAX_ARTIFACT_NAME - 3)),
        size: i64::MAX,
        sha256: "f".repeat(64),
    };
    let stored = Stored {
        artifacts: (0..MAX_ARTIFACTS).map(artifact).collect(),
        problems: (0..100).map(|index| format!("{index}{}", "\"\n\u{1F40E}".repeat(200))).collect(),
        left: 0,
    };
    let report = bounded(stored);
    assert!(serde_json::to_vec(&report).unwrap().len() <= MAX_BYTES);
    assert_eq!(report.problems.len(), MAX_PROBLEMS);
    assert!(report.problems.iter().all(|problem| problem.len() <= MAX_PROBLEM));
    assert!(report.problems[0].starts_with("the names are too long to report all; left out: "));
    assert_eq!(report.problems[7], "and 94 more problems that the log names");
    assert!(report.artifacts.len() > 40 && report.last);
}

#[test]
fn a_report_within_its_bounds_is_left_alone() {
    let artifact = Artifact { name: "a".to_owned(), size: 1, sha256: "f".repeat(64) };
    let problems: Vec<String> = (0..MAX_PROBLEMS).map(|index| format!("problem {index}")).collect();
    let report = bounded(Stored { artifacts: vec![artifact.clone()], problems: problems.clone(), left: 0 });
    assert_eq!(report, Report { sequence: 1, last: true, artifacts: vec![artifact], problems });
}

#[tokio::test(start_paused = true)]
async fn work_is_limited_only_after_sigterm() {
    let stopping = watch::Sender::new(None);
    let hour = || tokio::time::sleep(Duration::from_secs(3600));
    assert!(before(&stopping, LOG, hour()).await.is_some());
    stopping.send_replace(Some(Instant::now()));
    assert!(before(&stopping, LOG, hour()).await.is_none());
    assert!(before(&stopping, LOG, async {}).await.is_some());
}
