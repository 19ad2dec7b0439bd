//! Disks that a test can fill or slow down.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A small disk of its own.
pub struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// Mounts one in memory.
    pub fn tmpfs(folder: &Path, options: &str) -> Option<Self> {
        Self::new(folder, &["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    /// Mounts what the arguments of mount(8) say; says so and returns none where this user may not.
    pub fn new(folder: &Path, args: &[&str]) -> Option<Self> {
        if run("mount", args, folder) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
            let folder = folder.to_owned();
            return Some(Self { folder });
        }
        println!("skipped: `mount {}` needs root", args.join(" "));
        None
    }

    /// Mounts it again with other options.
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

#[expect(clippy::disallowed_methods, reason = "the disk is made for the test")]
fn run(program: &str, args: &[&str], folder: &Path) -> bool {
    let status = Command::new(program).args(args).arg(folder).status();
    status.is_ok_and(|status| status.success())
}
