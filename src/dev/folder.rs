//! The data folder, used by one live process at a time, and its private folder for sockets.
//!
//! A unix socket's path is limited to 107 bytes, so sockets live under `/tmp` in a folder named
//! after a hash of the data folder's path, which lets the next run find it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use ring::digest;

use super::accounts::{Account, Owner, Passwd};

/// A data folder that only this process uses.
#[derive(Debug)]
pub struct Folder {
    /// Absolute, without symbolic links.
    path: PathBuf,
    passwd: Passwd,
    /// Released by the kernel when this process ends for any reason.
    lock: File,
}

impl Folder {
    /// Creates the folder if missing and locks it. Fails if another live process holds the lock.
    pub fn claim(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("ANB_DATA_DIR: create the folder {}", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("ANB_DATA_DIR: open the folder {}", path.display()))?;
        let (owner, me) = (
            fs::metadata(&path)?.uid(),
            rustix::process::geteuid().as_raw(),
        );
        ensure!(
            owner == me,
            "the data folder {} belongs to user {owner}, not to you ({me}): run as that user, or set ANB_DATA_DIR",
            path.display()
        );
        let lock = lock(&path)?;
        let passwd = Passwd::read().context("read /etc/passwd")?;
        Ok(Self { path, passwd, lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn passwd(&self) -> &Passwd {
        &self.passwd
    }

    /// Returns the folder for the sockets of a server that runs as `owner`.
    pub fn sockets_path(&self, owner: Owner) -> PathBuf {
        let hash = digest::digest(&digest::SHA256, self.path.as_os_str().as_encoded_bytes());
        let hash: String = hex::encode(hash).chars().take(16).collect();
        PathBuf::from(format!("/tmp/anb-{}-{hash}", owner.uid))
    }

    /// Creates the folder for sockets, or verifies the existing one.
    pub fn sockets(&self, owner: Owner) -> anyhow::Result<PathBuf> {
        let sockets = self.sockets_path(owner);
        private_folder(&sockets, owner)?;
        Ok(sockets)
    }
}

/// Removes the empty socket folders, that is, those without a running server. Then unlocks
/// explicitly, because a child that is being spawned may still hold a copy of the file descriptor.
impl Drop for Folder {
    fn drop(&mut self) {
        for account in Account::for_postgres(&self.passwd) {
            drop(fs::remove_dir(self.sockets_path(account.owner())));
        }
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the data folder stays locked until this process exits");
        }
    }
}

/// Ensures that `path` is a folder that only `owner` can enter.
///
/// Any user can create entries in `/tmp`, so links and folders of other users are rejected.
pub fn private_folder(path: &Path, owner: Owner) -> anyhow::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) if owner == Owner::caller() => return Ok(()),
        Ok(()) => chown(path, Some(owner.uid), Some(owner.gid))
            .with_context(|| format!("change the owner of {}", path.display()))?,
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
        Err(err) => return Err(err).with_context(|| format!("create {}", path.display())),
    }
    let found =
        fs::symlink_metadata(path).with_context(|| format!("inspect {}", path.display()))?;
    ensure!(
        found.is_dir() && found.uid() == owner.uid && found.mode() & 0o7777 == 0o700,
        "{} is not a private folder of user {}: check who created it, then remove it",
        path.display(),
        owner.uid
    );
    Ok(())
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| {
            format!(
                "ANB_DATA_DIR: cannot write to the folder {}",
                folder.display()
            )
        })?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            bail!(
                "{} is in use by process {}: stop it, or set ANB_DATA_DIR to another folder",
                folder.display(),
                holder.trim()
            )
        }
        Err(TryLockError::Error(err)) => {
            Err(err).with_context(|| format!("lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn symbolic_link_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(private_folder(&dir.path().join("link"), Owner::caller()).is_err());
    }

    #[test]
    fn folder_accessible_to_others_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(dir.path(), Owner::caller()).is_err());
    }

    #[test]
    fn existing_private_folder_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sockets");
        private_folder(&path, Owner::caller()).unwrap();
        private_folder(&path, Owner::caller()).unwrap();
    }

    #[test]
    fn drop_unlocks_folder_despite_copied_descriptor() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::claim(parent.path()).unwrap();
        let copy = folder.lock.try_clone().unwrap();
        drop(folder);
        drop(Folder::claim(parent.path()).unwrap());
        drop(copy);
    }

    #[test]
    fn error_names_unwritable_folder() {
        let dir = tempfile::tempdir().unwrap();
        // Root ignores permissions, but opening a folder as a file or a path below a file fails.
        fs::create_dir(dir.path().join("lock")).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [dir.path(), &file.join("below")] {
            let error = Folder::claim(path).unwrap_err().to_string();
            assert!(error.starts_with("ANB_DATA_DIR: "), "{error}");
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }

    #[test]
    fn second_claim_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Folder::claim(dir.path()).unwrap();
        let error = Folder::claim(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("in use by process {}", std::process::id())),
            "{error}"
        );
    }
}
