//! The sandbox: real programs try what a file that took them over would try. Each attempt is made
//! without the sandbox, too, where it must work, so that no attempt fails for another reason.

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

/// Says what a program must not reach.
const SECRET: &str = "a file of somebody else";

/// The place of one job, and what lies beside it.
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

    /// Runs a program that may read `input` and write in `out`.
    fn inside(&self, program: &str, args: &[&str]) -> Output {
        let read = self.path("input").display().to_string();
        let write = self.path("out").display().to_string();
        let own = ["confine", "--sandbox", "--read", &read, "--write", &write];
        run(ANB, &[&own[..], &["--", program], args].concat())
    }

    /// Copies bytes from anywhere to anywhere with `ffmpeg`, which knows every protocol.
    fn copy(&self, from: &str, to: &str) -> Output {
        self.inside(ffmpeg(), &Self::copying(from, to))
    }

    fn copying<'a>(from: &'a str, to: &'a str) -> Vec<&'a str> {
        let input = ["-nostdin", "-v", "error", "-f", "data", "-i", from];
        let output = ["-map", "0", "-c", "copy", "-f", "data", "-y", to];
        [&input[..], &output[..]].concat()
    }

    /// Tells whether a copy works without the sandbox.
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

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn a_program_reads_its_input_and_writes_its_folder() {
    let ground = Ground::open();
    let output = ground.copy(&ground.url("input"), &ground.url("out/copy"));
    assert!(output.status.success(), "{}", said(&output));
    let copy = fs::read(ground.path("out/copy")).unwrap();
    assert_eq!(copy, fs::read(ground.path("input")).unwrap());
}

#[test]
fn a_program_reads_no_other_file() {
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
            said(&output).contains("Permission denied"),
            "{secret}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_link_in_its_folder_leads_nowhere() {
    let ground = Ground::open();
    std::os::unix::fs::symlink(ground.path("secret"), ground.path("out/link")).unwrap();
    let output = ground.copy(&ground.url("out/link"), "pipe:1");
    assert_eq!(output.stdout, b"");
    assert!(
        said(&output).contains("Permission denied"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_program_writes_nowhere_else() {
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
async fn a_program_connects_to_nobody() {
    let ground = Ground::open();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(ground.path("socket")).unwrap();
    tcp.set_nonblocking(true).unwrap();
    unix.set_nonblocking(true).unwrap();
    let http = format!("http://{}/", tcp.local_addr().unwrap());
    let local = format!("unix:{}", ground.path("socket").display());
    let came = || tcp.accept().is_ok() || unix.accept().is_ok();
    for address in [http, local] {
        let output = ground.copy(&address, "pipe:1");
        assert!(!output.status.success(), "{address}");
        assert!(!came(), "{address}");
        // Outside it connects, and would wait for an answer.
        let mut knock = Command::new(ffmpeg());
        knock.args(Ground::copying(&address, "pipe:1"));
        let mut knock = knock.stdout(Stdio::null()).spawn().unwrap();
        eventually("it connects outside", 60, async || came()).await;
        knock.kill().unwrap();
        knock.wait().unwrap();
    }
}

#[test]
fn a_program_starts_no_other() {
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
fn a_program_signals_no_other() {
    let ground = Ground::open();
    let script = format!("kill -0 {}", std::process::id());
    assert!(!ground.inside("/bin/sh", &["-c", &script]).status.success());
    assert!(run("/bin/sh", &["-c", &script]).status.success());
}

#[test]
fn a_sandbox_that_cannot_be_entered_starts_nothing() {
    let ground = Ground::open();
    let args = ["confine", "--sandbox", "--", "/bin/echo", "started"].map(str::to_owned);
    let output = without_landlock(move || Command::new(ANB).args(args).output().unwrap());
    assert_eq!(output.stdout, b"");
    assert!(
        said(&output).contains("the kernel has no Landlock"),
        "{}",
        said(&output)
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
    assert!(said(&output).contains(&missing), "{}", said(&output));
}

#[tokio::test]
async fn a_worker_says_at_its_start_that_the_sandbox_is_active() {
    let told = worker_tells(&[], |mut worker| worker.spawn().unwrap()).await;
    assert!(told.contains("media sandbox active"), "{told}");
}

#[tokio::test]
async fn a_worker_on_a_kernel_without_landlock_warns_and_works_on() {
    let start = |mut worker: Command| without_landlock(move || worker.spawn().unwrap());
    let told = worker_tells(&[], start).await;
    let warned = told.contains("WARN") && told.contains("media sandbox not active");
    assert!(
        warned && told.contains("the kernel has no Landlock"),
        "{told}"
    );
    assert!(told.contains("worker started"), "{told}");
}

#[tokio::test]
async fn a_worker_that_must_have_the_sandbox_does_not_start_without() {
    let start = |mut worker: Command| without_landlock(move || worker.spawn().unwrap());
    let told = worker_tells(&[("MEDIA_SANDBOX", "require")], start).await;
    let last = told.lines().last().unwrap();
    assert!(last.starts_with("anb: MEDIA_SANDBOX is require"), "{told}");
    assert!(last.contains("the kernel has no Landlock"), "{told}");
    assert!(!told.contains("worker started"), "{told}");
}

/// Starts a worker without services, and returns its log as soon as it works or has ended.
async fn worker_tells(
    variables: &[(&str, &str)],
    start: impl FnOnce(Command) -> std::process::Child,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
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
        .stderr(File::create(&log).unwrap());
    let mut worker = start(worker);
    let tell = || fs::read_to_string(&log).unwrap();
    eventually("the worker works or gives up", 180, async || {
        tell().contains("worker started") || worker.try_wait().unwrap().is_some()
    })
    .await;
    let told = tell();
    worker.kill().unwrap();
    worker.wait().unwrap();
    told
}

/// Runs `start` as on a kernel without Landlock; what it starts inherits that.
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
