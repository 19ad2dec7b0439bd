//! Finds or creates the PostgreSQL data folder, with a matching account and binaries.
//!
//! `initdb` runs in a sibling folder `initdb-…`, which is renamed on success, so an interrupted run
//! is recognised and repeated. If only the `postgres` account works and cannot enter the data
//! folder, the data lives in that account's home, behind a symbolic link.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use crate::dev::{
    Durability, Folder, Options,
    accounts::{Account, Passwd},
    binaries::PostgresBinaries,
    folder::private_folder,
    log::Log,
    server,
};

const INITDB_PREFIX: &str = "initdb-";

/// An initialised data folder.
#[derive(Debug)]
pub struct Cluster {
    pub account: Account,
    /// Absolute, without symbolic links.
    pub data: PathBuf,
    binaries: PostgresBinaries,
}

impl Cluster {
    /// Opens `postgres/` in the data folder, or creates it with the newest of `installed`.
    pub async fn open(
        folder: &Folder,
        options: &Options,
        installed: &[PostgresBinaries],
        log: &Log,
    ) -> anyhow::Result<Self> {
        let data = folder.path().join("postgres");
        remove_unfinished(folder.path()).context("remove an interrupted initdb")?;
        if fs::symlink_metadata(&data).is_err() {
            let newest = installed.first().context("no PostgreSQL is installed")?;
            create(folder, options, newest, log).await?;
        }
        let shown = data.display();
        let version = fs::read_to_string(data.join("PG_VERSION")).with_context(|| {
            format!("{shown} is not a PostgreSQL data folder: move it away to start empty")
        })?;
        let version = version.trim();
        let Some(binaries) = installed
            .iter()
            .find(|binaries| binaries.major.to_string() == version)
        else {
            bail!(
                "{shown} was created by PostgreSQL {version}, which is not installed: install postgresql-{version}, or \
                 move the folder away to start empty"
            );
        };
        let data = data
            .canonicalize()
            .with_context(|| format!("open {shown}"))?;
        for account in Account::for_postgres(folder.passwd()) {
            if account.can_write(&data).await {
                return Ok(Self {
                    account,
                    data,
                    binaries: binaries.clone(),
                });
            }
        }
        bail!(
            "no account that PostgreSQL accepts can write to {}: check who owns it",
            data.display()
        )
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.folder.join(name)
    }
}

async fn create(
    folder: &Folder,
    options: &Options,
    binaries: &PostgresBinaries,
    log: &Log,
) -> anyhow::Result<()> {
    let unfinished = folder
        .path()
        .join(format!("{INITDB_PREFIX}{}", std::process::id()));
    let account = prepare(&unfinished, folder.passwd()).await?;
    let mut command = account.command(&binaries.folder.join("initdb"), "KILL");
    command.args([
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--auth=trust",
    ]);
    command
        .args(["--no-instructions", "--pgdata"])
        .arg(unfinished.canonicalize()?);
    if options.durability == Durability::Throwaway {
        command.arg("--no-sync");
    }
    log.attach(&mut command)?;
    let status = server::run(command, &options.stop)
        .await
        .context("run initdb")?;
    ensure!(
        status.success(),
        "initdb failed ({status}): {}",
        log.reason()
    );
    fs::rename(&unfinished, folder.path().join("postgres"))
        .context("move the new database into place")?;
    fs::File::open(folder.path())?
        .sync_all()
        .context("sync the data folder")
}

/// Creates an empty folder (or a link to one) at `place`, writable by the returned account.
async fn prepare(place: &Path, passwd: &Passwd) -> anyhow::Result<Account> {
    for account in Account::for_postgres(passwd) {
        private_folder(place, account.owner())?;
        if account.can_write(place).await {
            return Ok(account);
        }
        fs::remove_dir(place)?;
        let (Account::Other(owner), Some(home)) = (account, passwd.home("postgres")) else {
            continue;
        };
        // A new name each time, so that deleting the data folder cannot bring back old data.
        let elsewhere = home.join(format!("anb-{}", uuid::Uuid::now_v7().simple()));
        private_folder(&elsewhere, owner)?;
        symlink(&elsewhere, place)?;
        if account.can_write(&elsewhere).await {
            tracing::info!("PostgreSQL keeps its data in {}", elsewhere.display());
            return Ok(account);
        }
        remove(place)?;
    }
    bail!(
        "PostgreSQL refuses to run as root, and neither a user namespace nor the account `postgres` works here"
    )
}

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(INITDB_PREFIX.as_bytes())
        {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes an unfinished folder, or a link and the folder behind it.
fn remove(place: &Path) -> io::Result<()> {
    let Ok(elsewhere) = fs::read_link(place) else {
        return fs::remove_dir_all(place);
    };
    match fs::remove_dir_all(elsewhere) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => fs::remove_file(place),
    }
}
