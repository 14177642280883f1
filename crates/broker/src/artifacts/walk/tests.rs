use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;

use super::*;

fn walk(dir: &Path, patterns: &[&str]) -> Walk {
    let texts: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
    let (patterns, _) = Patterns::new(&texts);
    Walk::of(&Root::open(dir).unwrap(), &patterns)
}

fn files(walk: &Walk) -> Vec<&str> {
    walk.files.iter().map(String::as_str).collect()
}

fn touch(dir: &TempDir, names: &[&str]) {
    for name in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
}

#[test]
fn finds_files_in_the_order_of_their_names() {
    let dir = TempDir::new().unwrap();
    touch(&dir, &["b/z.txt", "b.txt", "a/y.txt", "a/x.md", "b/c/deep.txt", ".hidden.txt"]);
    let found = walk(dir.path(), &["**/*.txt"]);
    assert_eq!(files(&found), [".hidden.txt", "a/y.txt", "b.txt", "b/c/deep.txt", "b/z.txt"]);
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[test]
fn names_what_a_pattern_did_not_find() {
    let dir = TempDir::new().unwrap();
    touch(&dir, &["out/a.txt"]);
    let found = walk(dir.path(), &["out", "nothing/*.txt", "out/*.txt"]);
    assert_eq!(
        found.problems,
        ["out is a folder: write out/** to keep the files in it", "no file matched nothing/*.txt"]
    );
    assert_eq!(files(&found), ["out/a.txt"]);
}

#[test]
fn says_of_each_match_why_it_is_not_stored() {
    let dir = TempDir::new().unwrap();
    touch(&dir, &["real/file", "new\nline"]);
    symlink("real/file", dir.path().join("link")).unwrap();
    symlink("real", dir.path().join("folder-link")).unwrap();
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(100));
    touch(&dir, &[&long]);
    fs::write(dir.path().join(OsStr::from_bytes(b"bad\xff")), "").unwrap();
    let found = walk(dir.path(), &["**"]);
    assert_eq!(files(&found), ["real/file"]);
    let said = |what: &str| assert!(found.problems.iter().any(|p| p.contains(what)), "{what}: {:?}", found.problems);
    said("link was not stored: it is a symbolic link");
    said("folder-link was not stored: it is a symbolic link");
    said("bad\u{FFFD} was not stored: its name is not UTF-8");
    said("new\u{FFFD}line was not stored: its name contains a control character");
    said("its path has more than 150 bytes");
    assert_eq!(found.problems.len(), 5);
    assert!(found.problems.iter().all(|problem| problem.len() <= 256));
}

#[test]
fn keeps_the_first_by_name_and_counts_the_rest() {
    let dir = TempDir::new().unwrap();
    let names: Vec<String> = (0..MAX_ARTIFACTS + 10).map(|number| format!("f{number:03}")).collect();
    touch(&dir, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let found = walk(dir.path(), &["f*"]);
    assert_eq!(found.total, names.len());
    assert_eq!(files(&found), names[..MAX_ARTIFACTS].iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_tree_that_is_deeper_than_a_path_can_be_ends_the_search_there() {
    let dir = TempDir::new().unwrap();
    let name = "d".repeat(200);
    let mut folder: rustix::fd::OwnedFd = fs::File::open(dir.path()).unwrap().into();
    for _ in 0..30 {
        rustix::fs::mkdirat(&folder, &name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        folder = rustix::fs::openat(&folder, &name, flags, rustix::fs::Mode::empty()).unwrap();
    }
    touch(&dir, &["near"]);
    let found = walk(dir.path(), &["**"]);
    assert_eq!(files(&found), ["near"]);
}

#[test]
fn what_is_still_to_be_looked_at_is_bounded() {
    let mut walk = Walk::default();
    for number in 0..2 * MAX_PENDING / MAX_PATH {
        walk.look_later_into(format!("{number:0MAX_PATH$}").into());
    }
    assert!(walk.pending_bytes <= MAX_PENDING && walk.too_much);
    assert_eq!(walk.pending.len(), MAX_PENDING / MAX_PATH);
}

#[test]
fn many_files_in_one_folder_are_counted_and_few_are_held() {
    let dir = TempDir::new().unwrap();
    for number in 0..5_000 {
        fs::write(dir.path().join(format!("f{number:04}")), "").unwrap();
    }
    let found = walk(dir.path(), &["f*"]);
    assert_eq!((found.total, found.files.len()), (5_000, MAX_ARTIFACTS));
    assert_eq!(found.files.last().unwrap(), "f0063");
}
