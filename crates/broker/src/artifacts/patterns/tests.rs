use super::*;

fn patterns(texts: &[&str]) -> Patterns {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let (patterns, problems) = Patterns::new(&texts);
    assert!(problems.is_empty(), "{problems:?}");
    patterns
}

fn matches(pattern: &str, path: &str) -> bool {
    !patterns(&[pattern]).matches(OsStr::new(path)).is_empty()
}

#[test]
fn wildcards_mean_what_the_resource_says() {
    assert!(matches("out/*.txt", "out/a.txt"));
    assert!(matches("./out/*.txt", "out/a.txt"));
    assert!(!matches("out/*.txt", "out/sub/a.txt"));
    assert!(!matches("out/*.txt", "out/A.TXT"));
    assert!(matches("out/**/*.txt", "out/a.txt") && matches("out/**/*.txt", "out/b/c/a.txt"));
    assert!(matches("**", "a/b/c"));
    assert!(matches("{a,b/c}/?.[ch]", "b/c/x.h") && !matches("{a,b/c}/?.[ch]", "b/x.h"));
}

#[test]
fn a_pattern_that_is_not_valid_is_named_and_the_others_hold() {
    let (patterns, problems) = Patterns::new(&["a[".to_owned(), "b".to_owned()]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("the pattern a[ is not valid: "), "{problems:?}");
    assert_eq!(patterns.matches(OsStr::new("b")), [0]);
}

#[test]
fn only_folders_that_a_pattern_can_reach_are_entered() {
    let enters = |pattern: &str, folder: &str| patterns(&[pattern]).lead_into(OsStr::new(folder));
    assert!(enters("out/reports/*.txt", "out") && enters("out/reports/*.txt", "out/reports"));
    assert!(!enters("out/reports/*.txt", "node_modules") && !enters("out/reports/*.txt", "out/other"));
    assert!(!enters("out/reports/*.txt", "out/reports/deeper"));
    assert!(enters("*/a", "any") && !enters("*/a", "any/deeper") && !enters("a", "a"));
    assert!(enters("out/**", "out/a/b/c") && !enters("out/**", "other"));
    assert!(enters("{a/b/c,d}", "a") && enters("{a/b/c,d}", "a/b"));
}
