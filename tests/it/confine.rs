//! The launcher, run as the media kit and the private services run it.

mod sandbox;

use std::{
    path::PathBuf,
    process::Output,
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
    // Seconds, kilobytes, blocks of 512 bytes, no core dump, niceness.
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "7\n2000000\n10\n0\n15\n"
    );
}

#[test]
fn nothing_starts_when_the_parent_is_another_process() {
    let args = ["confine", "--parent=1", "--", "/bin/echo", "started"];
    let output = run(ANB, &args);
    assert_eq!(output.status.code(), Some(NOT_STARTED.into()));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("parent 1 is gone"));
}

#[test]
fn a_missing_program_is_named() {
    let output = run(ANB, &["confine", "--", "/no/such/program"]);
    assert_eq!(output.status.code(), Some(NOT_STARTED.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start /no/such/program"));
}

#[test]
fn the_program_dies_with_its_parent() {
    let script = format!(
        "{ANB} confine --parent $$ --death-signal kill -- /bin/sleep 60 >/dev/null 2>&1 & echo $!"
    );
    let output = run("/bin/sh", &["-c", &script]);
    let pid = String::from_utf8(output.stdout).unwrap();
    let cmdline = PathBuf::from(format!("/proc/{}/cmdline", pid.trim()));
    let deadline = Instant::now() + Duration::from_secs(20);
    // A dead process that nobody has reaped yet has an empty command line.
    while std::fs::read(&cmdline).is_ok_and(|line| !line.is_empty()) {
        assert!(Instant::now() < deadline, "it outlived its parent");
        std::thread::yield_now();
    }
}
