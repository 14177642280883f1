use super::*;

const MACHINE: &str = "/somewhere/drover/";

#[test]
fn every_word_is_found_with_its_place() {
    for Word { halves, .. } in &WORDS {
        let text = format!("fine\nx {}\n", halves.concat());
        let problems = found(Path::new("a.rs"), &text, MACHINE);
        assert_eq!(problems.len(), 1, "{text}");
        assert!(problems[0].starts_with("a.rs:2 says "), "{problems:?}");
    }
}

#[test]
fn paths_of_the_machine_are_found() {
    assert_eq!(found(Path::new("a"), "see /somewhere/drover/target", MACHINE), ["a:1 names a path of this machine"]);
    assert!(found(Path::new("a"), "see target/", MACHINE).is_empty());
}
