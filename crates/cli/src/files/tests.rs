use std::{fs, os::unix::fs::symlink, path::Path};

use drover_api::report::Artifact;
use proptest::prelude::*;

use super::{Checksum, Error, Folder, components};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn abc(name: &str) -> Artifact {
    Artifact { name: name.to_owned(), size: 3, sha256: ABC.to_owned() }
}

fn fetch(dir: &Path, name: &str, force: bool) -> Result<(), Error> {
    let mut part = Folder::open(dir)?.create(name, force)?;
    part.write(b"a")?;
    part.write(b"bc")?;
    part.keep(&abc(name)).map(|_| ())
}

/// Everything beneath `dir`, hidden files too.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn keeps_whole_files_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    fetch(dir.path(), "out/deep/a b.txt", false).unwrap();
    fetch(dir.path(), "out/..c", false).unwrap();
    assert_eq!(fs::read(dir.path().join("out/deep/a b.txt")).unwrap(), b"abc");
    assert_eq!(names(&dir.path().join("out")), ["..c", "deep"]);
    assert_eq!(names(&dir.path().join("out/deep")), ["a b.txt"]);
}

#[test]
fn refuses_names_that_lead_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    for name in ["", ".", "..", "../x", "a/../../x", "/etc/x", "a//b", "a/", "./a", "a\0b", "a\nb"] {
        assert!(matches!(fetch(&inner, name, true), Err(Error::Name(_))), "{name:?}");
    }
    assert_eq!(names(dir.path()), ["inner"]);
    assert!(names(&inner).is_empty());
}

#[test]
fn follows_no_symbolic_link() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, outside) = (dir.path().join("inner"), dir.path().join("outside"));
    fs::create_dir_all(&inner).unwrap();
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, inner.join("link")).unwrap();
    assert!(matches!(fetch(&inner, "link/x", true), Err(Error::NotAFolder(_))));
    assert!(names(&outside).is_empty());

    fs::write(outside.join("target"), "old").unwrap();
    symlink(outside.join("target"), inner.join("file")).unwrap();
    assert!(matches!(fetch(&inner, "file", false), Err(Error::Exists(_))));
    fetch(&inner, "file", true).unwrap();
    assert_eq!(fs::read(outside.join("target")).unwrap(), b"old");
    assert!(fs::symlink_metadata(inner.join("file")).unwrap().is_file());
}

#[test]
fn overwrites_only_when_forced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), "old").unwrap();
    assert!(matches!(fetch(dir.path(), "x", false), Err(Error::Exists(_))));
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), b"old");
    fetch(dir.path(), "x", true).unwrap();
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), b"abc");
    fs::create_dir(dir.path().join("folder")).unwrap();
    assert!(matches!(fetch(dir.path(), "folder", true), Err(Error::Io(..))));
}

#[test]
fn a_file_that_appears_during_the_download_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut part = Folder::open(dir.path()).unwrap().create("x", false).unwrap();
    part.write(b"abc").unwrap();
    fs::write(dir.path().join("x"), "theirs").unwrap();
    assert!(matches!(part.keep(&abc("x")), Err(Error::Exists(_))));
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["x"]);
}

#[test]
fn what_is_damaged_or_cut_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    for bytes in [b"abd".as_slice(), b"ab", b""] {
        let mut part = folder.create("x", false).unwrap();
        part.write(bytes).unwrap();
        assert!(matches!(part.keep(&abc("x")), Err(Error::Damaged(_))), "{bytes:?}");
    }
    drop(folder.create("y", false).unwrap());
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_wrong_size_is_damage_even_with_the_right_checksum() {
    let mut checksum = Checksum::default();
    checksum.update(b"abc");
    assert!(checksum.check(&abc("x")).is_ok());
    assert!(checksum.check(&Artifact { size: 4, ..abc("x") }).is_err());
}

#[test]
fn long_names_fit() {
    let dir = tempfile::tempdir().unwrap();
    fetch(dir.path(), &"ü".repeat(125), false).unwrap();
    assert_eq!(names(dir.path()), ["ü".repeat(125)]);
}

proptest! {
    #[test]
    fn no_name_escapes(name in "[a./\\\\\u{0}ü ]{0,12}") {
        if let Some(parts) = components(&name) {
            let joined = Path::new("/root/dir").join(parts.join("/"));
            prop_assert!(joined.starts_with("/root/dir"));
            prop_assert!(joined.components().all(|c| c != std::path::Component::ParentDir));
        }
    }
}
