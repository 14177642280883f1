//! Putting the binary in place.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use tempfile::TempDir;

use crate::harness::RUNNER;

#[test]
fn the_binary_appears_whole_and_again() {
    let dir = TempDir::new().unwrap();
    let to = dir.path().join("deep/bin");
    for _ in 0..2 {
        let status = Command::new(RUNNER).arg("install").arg("--to").arg(&to).status().unwrap();
        assert!(status.success());
    }
    let entries: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries, ["drover-runner"], "nothing else is left");
    let installed = to.join("drover-runner");
    assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read(&installed).unwrap(), fs::read(RUNNER).unwrap());
    assert!(Command::new(&installed).arg("--version").status().unwrap().success());
}
