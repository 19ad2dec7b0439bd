//! As whom a server runs, and how it is started as such.
//!
//! PostgreSQL refuses root. In order of preference: the caller itself; for root, a user namespace in which root
//! has another number (its files stay root's); the `postgres` account, for containers that forbid namespaces and
//! for folders that root may enter only by its privileges.

use std::{fs, io, path::Path, process::Stdio};

use tokio::process::Command;

/// A user and its group, by number.
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

/// A way to run a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Account {
    Caller,
    /// The caller, under these numbers, inside a user namespace.
    Namespace(Owner),
    /// Another user of this machine; only root can become one.
    Other(Owner),
}

impl Account {
    /// The accounts PostgreSQL may run as, best first.
    pub fn for_postgres(passwd: &Passwd) -> Vec<Self> {
        if !rustix::process::geteuid().is_root() {
            return vec![Self::Caller];
        }
        // initdb looks its user up by number, so the namespace needs one that has a name.
        match (passwd.find("postgres"), passwd.find("nobody")) {
            (Some(postgres), _) => vec![Self::Namespace(postgres), Self::Other(postgres)],
            (None, Some(nobody)) => vec![Self::Namespace(nobody)],
            (None, None) => Vec::new(),
        }
    }

    /// The user who owns this account's files on disk.
    pub fn owner(self) -> Owner {
        match self {
            Self::Caller | Self::Namespace(_) => Owner::caller(),
            Self::Other(owner) => owner,
        }
    }

    /// Builds a command that runs `program` as this account, in its own process group (a Ctrl-C in the terminal
    /// must not reach the servers before their clients have drained) and with a minimal environment.
    ///
    /// The kernel sends it `death_signal` when the spawning thread ends. Changing credentials clears that wish,
    /// so it is made last, by `setpriv`. Neither `unshare` nor `setpriv` forks: the child's id is the program's.
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

    /// Whether this account works on this machine and can write to `folder`.
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
    fn an_account_is_found_by_its_whole_name() {
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
