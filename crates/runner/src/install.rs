//! Putting this binary where the other containers of the pod find it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::Context;

/// The file's name in its folder.
const NAME: &str = "drover-runner";
/// Everybody may run it: agents run as many users.
const MODE: u32 = 0o755;

/// Copies the running binary into `folder`. The file appears whole or not at all, so a repetition after a crash, or
/// beside a running copy, does no harm.
pub(crate) fn install(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let target = folder.join(NAME);
    copy(folder, &target).with_context(|| format!("{} cannot be written", target.display()))?;
    tracing::info!(path = %target.display(), "installed");
    Ok(())
}

fn copy(folder: &Path, target: &Path) -> io::Result<()> {
    let mut temporary = tempfile::Builder::new().prefix(".drover-runner-").tempfile_in(folder)?;
    io::copy(&mut File::open("/proc/self/exe")?, &mut temporary)?;
    temporary.as_file().set_permissions(Permissions::from_mode(MODE))?;
    temporary.persist(target)?;
    Ok(())
}
