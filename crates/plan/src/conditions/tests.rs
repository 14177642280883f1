use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn a_transition_is_dated_when_the_status_changes_and_only_then() {
    let mut list = Vec::new();
    Conditions::new(&mut list, Some(1), at(10)).set("A", Is::False, "R", "m");
    Conditions::new(&mut list, Some(2), at(20)).set("A", Is::False, "Other", "m2");
    assert_eq!(
        (list[0].last_transition_time.0, list[0].reason.as_str(), list[0].observed_generation),
        (at(10), "Other", Some(2))
    );
    Conditions::new(&mut list, Some(2), at(30)).set("A", Is::True, "R", "m");
    assert_eq!((list.len(), list[0].last_transition_time.0), (1, at(30)));
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let mut list = Vec::new();
    Conditions::new(&mut list, None, at(1)).set("A", Is::True, "R", &"é".repeat(MAX_CONDITION_MESSAGE));
    assert!(list[0].message.len() <= MAX_CONDITION_MESSAGE && list[0].message.ends_with('…'));
}
