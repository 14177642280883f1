use super::{Step, line_matches, matches, run, steps};

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_line_is_taken_literally_but_for_ellipses() {
    for (expected, line, is_match) in [
        ("", "", true),
        ("", "x", false),
        ("a.c", "abc", false),
        ("pod   …", "pod   Succeeded   4s", true),
        ("pod   …", "pod Succeeded", false),
        ("… ago", "3s ago", true),
        ("… ago", "3s ago.", false),
        ("a…b…c", "a1b2b3c", true),
        ("a…b…c", "a1c2b", false),
        ("a…a", "a", false),
        ("a……b", "ab", true),
        ("…b", "ab ab", true),
    ] {
        assert_eq!(line_matches(expected, line), is_match, "{expected:?} and {line:?}");
    }
}

#[test]
fn a_line_of_an_ellipsis_stands_for_any_lines() {
    for (expected, output, is_match) in [
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
        ("…", "", true),
        ("…", "a\nb", true),
        ("a\n…\nc", "a\nc", true),
        ("a\n…\nc", "a\nb\nb\nc", true),
        ("a\n…\nc", "a\nb", false),
        ("…\nb\n…\nb", "b\nb", true),
        ("…\nb\n…\nb", "a\nb", false),
        ("a\nb", "a\nb\nc", false),
    ] {
        assert_eq!(matches(&lines(expected), &lines(output)), is_match, "{expected:?} and {output:?}");
    }
}

#[test]
fn commands_and_their_output_are_found() {
    let page = "# Page\n```yaml\n# not a heading\n$ not a command\n```\n## Part\n```console\n$ one \\\n>   two\nout\n> out\n$ three\n```\n";
    let step = |line, command: &str, expected: &[&str]| Step {
        line,
        heading: "Part".to_owned(),
        command: command.to_owned(),
        expected: expected.iter().map(|text| (*text).to_owned()).collect(),
    };
    assert_eq!(steps(page).unwrap(), [step(8, "one \\\n  two", &["out", "> out"]), step(12, "three", &[])]);
}

#[test]
fn what_is_not_a_page_is_refused() {
    assert!(steps("```console\nno command\n```\n").is_err());
    assert!(steps("```console\n$ true\n").is_err());
}

#[tokio::test]
async fn a_page_is_run_with_its_clean_up_first() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("left"), "").unwrap();
    let page = "## Work\n```console\n$ ls; echo $WHO >left; echo oops >&2\noops\n```\n## Clean up\n```console\n$ rm left\n```\n";
    run(page, folder.path(), &[("WHO", "me")]).await.unwrap();
    assert!(!folder.path().join("left").exists());
}

#[tokio::test]
async fn a_step_that_does_something_else_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let page = "```console\n$ echo one\none\n$ echo two\nthree\n```\n";
    let told = run(page, folder.path(), &[]).await.unwrap_err().to_string();
    assert!(told.starts_with("line 4: `echo two` ended well and printed\ntwo"), "{told}");
    let told = run("```console\n$ exit 3\n```\n", folder.path(), &[]).await.unwrap_err().to_string();
    assert!(told.starts_with("line 2: `exit 3` failed"), "{told}");
}
