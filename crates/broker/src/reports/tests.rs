use drover_api::report::{
    Artifact, MAX_ARTIFACT_NAME, MAX_ARTIFACTS, MAX_QUESTION, MAX_RESULT, MAX_TURNS, Turn, Usage, Waiting,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn time() -> Time {
    Time(jiff::Timestamp::MAX)
}

fn turn(number: usize) -> Turn {
    let usage = Usage {
        input_tokens: i64::MAX,
        output_tokens: i64::MAX,
        cache_read_tokens: i64::MAX,
        cache_write_tokens: i64::MAX,
    };
    Turn {
        message: format!("{number:063}"),
        attempt: u32::MAX,
        started_at: time(),
        finished_at: time(),
        result: "\"".repeat(MAX_RESULT / 2),
        usage: Some(usage),
    }
}

fn full_state() -> State {
    State {
        turns: (0..MAX_TURNS).map(turn).collect(),
        consumed: (0..2 * MAX_CONSUMED).map(|number| format!("m{number}")).collect(),
        waiting: Some(Waiting { since: time(), question: Some("\"".repeat(MAX_QUESTION / 2)) }),
        not_kept: Some("\"".repeat(2 * MAX_PROBLEM)),
        ..State::default()
    }
}

fn artifact(index: usize, name: &str) -> Artifact {
    let name = format!("{index:03}{}", name.repeat(MAX_ARTIFACT_NAME - 3));
    Artifact { name, size: i64::MAX, sha256: "f".repeat(64) }
}

fn length(report: &Report) -> usize {
    serde_json::to_vec(&Report { sequence: u64::MAX, ..report.clone() }).unwrap().len()
}

#[test]
fn a_report_between_turns_always_has_room_for_all() {
    let report = of(&full_state());
    assert!(length(&report) <= MAX_BYTES);
    assert_eq!(report.turns, full_state().turns);
    assert_eq!(report.consumed.len(), MAX_CONSUMED);
    assert_eq!(report.consumed.last(), Some(&consumed_entry(&format!("m{}", 2 * MAX_CONSUMED - 1))));
}

#[test]
fn a_last_report_keeps_its_bounds_whatever_was_found() {
    let stored = Stored {
        artifacts: (0..MAX_ARTIFACTS).map(|index| artifact(index, "\"")).collect(),
        problems: (0..100).map(|index| format!("{index}{}", "\"\n\u{1F40E}".repeat(200))).collect(),
        left: 0,
    };
    let report = last(&full_state(), stored);
    assert!(length(&report) <= MAX_BYTES);
    assert_eq!(report.problems.len(), MAX_PROBLEMS);
    assert!(report.problems.iter().all(|problem| problem.len() <= MAX_PROBLEM));
    assert!(report.problems[0].starts_with("the names are too long to report all; left out: "));
    assert_eq!(report.problems[7], "and 94 more problems that the log names");
    assert!(report.artifacts.len() > 40 && report.last && report.waiting.is_some());
    assert_eq!(report.turns, [turn(MAX_TURNS - 1)], "the newest turn goes before older ones");
}

#[test]
fn artifacts_go_before_the_results_of_old_turns() {
    let artifacts: Vec<Artifact> = (0..MAX_ARTIFACTS).map(|index| artifact(index, "x")).collect();
    let state = State { turns: (0..12).map(turn).collect(), ..State::default() };
    let report = last(&state, Stored { artifacts: artifacts.clone(), ..Stored::default() });
    assert_eq!((report.artifacts.len(), report.problems.len()), (MAX_ARTIFACTS, 0));
    let results: Vec<bool> = report.turns.iter().map(|turn| !turn.result.is_empty()).collect();
    assert!(results.is_sorted() && results.last() == Some(&true), "the newest last: {results:?}");
}

#[test]
fn a_report_within_its_bounds_is_left_alone() {
    let problems: Vec<String> = (0..MAX_PROBLEMS).map(|index| format!("problem {index}")).collect();
    let stored = Stored { artifacts: vec![artifact(1, "x")], problems: problems.clone(), left: 0 };
    let state = State { turns: vec![turn(1)], ..State::default() };
    let expected =
        Report { last: true, turns: vec![turn(1)], artifacts: vec![artifact(1, "x")], problems, ..Report::default() };
    assert_eq!(last(&state, stored), expected);
}
