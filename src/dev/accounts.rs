//! The account that a server runs as.
//!
//! PostgreSQL refuses to run as root. Root therefore uses a user namespace that maps it to another
//! uid (files on disk still belong to root), or else the `postgres` account, for containers that
//! forbid namespaces and for folders that root can enter only through its privileges.

use std::{fs, io, path::Path, process::Stdio};

use tokio::process::Command;

/// A user and its group, by id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    pub fn caller() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Account {
    Caller,
    /// The caller, mapped to these ids inside a user namespace.
    Namespace(Owner),
    /// Another user of this machine; requires root.
    Other(Owner),
}

impl Account {
    /// Returns the accounts that PostgreSQL can run as, in order of preference.
    pub fn for_postgres(passwd: &Passwd) -> Vec<Self> {
        if !rustix::process::geteuid().is_root() {
            return vec![Self::Caller];
        }
        // initdb looks up its user by id, so the namespace needs an id with a name.
        match (passwd.find("postgres"), passwd.find("nobody")) {
            (Some(postgres), _) => vec![Self::Namespace(postgres), Self::Other(postgres)],
            (None, Some(nobody)) => vec![Self::Namespace(nobody)],
            (None, None) => Vec::new(),
        }
    }

    /// Returns the owner of this account's files on disk.
    pub fn owner(self) -> Owner {
        match self {
            Self::Caller | Self::Namespace(_) => Owner::caller(),
            Self::Other(owner) => owner,
        }
    }

    /// Builds a command that runs `program` as this account, with a minimal environment. Its own
    /// process group keeps Ctrl-C from stopping the servers before their clients have drained.
    ///
    /// The kernel sends it `death_signal` when the spawning thread ends. A change of credentials
    /// clears this signal, so `setpriv` sets it last. Neither `unshare` nor `setpriv` forks, so the
    /// child's process id is the program's.
    pub fn command(self, program: &Path, death_signal: &str) -> Command {
        #[expect(clippy::disallowed_methods, reason = "starts the private servers")]
        let start = |wrapper: &str| Command::new(wrapper);
        let mut command = match self {
            Self::Caller | Self::Other(_) => start("setpriv"),
            Self::Namespace(Owner { uid, gid }) => {
                let mut command = start("unshare");
                command.args([
                    "--user",
                    &format!("--map-user={uid}"),
                    &format!("--map-group={gid}"),
                    "--",
                    "setpriv",
                ]);
                command
            }
        };
        command.arg(format!("--pdeathsig={death_signal}"));
        if let Self::Other(Owner { uid, gid }) = self {
            command.args([
                &format!("--reuid={uid}"),
                &format!("--regid={gid}"),
                "--clear-groups",
            ]);
        }
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .arg("--")
            .arg(program)
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        command
    }

    /// Returns whether this account works on this machine and can write to `folder`.
    pub async fn can_write(self, folder: &Path) -> bool {
        let mut command = self.command(Path::new("/bin/sh"), "KILL");
        command
            .args(["-c", r#"cd "$1" && test -w ."#, "sh"])
            .arg(folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().await.is_ok_and(|status| status.success())
    }
}

/// The accounts of this machine.
#[derive(Debug)]
pub struct Passwd(String);

impl Passwd {
    pub fn read() -> io::Result<Self> {
        fs::read_to_string("/etc/passwd").map(Self)
    }

    fn entry(&self, name: &str) -> Option<Vec<&str>> {
        self.0
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&name))
    }

    pub fn find(&self, name: &str) -> Option<Owner> {
        let entry = self.entry(name)?;
        Some(Owner {
            uid: entry.get(2)?.parse().ok()?,
            gid: entry.get(3)?.parse().ok()?,
        })
    }

    pub fn home(&self, name: &str) -> Option<&Path> {
        self.entry(name)?.get(5).copied().map(Path::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_lookup_matches_whole_name() {
        let passwd = Passwd(
            "postgresql:x:1:2::/a:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/sh\n"
                .into(),
        );
        assert_eq!(passwd.find("postgres"), Some(Owner { uid: 101, gid: 104 }));
        assert_eq!(
            passwd.home("postgres"),
            Some(Path::new("/var/lib/postgresql"))
        );
        assert_eq!(passwd.find("redis"), None);
    }
}
