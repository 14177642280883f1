use drover_api::{Session, SessionSpec, SessionStatus, state::Phase};

use super::{FAILURE, code_of_session, of_unfinished};

fn code(phase: Phase, exit_code: Option<i32>) -> u8 {
    let spec: SessionSpec = serde_json::from_value(serde_json::json!({ "prompt": "x" })).unwrap();
    let mut session = Session::new("x", spec);
    session.status = Some(SessionStatus { phase, exit_code, ..SessionStatus::default() });
    code_of_session(&session)
}

#[test]
fn passes_on_the_sessions_own() {
    let cases = [
        (Phase::Succeeded, Some(0), 0),
        (Phase::Succeeded, None, 0),
        (Phase::Failed, Some(3), 3),
        (Phase::Failed, Some(255), 255),
        (Phase::Failed, Some(137), 137),
        (Phase::Failed, None, 1),
        // Failed although the agent said 0, for instance because it was evicted in that moment.
        (Phase::Failed, Some(0), 1),
        (Phase::Failed, Some(256), 1),
        (Phase::Failed, Some(-1), 1),
    ];
    for (phase, exit_code, expected) in cases {
        assert_eq!(code(phase, exit_code), expected, "{phase:?} {exit_code:?}");
    }
}

#[test]
fn what_was_still_wanted_is_never_well() {
    let ended = |phase, exit_code| {
        let spec: SessionSpec = serde_json::from_value(serde_json::json!({ "prompt": "x" })).unwrap();
        let mut session = Session::new("x", spec);
        session.status = Some(SessionStatus { phase, exit_code, ..SessionStatus::default() });
        of_unfinished(&session)
    };
    assert_eq!(ended(Phase::Succeeded, Some(0)), FAILURE.into());
    assert_eq!(ended(Phase::Cancelled, None), FAILURE.into());
    assert_eq!(ended(Phase::Failed, Some(3)), 3.into());
}
