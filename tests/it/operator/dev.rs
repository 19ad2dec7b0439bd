//! The tools beside `anb dev`: the line that it prints works as it is.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// A folder's name that a shell and a settings file each read otherwise unless it is quoted.
const FOLDER: &str = "it's $HOME's \"data\" \\ #1";

#[tokio::test]
async fn the_printed_line_reaches_the_private_services() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = program(folder.path())
        .args(["dev", "--port=0", "--data-dir", FOLDER])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(dev.stdout.take().unwrap()).lines();
    let mut printed = None;
    while printed.is_none() {
        let line = said.next_line().await.unwrap().expect("it ended");
        printed = line.contains("--env-file").then_some(line);
    }
    let printed = printed.unwrap();

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

    let id = Pid::from_raw(dev.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    assert!(dev.wait().await.unwrap().success());
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
