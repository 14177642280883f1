//! What is stored of the workspace, and what is not.

use std::{fs, os::unix::fs::symlink};

use crate::{gateway::Gateway, harness::Pod};

#[tokio::test]
async fn files_are_stored_and_everything_else_is_named() {
    let gateway = Gateway::up("hi").await;
    gateway.change(|held| held.artifact_limit = Some(100_000));
    let pod = Pod::new(&["out/**", "missing/*.md", "["]);
    fs::write(pod.path("secret"), "not the agent's").unwrap();
    fs::create_dir(pod.workspace().join("out")).unwrap();
    symlink(pod.path("secret"), pod.workspace().join("out/secret")).unwrap();
    let script = "cd out; mkdir 'sub dir'; printf 1 > 'sub dir/a%2F?#.txt'; printf '' > empty; mkfifo fifo;
        head -c 100001 /dev/zero > large; printf x > \u{e9}; ln -s .. up; ln -s /dev/zero zero";
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.script(script).code().await, 0);
    let held = gateway.held.borrow();
    let stored: Vec<&str> = held.artifacts.keys().map(String::as_str).collect();
    assert_eq!(stored, ["out/empty", "out/sub dir/a%2F?#.txt", "out/\u{e9}"]);
    let report = &held.reports[0];
    let reported: Vec<&str> = report.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(reported, stored);
    assert!(held.says("stored 3 artifacts"));
    let link = "it is a symbolic link, and links are not followed";
    for sentence in [
        "no file matched missing/*.md".to_owned(),
        "out/fifo was not stored: it is not a regular file".to_owned(),
        "out/large was not stored: only 100000 bytes are kept".to_owned(),
        format!("out/secret was not stored: {link}"),
        format!("out/up was not stored: {link}"),
        format!("out/zero was not stored: {link}"),
    ] {
        assert!(report.problems.contains(&sentence), "{sentence}: {:?}", report.problems);
        assert!(held.says(&sentence));
    }
    assert!(report.problems[0].starts_with("the pattern [ is not valid: "), "{:?}", report.problems);
    assert_eq!(report.problems.len(), 7);
}

#[tokio::test]
async fn a_file_that_changes_is_read_again_but_not_for_ever() {
    for (refusals, stored) in [(2, true), (100, false)] {
        let gateway = Gateway::up("hi").await;
        gateway.change(|held| held.other_bytes = refusals);
        let pod = Pod::new(&["a"]);
        let _broker = pod.broker(&gateway);
        assert_eq!(pod.script("echo x > a").code().await, 0);
        let held = gateway.held.borrow();
        assert_eq!(held.artifacts.contains_key("a"), stored);
        let problem = "a was not stored: it changed each time while it was sent".to_owned();
        assert_eq!(held.reports[0].problems.contains(&problem), !stored);
    }
}

#[tokio::test]
async fn small_files_go_first_and_are_reported_by_name() {
    let gateway = Gateway::up("hi").await;
    let pod = Pod::new(&["*"]);
    let _broker = pod.broker(&gateway);
    assert_eq!(pod.script("head -c 5000 /dev/zero > a; echo x > c; echo xy > b; echo z > d").code().await, 0);
    let held = gateway.held.borrow();
    let sent = held.requests.iter().filter_map(|path| path.strip_prefix("/runner/v1/artifacts/"));
    assert_eq!(sent.collect::<Vec<_>>(), ["c", "d", "b", "a"]);
    let reported = held.reports[0].artifacts.iter().map(|artifact| artifact.name.as_str());
    assert_eq!(reported.collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}
