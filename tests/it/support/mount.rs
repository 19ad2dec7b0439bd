//! Disks that a test can fill or slow down.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A small mounted disk.
pub struct Mount {
    folder: PathBuf,
}

impl Mount {
    pub fn tmpfs(folder: &Path, options: &str) -> Option<Self> {
        Self::new(folder, &["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    /// Mounts a disk with arguments of mount(8). Returns none, with a message, without permission.
    pub fn new(folder: &Path, args: &[&str]) -> Option<Self> {
        if run("mount", args, folder) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
            let folder = folder.to_owned();
            return Some(Self { folder });
        }
        println!("skipped: `mount {}` requires root", args.join(" "));
        None
    }

    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(run("mount", &["-o", &options], &self.folder));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.folder);
    }
}

#[expect(clippy::disallowed_methods, reason = "the disk belongs to the test")]
fn run(program: &str, args: &[&str], folder: &Path) -> bool {
    let status = Command::new(program).args(args).arg(folder).status();
    status.is_ok_and(|status| status.success())
}
