//! `anb dev` in a terminal: the command line that it prints works, and Ctrl-C stops it at any time.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::support::{descendants, eventually, processes_about};

/// A folder name that must be quoted in a shell and in a settings file, each in its own way.
const FOLDER: &str = "it's $HOME's \"data\" \\ #1";

#[tokio::test]
async fn printed_command_reaches_the_private_services() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = start(folder.path());
    let printed = printed_line(&mut dev).await;

    let file = folder.path().join(FOLDER).join("dev.env");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ran = shell(folder.path(), &printed).await;
    assert!(ran.status.success(), "{printed}: {ran:?}");
    let counted = String::from_utf8(ran.stdout).unwrap();
    assert!(counted.starts_with("videos    waiting 0"), "{counted}");
    let ran = shell(folder.path(), &printed.replace("queue stats", "fsck")).await;
    assert!(ran.status.success(), "{ran:?}");
    let grant = printed.replace("queue stats", "admin grant organiser ana@example.com");
    let ran = shell(folder.path(), &grant).await;
    let refusal = String::from_utf8(ran.stderr).unwrap();
    assert!(refusal.contains("sign up first"), "{refusal}");

    interrupt(&dev);
    assert!(dev.wait().await.unwrap().success());
}

#[tokio::test]
async fn interrupt_stops_initdb_and_the_next_start_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(FOLDER);
    let mut dev = start(folder.path());
    let id = dev.id().unwrap();
    // When initdb has started a server, it has written files and has a child process to stop.
    eventually("initdb is running", 60, async || {
        let servers = descendants(id).into_iter();
        servers
            .map(|id| fs::read_to_string(format!("/proc/{id}/comm")))
            .any(|name| name.is_ok_and(|name| name == "postgres\n"))
    })
    .await;
    interrupt(&dev);
    let ended = timeout(Duration::from_mins(1), dev.wait()).await;
    assert!(ended.expect("anb dev must stop").unwrap().success());
    assert!(!data.join("postgres").exists(), "initdb ran to completion");
    eventually("every process has ended", 60, async || {
        processes_about(folder.path()).is_empty()
    })
    .await;

    let mut dev = start(folder.path());
    printed_line(&mut dev).await;
    interrupt(&dev);
    assert!(dev.wait().await.unwrap().success());
    let left = fs::read_dir(&data).unwrap().map(Result::unwrap);
    let mut names = left.map(|entry| entry.file_name().into_string().unwrap());
    assert!(!names.any(|name| name.starts_with("initdb-")));
}

/// Starts `anb dev` with its data in `FOLDER`.
fn start(folder: &Path) -> Child {
    program(folder)
        .args(["dev", "--port=0", "--data-dir", FOLDER])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits for the printed command line and returns it.
async fn printed_line(dev: &mut Child) -> String {
    let mut reader = BufReader::new(dev.stdout.take().unwrap()).lines();
    loop {
        let line = reader.next_line().await.unwrap().unwrap();
        if line.contains("--env-file") {
            return line;
        }
    }
}

/// Sends SIGINT, as Ctrl-C does.
fn interrupt(dev: &Child) {
    let id = Pid::from_raw(dev.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program is tested from outside"
)]
fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anb"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .current_dir(folder)
        .stderr(Stdio::null());
    command
}

#[expect(clippy::disallowed_methods, reason = "as an operator types it")]
async fn shell(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env_clear().current_dir(folder);
    command.output().await.unwrap()
}
