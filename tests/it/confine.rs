//! The launcher, run as the media service and the development servers run it.

mod sandbox;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use anb::confine::NOT_STARTED;

const ANB: &str = env!("CARGO_BIN_EXE_anb");

#[expect(
    clippy::disallowed_methods,
    reason = "the launcher is tested from outside"
)]
fn run(program: &str, args: &[&str]) -> Output {
    std::process::Command::new(program)
        .args(args)
        .output()
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the launcher is tested from outside"
)]
fn start(program: &str, args: &[&str]) -> Child {
    let mut command = std::process::Command::new(program);
    command.args(args).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn limits_reach_the_program() {
    let limits = [
        "confine",
        "--cpu=7",
        "--memory=2048000000",
        "--file-size=5120",
        "--nice=15",
    ];
    let show = [
        "--",
        "/bin/sh",
        "-c",
        "ulimit -t; ulimit -v; ulimit -f; ulimit -Hc; nice",
    ];
    let output = run(ANB, &[&limits[..], &show[..]].concat());
    // CPU seconds, memory in kilobytes, file size in 512-byte blocks, core size, niceness.
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "7\n2000000\n10\n0\n15\n"
    );
}

#[test]
fn program_is_not_started_under_another_parent() {
    let args = ["confine", "--parent=1", "--", "/bin/echo", "started"];
    let output = run(ANB, &args);
    assert_eq!(output.status.code(), Some(NOT_STARTED.into()));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("parent 1 is gone"));
}

#[test]
fn missing_program_is_named() {
    let output = run(ANB, &["confine", "--", "/no/such/program"]);
    assert_eq!(output.status.code(), Some(NOT_STARTED.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start /no/such/program"));
}

#[test]
fn program_dies_with_its_parent() {
    let script = format!(
        "{ANB} confine --parent $$ --death-signal kill -- /bin/sh -c 'echo $$; exec sleep 60 2>&1' & wait"
    );
    let mut parent = start("/bin/sh", &["-c", &script]);
    // The program prints its own id, so it already runs and only the death signal can end it.
    let mut pid = String::new();
    let mut stdout = BufReader::new(parent.stdout.take().unwrap());
    stdout.read_line(&mut pid).unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", pid.trim()));
    assert!(is_alive(&status), "{pid}");
    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(50);
    while is_alive(&status) {
        assert!(Instant::now() < deadline, "program outlived its parent");
        std::thread::yield_now();
    }
}

/// Returns whether a process is running; a zombie is not.
fn is_alive(status: &Path) -> bool {
    std::fs::read_to_string(status).is_ok_and(|status| !status.contains("State:\tZ"))
}
