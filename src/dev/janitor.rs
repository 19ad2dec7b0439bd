//! Removes a throwaway folder when this process ends, even by `kill -9`.
//!
//! A shell waits on a pipe whose other end only this process holds. The kernel always closes it.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin},
    time::timeout,
};

use super::{Folder, accounts::Account, server};

/// The arguments are the data folder and the socket folders. A line on the pipe means that the
/// servers have stopped; end of file means that running servers must be stopped. An orphaned
/// process may stay a zombie, which has no `exe`.
const SCRIPT: &str = r#"
data=$1 postgres=$1/postgres/postmaster.pid redis=$1/redis/redis.pid
shift
signal() {
    id=$(head -n 1 "$2") && [ "$(cat "/proc/$id/comm")" = "$3" ] && [ -e "/proc/$id/exe" ] && kill -s "$1" "$id"
}
if ! read -r line; then
    signal QUIT "$postgres" postgres
    signal TERM "$redis" redis-server
    tries=0
    while signal 0 "$postgres" postgres || signal 0 "$redis" redis-server; do
        [ $((tries += 1)) -lt 50 ] || break
        sleep 0.1
    done
    signal KILL "$postgres" postgres
    signal KILL "$redis" redis-server
fi
elsewhere=$(readlink "$data/postgres" "$data"/initdb-*)
rm -rf -- "$@" $elsewhere "$data/postgres" "$data/redis" "$data/logs" "$data/lock" "$data"/initdb-*
rmdir -- "$data"
"#;

/// The shell that removes the folder.
#[derive(Debug)]
pub struct Janitor {
    child: Child,
    pipe: ChildStdin,
}

impl Janitor {
    /// Starts the shell, before there is anything to remove.
    pub async fn start(folder: &Folder) -> anyhow::Result<Self> {
        // The shell must outlive this process, so it gets no parent-death signal.
        let mut command = Account::Caller.command(Path::new("/bin/sh"), "clear");
        command.args(["-c", SCRIPT, "sh"]).arg(folder.path());
        for account in Account::for_postgres(folder.passwd()) {
            command.arg(folder.sockets_path(account.owner()));
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = server::spawn(command).await.context("start the janitor")?;
        let pipe = child.stdin.take().context("the janitor has no pipe")?;
        Ok(Self { child, pipe })
    }

    /// Removes the folder after the servers have stopped.
    pub async fn finish(mut self) {
        let cleaned = async {
            self.pipe.write_all(b"stopped\n").await?;
            drop(self.pipe);
            self.child.wait().await
        };
        match timeout(Duration::from_secs(20), cleaned).await {
            Ok(Ok(_status)) => {}
            Ok(Err(err)) => tracing::warn!("the janitor failed: {err}"),
            Err(_elapsed) => tracing::warn!("the janitor is still removing temporary folders"),
        }
    }
}
