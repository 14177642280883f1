use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Makes the file or folder one that was written to last so long ago.
fn age(path: &Path, age: Duration) {
    std::fs::File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn only_uploads_that_nobody_writes_to_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("team/uid/artifacts");
    std::fs::create_dir_all(&inside).unwrap();
    for name in ["abc", "abc#1", "abc#12", "abc#x", "#"] {
        std::fs::write(inside.join(name), "x").unwrap();
        age(&inside.join(name), DAY);
    }
    std::fs::write(inside.join("new#1"), "x").unwrap();
    assert_eq!(remove_abandoned_uploads(folder.path(), 2 * DAY).unwrap(), 0);
    assert_eq!(remove_abandoned_uploads(folder.path(), DAY).unwrap(), 2);
    let mut left: Vec<_> = std::fs::read_dir(&inside).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["#", "abc", "abc#x", "new#1"]);
}

#[test]
fn folders_that_hold_nothing_go_unless_somebody_just_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let make = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let (emptied, old) = (make("a/uid/artifacts"), make("b/uid/logs"));
    make("c/new/artifacts");
    std::fs::write(emptied.join("x#1"), "x").unwrap();
    age(&emptied.join("x#1"), DAY);
    age(&old, DAY);
    assert_eq!(remove_abandoned_uploads(folder.path(), DAY).unwrap(), 1);
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["c"]);
    assert!(folder.path().join("c/new/artifacts").exists());
}
