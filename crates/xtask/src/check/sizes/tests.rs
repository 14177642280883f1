use super::*;

fn lines(count: usize) -> String {
    "line\n".repeat(count)
}

#[test]
fn a_file_may_have_as_many_lines_as_the_cap() {
    let file = Path::new("crates/a/src/lib.rs");
    assert!(too_long(file, &lines(CAP)).is_empty());
    let problems = too_long(file, &lines(CAP + 1));
    assert_eq!(problems, ["crates/a/src/lib.rs has 501 lines, 500 are the most: split it by meaning"]);
}

#[test]
fn tests_have_a_cap_of_their_own() {
    for name in ["crates/a/src/tests.rs", "crates/a/src/tests/faults.rs", "tests/suite/tests/guards.rs", "a/b_test.go"]
    {
        assert!(too_long(Path::new(name), &lines(TEST_CAP)).is_empty(), "{name}");
        assert_eq!(too_long(Path::new(name), &lines(TEST_CAP + 1)).len(), 1, "{name}");
    }
}

#[test]
fn functions_of_go_have_a_cap() {
    let go = |lines: usize| {
        format!("package a\n\nfunc (s *S) Long(a int) error {{\n{}}}\n\nfunc short() {{\n}}\n", "\tx()\n".repeat(lines))
    };
    let file = Path::new("tests/cluster/main.go");
    assert!(too_long(file, &go(FUNCTION_CAP)).is_empty());
    let problems = too_long(file, &go(FUNCTION_CAP + 1));
    assert_eq!(problems, ["tests/cluster/main.go: func (s *S) Long(a int) error has 61 lines, 60 are the most"]);
}
