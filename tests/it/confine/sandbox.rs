//! Real programs attempt what a malicious file could make them do. Each attempt is repeated without
//! the sandbox and must succeed there, which shows that only the sandbox stops it.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::LazyLock,
    thread,
};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;

use super::{ANB, run};
use crate::support::eventually;

/// Content of the file that a program must not read.
const SECRET: &str = "a file of another job";

/// The folder of one job, and files next to it.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn open() -> Self {
        let ground = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(ground.path("out")).unwrap();
        fs::write(ground.path("input"), "the job's own file").unwrap();
        fs::write(ground.path("secret"), SECRET).unwrap();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("file:{}", self.path(name).display())
    }

    /// Runs a sandboxed program that may read `input` and write to `out`.
    fn inside(&self, program: &str, args: &[&str]) -> Output {
        let read = self.path("input").display().to_string();
        let write = self.path("out").display().to_string();
        let own = ["confine", "--sandbox", "--read", &read, "--write", &write];
        run(ANB, &[&own[..], &["--", program], args].concat())
    }

    /// Copies bytes between any two URLs with a sandboxed `ffmpeg`, which supports every protocol.
    fn copy(&self, from: &str, to: &str) -> Output {
        self.inside(ffmpeg(), &Self::copying(from, to))
    }

    fn copying<'a>(from: &'a str, to: &'a str) -> Vec<&'a str> {
        let input = ["-nostdin", "-v", "error", "-f", "data", "-i", from];
        let output = ["-map", "0", "-c", "copy", "-f", "data", "-y", to];
        [&input[..], &output[..]].concat()
    }

    /// Returns whether a copy succeeds without the sandbox.
    fn copies_outside(from: &str, to: &str) -> bool {
        run(ffmpeg(), &Self::copying(from, to)).status.success()
    }
}

fn ffmpeg() -> &'static str {
    static FFMPEG: LazyLock<String> = LazyLock::new(|| {
        let path = std::env::var_os("PATH").unwrap();
        let mut places = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg"));
        places
            .find(|place| place.exists())
            .unwrap()
            .display()
            .to_string()
    });
    &FFMPEG
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn program_reads_its_input_and_writes_to_its_folder() {
    let ground = Ground::open();
    let output = ground.copy(&ground.url("input"), &ground.url("out/copy"));
    assert!(output.status.success(), "{}", text(&output));
    let copy = fs::read(ground.path("out/copy")).unwrap();
    assert_eq!(copy, fs::read(ground.path("input")).unwrap());
}

#[test]
fn program_cannot_read_other_files() {
    let ground = Ground::open();
    for secret in [
        &ground.url("secret"),
        "file:/etc/passwd",
        "file:/proc/self/environ",
    ] {
        assert!(Ground::copies_outside(secret, &ground.url("stolen")));
        let output = ground.copy(secret, "pipe:1");
        assert!(!output.status.success(), "{secret}");
        assert_eq!(output.stdout, b"", "{secret}");
        assert!(
            text(&output).contains("Permission denied"),
            "{secret}: {}",
            text(&output)
        );
    }
}

#[test]
fn symlink_in_its_folder_does_not_leave_the_sandbox() {
    let ground = Ground::open();
    std::os::unix::fs::symlink(ground.path("secret"), ground.path("out/link")).unwrap();
    let output = ground.copy(&ground.url("out/link"), "pipe:1");
    assert_eq!(output.stdout, b"");
    assert!(
        text(&output).contains("Permission denied"),
        "{}",
        text(&output)
    );
}

#[test]
fn program_cannot_write_elsewhere() {
    let ground = Ground::open();
    for target in ["secret", "input", "new"] {
        let before = fs::read(ground.path(target)).ok();
        let output = ground.copy(&ground.url("input"), &ground.url(target));
        assert!(!output.status.success(), "{target}");
        assert_eq!(fs::read(ground.path(target)).ok(), before, "{target}");
    }
    assert!(Ground::copies_outside(
        &ground.url("input"),
        &ground.url("new")
    ));
}

#[tokio::test]
async fn program_cannot_open_connections() {
    let ground = Ground::open();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(ground.path("socket")).unwrap();
    tcp.set_nonblocking(true).unwrap();
    unix.set_nonblocking(true).unwrap();
    let http = format!("http://{}/", tcp.local_addr().unwrap());
    let local = format!("unix:{}", ground.path("socket").display());
    let has_connected = || tcp.accept().is_ok() || unix.accept().is_ok();
    for address in [http, local] {
        let output = ground.copy(&address, "pipe:1");
        assert!(!output.status.success(), "{address}");
        assert!(!has_connected(), "{address}");
        // Outside the sandbox it connects, and would wait for a response.
        let mut client = Command::new(ffmpeg());
        client.args(Ground::copying(&address, "pipe:1"));
        let mut client = client.stdout(Stdio::null()).spawn().unwrap();
        eventually("the program connects", 60, async || has_connected()).await;
        client.kill().unwrap();
        client.wait().unwrap();
    }
}

#[test]
fn program_cannot_start_other_programs() {
    let ground = Ground::open();
    let shell = |script| ground.inside("/bin/sh", &["-c", script]);
    assert_eq!(shell("echo alive").stdout, b"alive\n");
    for script in ["exec /bin/echo other", "(echo other)", "echo x | cat"] {
        let output = shell(script);
        assert!(!output.status.success(), "{script}");
        assert_eq!(output.stdout, b"", "{script}");
        assert!(run("/bin/sh", &["-c", script]).status.success(), "{script}");
    }
}

#[test]
fn program_cannot_signal_other_processes() {
    let ground = Ground::open();
    let script = format!("kill -0 {}", std::process::id());
    assert!(!ground.inside("/bin/sh", &["-c", &script]).status.success());
    assert!(run("/bin/sh", &["-c", &script]).status.success());
}

#[test]
fn program_does_not_start_if_the_sandbox_fails() {
    let ground = Ground::open();
    let args = ["confine", "--sandbox", "--", "/bin/echo", "started"].map(str::to_owned);
    let output = without_landlock(move || Command::new(ANB).args(args).output().unwrap());
    assert_eq!(output.stdout, b"");
    assert!(
        text(&output).contains("the kernel has no Landlock"),
        "{}",
        text(&output)
    );

    let missing = ground.path("missing").display().to_string();
    let output = run(
        ANB,
        &[
            "confine",
            "--sandbox",
            "--read",
            &missing,
            "--",
            "/bin/echo",
            "x",
        ],
    );
    assert_eq!(output.stdout, b"");
    assert!(text(&output).contains(&missing), "{}", text(&output));
}

#[tokio::test]
async fn worker_logs_that_the_sandbox_is_active() {
    let log = worker_log(&[], |mut worker| worker.spawn().unwrap()).await;
    assert!(log.contains("media sandbox active"), "{log}");
}

#[tokio::test]
async fn worker_without_landlock_warns_and_continues() {
    let start = |mut worker: Command| without_landlock(move || worker.spawn().unwrap());
    let log = worker_log(&[], start).await;
    let warned = log.contains("WARN") && log.contains("media sandbox not active");
    assert!(
        warned && log.contains("the kernel has no Landlock"),
        "{log}"
    );
    assert!(log.contains("worker started"), "{log}");
}

#[tokio::test]
async fn worker_that_requires_the_sandbox_does_not_start_without_it() {
    let start = |mut worker: Command| without_landlock(move || worker.spawn().unwrap());
    let log = worker_log(&[("MEDIA_SANDBOX", "require")], start).await;
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("anb: MEDIA_SANDBOX is require"), "{log}");
    assert!(last.contains("the kernel has no Landlock"), "{log}");
    assert!(!log.contains("worker started"), "{log}");
}

/// Starts a worker without services, and returns its log once it has started or exited.
async fn worker_log(
    variables: &[(&str, &str)],
    start: impl FnOnce(Command) -> std::process::Child,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log_file = folder.path().join("log");
    let mut worker = Command::new(ANB);
    worker
        .args(["work", "--metrics-addr", "off"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("SCRATCH_PATH", folder.path().join("scratch"))
        .env("DATABASE_URL", "postgres://postgres@127.0.0.1:1/anb")
        .env("REDIS_URL", "127.0.0.1:1")
        .env("OUTPUT_RESOLUTION", "256x144")
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(File::create(&log_file).unwrap());
    let mut worker = start(worker);
    let read_log = || fs::read_to_string(&log_file).unwrap();
    eventually("the worker starts or exits", 600, async || {
        read_log().contains("worker started") || worker.try_wait().unwrap().is_some()
    })
    .await;
    let log = read_log();
    worker.kill().unwrap();
    worker.wait().unwrap();
    log
}

/// Runs `start` as on a kernel without Landlock; processes that it starts inherit the restriction.
fn without_landlock<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let restricted = thread::spawn(move || {
        let calls = [(libc::SYS_landlock_create_ruleset, vec![])].into();
        let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(calls, SeccompAction::Allow, unknown, arch).unwrap();
        seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
        start()
    });
    restricted.join().unwrap()
}
