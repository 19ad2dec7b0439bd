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
    /// Mounts one in memory; says so and returns none where this user may not.
    pub fn tmpfs(folder: &Path, options: &str) -> Option<Self> {
        if run("mount", &["-t", "tmpfs", "-o", options, "tmpfs"], folder) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
            let folder = folder.to_owned();
            return Some(Self { folder });
        }
        println!("skipped: mounting a tmpfs needs root");
        None
    }

    /// Mounts one whose blocks are a file of `size`, as truncate(1) writes it; says so and returns none where
    /// this user or this machine cannot.
    pub fn ext4(folder: &Path, blocks: &Path, size: &str) -> Option<Self> {
        let mounted = run("truncate", &["--size", size], blocks)
            && run("mkfs.ext4", &["-q", "-m", "0"], blocks)
            && run("mount", &["-o", "loop", blocks.to_str().unwrap()], folder);
        if mounted {
            let folder = folder.to_owned();
            return Some(Self { folder });
        }
        println!("skipped: a disk in a file needs root, a loop device and mkfs.ext4");
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
