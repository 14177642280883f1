use super::*;

#[test]
fn only_uploads_that_nobody_writes_to_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("team/uid/artifacts");
    std::fs::create_dir_all(&inside).unwrap();
    for name in ["abc", "abc#1", "abc#12", "abc#x", "#"] {
        std::fs::write(inside.join(name), "x").unwrap();
    }
    assert_eq!(remove_abandoned_uploads(folder.path(), Duration::from_secs(3600)).unwrap(), 0);
    assert_eq!(remove_abandoned_uploads(folder.path(), Duration::ZERO).unwrap(), 2);
    let mut left: Vec<_> = std::fs::read_dir(&inside).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["#", "abc", "abc#x"]);
}
