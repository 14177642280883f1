use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
};

use tar::{Builder, Header};
use tempfile::TempDir;

use super::{super::pack::pack, *};

/// Two roots and a folder beside them.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["ws", "home", "beside"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn unpack(&self, archive: &[u8]) -> Result<Vec<u8>, UnpackError> {
        unpack(archive, &[("workspace", &self.path("ws")), ("home", &self.path("home"))])
    }

    fn pack(&self) -> Vec<u8> {
        let roots = [("workspace", &*self.path("ws")), ("home", &*self.path("home"))];
        let (archive, left_out) = pack(Vec::new(), b"the state", &roots, u64::MAX / 2).unwrap();
        assert_eq!(left_out.sentence(), None);
        archive
    }
}

/// Path, kind, target, content.
type Entry<'a> = (&'a str, EntryType, &'a str, &'a [u8]);

/// An archive with these entries behind the state.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let state: Entry = ("state.json", EntryType::Regular, "", b"{}");
    for (path, kind, target, content) in std::iter::once(&state).chain(entries) {
        let mut header = Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_mtime(1_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn what_was_packed_is_there_again() {
    let from = Place::new();
    let long = format!("ws/{}/{}", "d".repeat(150), "e".repeat(150));
    fs::create_dir_all(from.path(&long)).unwrap();
    fs::write(from.path(&long).join(OsStr::from_bytes(b"bad\xff")), "deep").unwrap();
    fs::write(from.path("ws/run.sh"), "#!/bin/sh").unwrap();
    fs::set_permissions(from.path("ws/run.sh"), Permissions::from_mode(0o750)).unwrap();
    fs::write(from.path("home/large"), vec![7; 300_000]).unwrap();
    symlink("t".repeat(300), from.path("home/link")).unwrap();
    // The longest that the kernel takes.
    symlink("t".repeat(4095), from.path("home/longest")).unwrap();
    fs::create_dir(from.path("home/closed")).unwrap();
    fs::write(from.path("home/closed/file"), "in it").unwrap();
    fs::set_permissions(from.path("home/closed"), Permissions::from_mode(0o555)).unwrap();

    let to = Place::new();
    let archive = from.pack();
    // Twice: the first may have been interrupted.
    for _ in 0..2 {
        assert_eq!(to.unpack(&archive).unwrap(), b"the state");
        assert_eq!(fs::read(to.path(&long).join(OsStr::from_bytes(b"bad\xff"))).unwrap(), b"deep");
        assert_eq!(fs::metadata(to.path("ws/run.sh")).unwrap().mode() & 0o7777, 0o750);
        let mtime = |place: &Place| fs::metadata(place.path("ws/run.sh")).unwrap().mtime();
        assert_eq!(mtime(&to), mtime(&from));
        assert_eq!(fs::read(to.path("home/large")).unwrap(), vec![7; 300_000]);
        assert_eq!(fs::read_link(to.path("home/link")).unwrap().as_os_str().len(), 300);
        assert_eq!(fs::read_link(to.path("home/longest")).unwrap().as_os_str().len(), 4095);
        assert_eq!(fs::read(to.path("home/closed/file")).unwrap(), b"in it");
        assert_eq!(fs::metadata(to.path("home/closed")).unwrap().mode() & 0o7777, 0o555);
    }
    assert_eq!(to.pack().len(), archive.len());
}

#[test]
fn a_part_is_not_taken_for_the_whole() {
    let from = Place::new();
    fs::write(from.path("ws/zeros"), vec![0; 4096]).unwrap();
    fs::write(from.path("home/file"), "x").unwrap();
    let archive = from.pack();
    for length in (0..archive.len() - 1024).step_by(256).chain([archive.len() - 1024]) {
        assert!(Place::new().unpack(&archive[..length]).is_err(), "{length} of {}", archive.len());
    }
    assert!(Place::new().unpack(&archive).is_ok());
}

#[test]
fn nothing_is_written_beside_the_roots() {
    use EntryType::{Directory, Regular, Symlink};
    let evil: &[u8] = b"evil";
    let attacks: &[&[Entry]] = &[
        &[("workspace/../beside/evil", Regular, "", evil)],
        &[("../beside/evil", Regular, "", evil)],
        &[("beside/evil", Regular, "", evil)],
        &[("/beside/evil", Regular, "", evil)],
        &[("workspace//evil", Regular, "", evil)],
        &[("workspace/./evil", Regular, "", evil)],
        &[("workspace", Symlink, "beside", b"")],
        &[("workspace/link", Symlink, "../beside", b""), ("workspace/link/evil", Regular, "", evil)],
        &[("workspace/link", Symlink, "../beside", b""), ("workspace/link/evil", Directory, "", b"")],
        &[
            ("workspace/a", Directory, "", b""),
            ("workspace/a/b", Symlink, "..", b""),
            ("workspace/a/b/c", Symlink, "x", b""),
        ],
        &[("workspace/missing/evil", Regular, "", evil)],
        &[("state.json", Regular, "", b"{}")],
    ];
    for attack in attacks {
        let place = Place::new();
        let error = place.unpack(&archive(attack)).unwrap_err();
        assert!(matches!(error, UnpackError::Foreign(_)), "{attack:?}: {error}");
        assert_eq!(fs::read_dir(place.path("beside")).unwrap().count(), 0, "{attack:?}");
    }
}

#[test]
fn what_has_a_name_already_is_replaced_and_never_written_through() {
    let place = Place::new();
    fs::write(place.path("beside/file"), "mine").unwrap();
    let archive = archive(&[
        ("workspace/link", EntryType::Symlink, "../beside/file", b""),
        ("workspace/link", EntryType::Regular, "", b"new"),
        ("workspace/folder", EntryType::Symlink, "../beside", b""),
        ("workspace/folder", EntryType::Directory, "", b""),
        ("workspace/folder/file", EntryType::Regular, "", b"new"),
    ]);
    fs::hard_link(place.path("beside/file"), place.path("ws/folder")).unwrap();
    place.unpack(&archive).unwrap();
    assert_eq!(fs::read(place.path("beside/file")).unwrap(), b"mine");
    assert_eq!(fs::read(place.path("ws/link")).unwrap(), b"new");
    assert_eq!(fs::read(place.path("ws/folder/file")).unwrap(), b"new");
    assert_eq!(fs::metadata(place.path("ws/link")).unwrap().mode() & 0o7777, 0o755, "no set-uid bit");
}

#[test]
fn what_no_checkpoint_holds_is_refused() {
    use EntryType::{Block, Char, Fifo, GNUSparse, Link, XGlobalHeader, XHeader};
    for kind in [Block, Char, Fifo, GNUSparse, Link, XGlobalHeader, XHeader] {
        let archive = archive(&[("workspace/x", kind, "state.json", b"")]);
        let error = Place::new().unpack(&archive).unwrap_err();
        assert!(matches!(error, UnpackError::Foreign(_)), "{kind:?}: {error}");
    }
    // A name that would fill the memory.
    let long = archive(&[("././@LongLink", EntryType::GNULongName, "", &[b'x'; 1024 * 1024])]);
    assert!(matches!(Place::new().unpack(&long).unwrap_err(), UnpackError::Foreign(_)));
    let stateless = Builder::new(Vec::new()).into_inner().unwrap();
    assert!(matches!(Place::new().unpack(&stateless).unwrap_err(), UnpackError::NoState));
}
