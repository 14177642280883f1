use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener, process::Command};

use tempfile::TempDir;

use super::*;

/// A workspace in a folder that holds a secret beside it.
fn workspace() -> (TempDir, Root) {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("ws/sub")).unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::write(dir.path().join("ws/sub/file"), "content").unwrap();
    let workspace = Root::open(&dir.path().join("ws")).unwrap();
    (dir, workspace)
}

#[test]
fn opens_regular_files_beneath() {
    let (_dir, workspace) = workspace();
    let (_, stat) = workspace.file(OsStr::new("sub/file")).unwrap();
    assert_eq!(size(&stat), 7);
}

#[test]
fn nothing_leads_out() {
    let (dir, workspace) = workspace();
    let ws = dir.path().join("ws");
    symlink("../secret", ws.join("link")).unwrap();
    symlink(dir.path().join("secret"), ws.join("absolute")).unwrap();
    symlink("..", ws.join("up")).unwrap();
    symlink("sub", ws.join("inner")).unwrap();
    symlink("/proc/self/root", ws.join("magic")).unwrap();
    let absolute = dir.path().join("secret");
    for path in [
        "link",
        "absolute",
        "up/secret",
        "../secret",
        "sub/../../secret",
        "magic/etc/passwd",
        absolute.to_str().unwrap(),
    ] {
        assert!(workspace.file(OsStr::new(path)).is_err(), "{path}");
    }
    assert_eq!(workspace.file(OsStr::new("inner/file")).unwrap_err(), LINK);
    assert_eq!(workspace.file(OsStr::new("../secret")).unwrap_err(), "it leads out of the working directory");
    assert!(workspace.folder(OsStr::new("up")).is_err());
    assert!(workspace.folder(OsStr::new("sub/../..")).is_err());
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let (dir, workspace) = workspace();
    let ws = dir.path().join("ws");
    assert!(Command::new("mkfifo").arg(ws.join("fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(ws.join("socket")).unwrap();
    for path in ["fifo", "socket", "sub"] {
        assert_eq!(workspace.file(OsStr::new(path)).unwrap_err(), NOT_REGULAR, "{path}");
    }
    // A device stands for all of them; only root can make one, so the system's own is looked at.
    assert_eq!(Root::open(Path::new("/dev")).unwrap().file(OsStr::new("null")).unwrap_err(), NOT_REGULAR);
    assert_eq!(workspace.file(OsStr::new("gone")).unwrap_err(), "it is gone");
}
