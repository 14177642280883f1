use std::fs;

use tempfile::TempDir;

use super::*;

fn message(id: &str) -> Message {
    Message { id: id.to_owned(), text: String::new() }
}

fn at(seconds: i64) -> Time {
    Time(jiff::Timestamp::from_second(seconds).unwrap())
}

/// A state in which the turns of these messages were dealt with.
fn after(ids: &[&str]) -> State {
    let mut state = State::default();
    state.go_on_in(1).unwrap();
    for (second, id) in (0..).zip(ids) {
        state.begin(&message(id), false, at(second));
        assert_eq!(state.end(id, &TurnEnd::default(), at(second)), End::Recorded);
    }
    state
}

#[test]
fn the_last_turns_are_told_and_all_are_remembered() {
    let ids: Vec<String> = (0..MAX_TURNS + 5).map(|number| format!("m{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut state = after(&ids);
    assert_eq!((state.turns.len(), state.turns[0].message.as_str()), (MAX_TURNS, "m5"));
    let messages: Vec<Message> = ids.iter().map(|id| message(id)).collect();
    assert_eq!(state.pending(&messages), None);
    assert_eq!(state.end("m0", &TurnEnd::default(), at(0)), End::Known);
    assert_eq!(state.end("other", &TurnEnd::default(), at(0)), End::Stranger);
}

#[test]
fn what_an_agent_says_of_its_turn_is_kept_within_what_a_report_can_say() {
    let mut state = after(&[]);
    state.begin(&message("prompt"), false, at(0));
    // The agent reaches the socket as well as `exec`, which would not send this.
    let usage = Usage { input_tokens: -1, output_tokens: 7, cache_read_tokens: i64::MIN, cache_write_tokens: 0 };
    let end = TurnEnd { result: "\u{1}".repeat(5000), usage: Some(usage), ..TurnEnd::default() };
    state.end("prompt", &end, at(1));
    let kept = Usage { output_tokens: 7, ..Usage::default() };
    assert_eq!((state.turns[0].usage, state.turns[0].result.len()), (Some(kept), MAX_RESULT / 6));
}

#[test]
fn a_message_under_way_in_another_attempt_was_interrupted() {
    let mut state = after(&["prompt"]);
    assert!(!state.begin(&message("a"), false, at(1)).interrupted);
    assert!(!state.begin(&message("a"), false, at(2)).interrupted, "the same attempt");
    state.go_on_in(2).unwrap();
    assert_eq!(state.end("a", &TurnEnd::default(), at(3)), End::Stranger, "this attempt was not given it");
    let mut other = state.clone();
    assert!(!other.begin(&message("b"), false, at(4)).interrupted, "another message");
    assert!(state.begin(&message("a"), false, at(4)).interrupted);
    state.end("a", &TurnEnd::default(), at(5));
    assert_eq!(state.turns[1].started_at, at(4));
    assert!(!state.begin(&message("b"), true, at(6)).interrupted, "only the first of an attempt");
}

#[test]
fn an_attempt_takes_over_what_was_said_and_not_what_was_reported() {
    let mut state = after(&["prompt"]);
    state.question = Some("which?".to_owned());
    state.wait(at(9));
    state.reports = 3;
    state.not_kept = Some("much".to_owned());
    assert_eq!(state.waiting.as_ref().unwrap().since, at(0), "since the turn's end");
    state.go_on_in(2).unwrap();
    assert_eq!((state.reports, state.handed_out, &state.not_kept, &state.waiting), (0, false, &None, &None));
    state.wait(at(20));
    let waiting = Waiting { since: at(20), question: Some("which?".to_owned()) };
    assert_eq!(state.waiting, Some(waiting), "a wait in this attempt");
    assert!(matches!(state.go_on_in(1), Err(StateError::Overtaken(2))));
}

#[test]
fn it_is_read_as_it_was_written() {
    let dir = TempDir::new().unwrap();
    assert_eq!(load(dir.path()).unwrap(), State::default());
    let mut state = after(&["prompt", "a"]);
    state.begin(&message("b"), true, at(7));
    save(dir.path(), &state).unwrap();
    assert_eq!(load(dir.path()).unwrap(), state);
}

#[test]
fn a_write_that_was_cut_off_leaves_the_old_state() {
    let dir = TempDir::new().unwrap();
    let state = after(&["prompt"]);
    save(dir.path(), &state).unwrap();
    fs::write(dir.path().join("state.json.new"), "{\"attem").unwrap();
    assert_eq!(load(dir.path()).unwrap(), state);
    save(dir.path(), &after(&["prompt", "a"])).unwrap();
    assert_eq!(load(dir.path()).unwrap().consumed, ["prompt", "a"]);
}

#[test]
fn what_is_there_and_cannot_be_read_is_not_taken_for_a_beginning() {
    let dir = TempDir::new().unwrap();
    for broken in ["", "{", "[true]", "{\"attempt\":-1}"] {
        fs::write(dir.path().join(FILE), broken).unwrap();
        assert!(matches!(load(dir.path()), Err(StateError::Malformed(_))), "{broken:?}");
    }
    fs::remove_file(dir.path().join(FILE)).unwrap();
    fs::create_dir(dir.path().join(FILE)).unwrap();
    assert!(matches!(load(dir.path()), Err(StateError::Unreadable(_))));
}
