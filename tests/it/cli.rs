//! Runs the real program in an empty folder with a cleared environment.

mod placement;
mod settings;

use std::{
    ffi::OsStr,
    fs,
    process::{Command, Output},
};

use tempfile::TempDir;

const ANB: &str = env!("CARGO_BIN_EXE_anb");

const COMMANDS: [&str; 4] = ["serve", "work", "migrate", "dev"];

/// A folder to run the program in.
struct Shell {
    folder: TempDir,
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Shell {
    fn open() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn run(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        self.run_raw(
            variables.iter().map(|(name, value)| (*name, value)),
            arguments,
        )
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the program is tested from outside"
    )]
    fn run_raw<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, impl AsRef<OsStr>)>,
        arguments: &[&str],
    ) -> Ran {
        let mut command = Command::new(ANB);
        command.env_clear().envs(variables).args(arguments);
        let output = command.current_dir(&self.folder).output().unwrap();
        Ran::from(output)
    }
}

impl Ran {
    /// Returns the single line on standard error that explains a failed start.
    fn refusal(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert_eq!(self.stdout, "");
        self.stderr.trim_end()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn help_lists_each_variable_with_its_default() {
    let database = [
        ("DATABASE_URL", ""),
        ("DB_HOST", "localhost"),
        ("DB_PORT", "5432"),
        ("DB_NAME", "anb"),
        ("DB_USER", "postgres"),
        ("DB_PASSWORD", ""),
        ("DB_SSL_MODE", "disable"),
        ("DB_SSL_ROOT_CERT", ""),
        ("DB_POOL_SIZE", "16"),
    ];
    let broker_and_storage = [
        ("QUEUE_TYPE", "redis"),
        ("REDIS_URL", "redis:6379"),
        ("REDIS_SSL_ROOT_CERT", ""),
        ("STORAGE_TYPE", "local"),
        ("UPLOAD_PATH", "./uploads"),
        ("PROCESSED_PATH", "./processed"),
    ];
    let api = [
        ("HOST", "0.0.0.0"),
        ("PORT", "8080"),
        ("ENVIRONMENT", "development"),
        ("PUBLIC_URL", ""),
        ("PRIVACY_POLICY", ""),
        ("JWT_SECRET", ""),
        ("JWT_EXPIRATION", "1h"),
        ("SESSION_EXPIRATION", "30d"),
        ("CORS_ALLOWED_ORIGINS", ""),
        ("TRUSTED_PROXIES", "0"),
        ("LOGIN_RATE", "10/min"),
        ("SIGNUP_RATE", "300/min"),
        ("WRITE_RATE", "600/min"),
        ("ADDRESS_RATE", "off"),
        ("MAX_FILE_SIZE", "104857600"),
        ("MAX_OPEN_UPLOADS", "10"),
        ("MAX_RESUMABLE_UPLOADS", "3"),
        ("MAX_WAITING_VIDEOS", "100"),
    ];
    let worker = [
        ("MAX_VIDEO_DURATION", "30"),
        ("OUTPUT_RESOLUTION", "1280x720"),
        ("OUTPUT_ASPECT_RATIO", "16:9"),
        ("ENCODE_EFFORT", "balanced"),
        ("LIGHT_RENDITION", "on"),
        ("WORKER_CONCURRENCY", "5"),
        ("JOB_MAX_ATTEMPTS", "3"),
        ("JOB_GIVE_UP_AFTER", "24h"),
        ("JOB_LEASE", "10s"),
        ("JOB_VISIBILITY", "60s"),
    ];
    let both = [
        ("MIN_INPUT_DURATION", "0"),
        ("MAX_INPUT_DURATION", "0"),
        ("MIN_INPUT_HEIGHT", "0"),
        ("UPLOAD_TIMEOUT", "30m"),
        ("UPLOAD_EXPIRY", "24h"),
        ("SHUTDOWN_GRACE", "90s"),
    ];
    let log = [("LOG_FORMAT", "text"), ("RUST_LOG", "info")];
    let metrics = |default| [("METRICS_ADDR", default)];
    let data = [("ANB_DATA_DIR", ".anb")];
    let serve = [
        &metrics("127.0.0.1:9464")[..],
        &api,
        &both,
        &database,
        &broker_and_storage,
        &log,
    ];
    let work = [
        &metrics("127.0.0.1:9465")[..],
        &worker,
        &both,
        &database,
        &broker_and_storage,
        &log,
    ];
    let owner = [("DB_OWNER_USER", ""), ("DB_OWNER_PASSWORD", "")];
    let migrate = [&database[..], &owner, &log];
    let dev = [&data[..], &api, &worker, &both, &log];
    let lists = [&serve[..], &work, &migrate, &dev];
    for (command, settings) in COMMANDS.into_iter().zip(lists) {
        let ran = Shell::open().run(&[], &[command, "--help"]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{command}");
        for (variable, default) in settings.concat() {
            assert_default(&ran.stdout, variable, default);
        }
    }
}

#[test]
fn help_states_units() {
    let shell = Shell::open();
    let help = shell.run(&[], &["dev", "--help"]).stdout;
    for unit in [
        "bytes", "SECONDS", "LINES", "pixels", "10s", "45m", "90s", "10/min",
    ] {
        assert!(help.contains(unit), "{unit}");
    }
}

#[test]
fn output_contains_no_secret() {
    let secrets = [
        ("JWT_SECRET", "hunter2-of-the-tokens"),
        ("DB_PASSWORD", "hunter2-of-the-database"),
        ("DB_OWNER_PASSWORD", "hunter2-of-the-owner"),
        ("DATABASE_URL", "postgres://ana:hunter2@127.0.0.1:1/anb"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:1"),
    ];
    let shell = Shell::open();
    for command in COMMANDS {
        for arguments in [
            &[command, "--help"][..],
            &[command, "-h"],
            &[command, "--port=x"],
        ] {
            let ran = shell.run(&secrets, arguments);
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!all.contains("hunter2"), "{arguments:?}: {all}");
            assert!(!all.contains("anb-development-secret"), "{all}");
        }
    }
    let failed = shell.run(&secrets, &["migrate"]);
    assert!(!failed.refusal().contains("hunter2"), "{failed:?}");
}

#[test]
fn usage_error_exits_with_2() {
    let shell = Shell::open();
    for arguments in [
        &["serve", "--port=abc"][..],
        &["serve", "--nonsense"],
        &["work", "--job-lease"],
        &["migrate", "sideways"],
        &["nonsense"],
        &[],
    ] {
        let ran = shell.run(&[("PORT", "8080")], arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("--help"), "{ran:?}");
    }
}

#[test]
fn version_is_printed() {
    let ran = Shell::open().run(&[], &["--version"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    let version = ran.stdout.strip_prefix("anb ").unwrap();
    assert!(
        version.starts_with(env!("CARGO_PKG_VERSION")),
        "{}",
        ran.stdout
    );
    // `make test` sets it for the build and for the tests.
    #[expect(clippy::disallowed_methods, reason = "not a setting of the program")]
    if let Ok(commit) = std::env::var("ANB_COMMIT") {
        assert!(version.contains(&format!("({commit})")), "{version}");
    }
}

#[test]
fn program_links_no_database_library() {
    #[expect(clippy::disallowed_methods, reason = "a system tool")]
    let output = Command::new("ldd").arg(ANB).output().unwrap();
    let libraries = String::from_utf8(output.stdout).unwrap();
    assert!(libraries.contains("libc"), "{libraries}");
    for library in ["libpq", "libssl", "libcrypto"] {
        assert!(!libraries.contains(library), "{libraries}");
    }
}

#[test]
fn confined_program_does_not_see_settings_file() {
    let shell = Shell::open();
    shell.write(".env", "JWT_SECRET=hunter2");
    let ran = shell.run(&[], &["confine", "--", "/usr/bin/env"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
}

/// Asserts that the entry of `variable` in a help text states its default.
fn assert_default(help: &str, variable: &str, default: &str) {
    let start = help
        .find(&format!("[env: {variable}]"))
        .or_else(|| help.find(&format!("[env: {variable}=]")))
        .unwrap_or_else(|| panic!("{variable} is not listed: {help}"));
    let (_, rest) = help.split_at(start);
    let entry = rest.split("\n\n").next().unwrap();
    let shown = entry.contains(&format!("[default: {default}]"));
    assert_eq!(shown, !default.is_empty(), "{variable}: {entry}");
}
