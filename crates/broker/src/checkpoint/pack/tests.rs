use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener, process::Command};

use tempfile::TempDir;

use super::*;

const ROOMY: u64 = 64 * 1024 * 1024;

/// What is in the archive of a workspace, by an independent reader: path, kind, size. The state comes first.
fn packed(workspace: &Path, most: u64) -> (Vec<(String, EntryType, u64)>, Option<String>) {
    let (archive, left_out) = pack(Vec::new(), b"{}", &[("workspace", workspace)], most).unwrap();
    assert!(archive.len() as u64 <= most, "{} of {most}", archive.len());
    let mut archive = tar::Archive::new(&archive[..]);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        (path, entry.header().entry_type(), entry.size())
    });
    let mut entries: Vec<_> = entries.collect();
    assert_eq!(entries.remove(0), ("state.json".to_owned(), EntryType::Regular, 2));
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    (entries, left_out.sentence())
}

#[test]
fn files_folders_and_links_are_kept_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    fs::write(dir.path().join("folder/file"), "content").unwrap();
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    let (entries, left_out) = packed(dir.path(), ROOMY);
    let expected = [
        ("workspace/folder".to_owned(), EntryType::Directory, 0),
        ("workspace/folder/file".to_owned(), EntryType::Regular, 7),
        ("workspace/link".to_owned(), EntryType::Symlink, 0),
    ];
    assert_eq!((&entries[..], left_out), (&expected[..], None));
}

#[test]
fn names_of_any_length_and_bytes_are_kept() {
    let dir = TempDir::new().unwrap();
    let deep = dir.path().join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join(OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    symlink("t".repeat(1000), dir.path().join("link")).unwrap();
    let (archive, _) = pack(Vec::new(), b"{}", &[("workspace", dir.path())], ROOMY).unwrap();
    let mut archive = tar::Archive::new(&archive[..]);
    let entries: Vec<_> = archive.entries().unwrap().map(Result::unwrap).collect();
    assert!(entries.iter().any(|entry| entry.path_bytes().ends_with(b"e/bad\xff")));
    assert!(entries.iter().any(|entry| entry.link_name_bytes().is_some_and(|target| target.len() == 1000)));
}

#[test]
fn a_checkpoint_never_goes_beyond_its_bound() {
    let dir = TempDir::new().unwrap();
    for number in 0..20 {
        fs::create_dir(dir.path().join(format!("{number:0150}"))).unwrap();
        fs::write(dir.path().join(format!("{number:0150}/file")), vec![1; 700 * number]).unwrap();
    }
    let (all, _) = packed(dir.path(), ROOMY);
    let mut fewest = usize::MAX;
    for most in (4..400).rev().map(|blocks| blocks * BLOCK + 7) {
        let (entries, left_out) = packed(dir.path(), most);
        assert_eq!(left_out.is_some(), entries.len() < all.len(), "{most}");
        fewest = fewest.min(entries.len());
    }
    assert_eq!(fewest, 0);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_does_not_break_the_archive() {
    let dir = TempDir::new().unwrap();
    let (long, short) = (dir.path().join("long"), dir.path().join("short"));
    fs::write(&long, vec![b'x'; 5000]).unwrap();
    fs::write(&short, vec![b'x'; 300]).unwrap();
    for (path, is_short) in [(&long, false), (&short, true)] {
        // As it was when it was looked at, and as it is when it is read.
        let mut content = Exactly { file: File::open(path).unwrap(), left: 1000, short: false };
        let mut read = Vec::new();
        content.read_to_end(&mut read).unwrap();
        assert_eq!((read.len(), content.short), (1000, is_short));
        assert_eq!(read.iter().filter(|byte| **byte == 0).count(), if is_short { 700 } else { 0 });
    }
}

#[test]
fn what_can_hold_a_secret_beside_the_root_is_not_reached() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("ws")).unwrap();
    fs::create_dir(dir.path().join("beside")).unwrap();
    fs::write(dir.path().join("beside/secret"), "secret").unwrap();
    symlink("../beside", dir.path().join("ws/folder")).unwrap();
    symlink("../beside/secret", dir.path().join("ws/file")).unwrap();
    let (entries, _) = packed(&dir.path().join("ws"), ROOMY);
    assert!(entries.iter().all(|(_, kind, size)| *kind == EntryType::Symlink && *size == 0), "{entries:?}");
}
