use nix::sys::signal::Signal;

use super::*;

fn reason(verdict: &Verdict) -> Option<Reason> {
    verdict.termination.as_ref().map(|termination| termination.reason)
}

#[test]
fn an_end_from_outside_is_never_a_good_one() {
    let told = Termination { reason: Reason::ReportingLost, message: "lost".to_owned() };
    for (cause, expected, rest) in [
        (Cause::Deadline, Reason::DeadlineExceeded, Rest::Finish),
        (Cause::Signal, Reason::PodDeleted, Rest::Flush),
        (Cause::Broker(told), Reason::ReportingLost, Rest::Flush),
    ] {
        for exit in [None, Some(Exit::Code(0)), Some(Exit::Code(3)), Some(Exit::Signal(Signal::SIGKILL))] {
            let verdict = Verdict::ended(cause.clone(), exit, 5);
            assert!(verdict.code != 0 && reason(&verdict) == Some(expected), "{verdict:?}");
            assert_eq!(verdict.rest, rest);
        }
        let verdict = Verdict::not_begun(cause, 5);
        assert!(verdict.code != 0 && reason(&verdict) == Some(expected), "{verdict:?}");
        assert_eq!(verdict.rest, Rest::Nothing);
    }
}

#[test]
fn the_agent_s_own_code_is_kept() {
    assert_eq!(Verdict::ended(Cause::Signal, Some(Exit::Code(3)), 5).code, 3);
    assert_eq!(Verdict::ended(Cause::Signal, Some(Exit::Signal(Signal::SIGKILL)), 5).code, 137);
    assert_eq!(Verdict::ended(Cause::Deadline, Some(Exit::Code(3)), 5).code, EXIT_TIMEOUT);
    assert_eq!(Verdict::failed(Exit::Code(9), false).code, 9);
}

#[test]
fn want_of_memory_is_told_where_the_kernel_says_so() {
    let killed = Exit::Signal(Signal::SIGKILL);
    assert_eq!(reason(&Verdict::failed(killed, true)), Some(Reason::OutOfMemory));
    assert_eq!(reason(&Verdict::failed(killed, false)), None);
}
