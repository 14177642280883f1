use super::*;

#[test]
fn a_run_is_a_folder_of_its_own() {
    let run = Run::new("team-a", "0b1c-2").unwrap();
    assert_eq!(run.folder().as_ref(), "team-a/0b1c-2");
    assert_eq!(run.to_string(), "team-a/0b1c-2");
}

#[test]
fn nothing_that_could_leave_the_folder_is_a_run() {
    for bad in ["", "..", ".", "a/b", "A", "a\0", "a%2f", "ä", &"a".repeat(64)] {
        assert!(Run::new(bad, "uid").is_err(), "{bad:?} as namespace");
        assert!(Run::new("team", bad).is_err(), "{bad:?} as uid");
    }
}
