//! Rejection of invalid settings, and the precedence of flag, variable and file.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use super::Shell;

#[test]
fn invalid_variable_is_named_in_one_line() {
    let everywhere = [
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "anb=loud"),
        ("DB_SSL_MODE", "prefer"),
        ("DB_PORT", "70000"),
        ("DB_POOL_SIZE", "0"),
        ("DB_SSL_ROOT_CERT", "ca.pem"),
        ("DATABASE_URL", "nonsense"),
    ];
    let roles = [
        ("METRICS_ADDR", "x"),
        ("QUEUE_TYPE", "rabbit"),
        ("REDIS_URL", "http://redis"),
        ("REDIS_SSL_ROOT_CERT", "ca.pem"),
        ("STORAGE_TYPE", "tape"),
        ("UPLOAD_TIMEOUT", "soon"),
        ("MAX_FILE_SIZE", "-1"),
        ("SHUTDOWN_GRACE", "90"),
        ("MIN_INPUT_DURATION", "20s"),
        ("MAX_INPUT_DURATION", "-1"),
        ("MIN_INPUT_HEIGHT", "1080p"),
    ];
    let serve = [
        ("HOST", "nowhere"),
        ("PORT", "abc"),
        ("PORT", "65536"),
        ("ENVIRONMENT", "prod"),
        ("JWT_EXPIRATION", "0s"),
        ("SESSION_EXPIRATION", "30"),
        ("PUBLIC_URL", "anb.example"),
        ("CORS_ALLOWED_ORIGINS", "https://anb.example,*"),
        ("TRUSTED_PROXIES", "99"),
        ("LOGIN_RATE", "often"),
        ("SIGNUP_RATE", "often"),
        ("MAX_OPEN_UPLOADS", "0"),
        ("MAX_WAITING_VIDEOS", "many"),
        ("WRITE_RATE", "0/min"),
        ("ADDRESS_RATE", "10"),
    ];
    let work = [
        ("WORKER_CONCURRENCY", "0"),
        ("JOB_MAX_ATTEMPTS", "three"),
        ("JOB_LEASE", "10"),
        ("JOB_VISIBILITY", "-1s"),
        ("MAX_VIDEO_DURATION", "0"),
        ("OUTPUT_RESOLUTION", "foo"),
        ("OUTPUT_ASPECT_RATIO", "4:3"),
        ("ENCODE_EFFORT", "slow"),
        ("LIGHT_RENDITION", "small"),
    ];
    let lists = [
        ("migrate", &everywhere[..]),
        ("serve", &everywhere),
        ("serve", &roles),
        ("serve", &serve),
        ("work", &everywhere),
        ("work", &roles),
        ("work", &work),
    ];
    let shell = Shell::open();
    for (command, settings) in lists {
        for (variable, value) in settings {
            let ran = shell.run(&[(variable, value)], &[command]);
            let refusal = ran.refusal();
            let line = refusal.strip_prefix("anb: ").unwrap();
            assert!(line.contains(variable), "{variable}={value}: {line}");
        }
    }
}

#[test]
fn variable_that_is_not_utf8_is_named() {
    let shell = Shell::open();
    for variable in ["HOST", "JWT_SECRET", "DB_PASSWORD"] {
        let value = OsString::from_vec(b"hunter2\xff".to_vec());
        let ran = shell.run_raw([(variable, value)], &["serve"]);
        let refusal = ran.refusal();
        assert!(refusal.starts_with(&format!("anb: {variable}")), "{ran:?}");
        assert!(!refusal.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn rejected_secret_is_not_printed() {
    let shell = Shell::open();
    for (variable, value) in [
        ("DATABASE_URL", "postgres://ana:hunter2@host:port/anb"),
        ("DATABASE_URL", "postgres://ana:hunter2@h/d?sslmode=prefer"),
        ("DATABASE_URL", "hunter2"),
        ("REDIS_URL", "http://:hunter2@redis"),
        ("REDIS_URL", "redis://:hunter2@redis:port"),
    ] {
        let ran = shell.run(&[(variable, value)], &["serve"]);
        assert!(ran.refusal().contains(variable), "{ran:?}");
        assert!(!ran.refusal().contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn production_rejects_a_weak_secret() {
    let shell = Shell::open();
    for secret in [
        "",
        "hunter2",
        "thirty-one-bytes-are-one-short-",
        "anb-development-secret-not-for-production",
    ] {
        for command in ["serve", "dev"] {
            let variables = [("ENVIRONMENT", "production"), ("JWT_SECRET", secret)];
            let ran = shell.run(&variables, &[command]);
            assert!(ran.refusal().contains("JWT_SECRET"), "{ran:?}");
            assert!(!ran.refusal().contains("hunter2"), "{ran:?}");
        }
    }
    // With a valid secret, the next error is reported.
    let secret = "thirty-two-bytes-are-long-enough";
    let variables = [
        ("ENVIRONMENT", "production"),
        ("JWT_SECRET", secret),
        ("REDIS_URL", "http://redis"),
        ("JWT_SECRET_OTHER", "hunter2"),
    ];
    let ran = shell.run(&variables, &["serve"]);
    assert!(
        ran.refusal().contains("JWT_SECRET_OTHER has 7 bytes"),
        "{ran:?}"
    );
    let public = "anb-development-secret-not-for-production";
    let with_public = [&variables[..3], &[("JWT_SECRET_OTHER", public)]].concat();
    let ran = shell.run(&with_public, &["serve"]);
    assert!(ran.refusal().contains("JWT_SECRET_OTHER "), "{ran:?}");
    let ran = shell.run(&variables[..3], &["serve"]);
    assert!(ran.refusal().contains("REDIS_URL"), "{ran:?}");
}

#[test]
fn conflicting_settings_are_rejected() {
    let shell = Shell::open();
    for (variable, settings) in [
        (
            "JOB_VISIBILITY",
            [("JOB_VISIBILITY", "5s"), ("JOB_LEASE", "10s")],
        ),
        ("JOB_LEASE", [("JOB_LEASE", "500ms"), ("PORT", "abc")]),
        (
            "MIN_INPUT_DURATION",
            [("MIN_INPUT_DURATION", "61"), ("MAX_INPUT_DURATION", "60")],
        ),
        (
            "OUTPUT_ASPECT_RATIO",
            [
                ("OUTPUT_ASPECT_RATIO", "9:16"),
                ("OUTPUT_RESOLUTION", "1280x720"),
            ],
        ),
        (
            "DB_SSL_ROOT_CERT",
            [("DB_SSL_ROOT_CERT", "ca.pem"), ("DB_SSL_MODE", "require")],
        ),
    ] {
        let ran = shell.run(&settings, &["work"]);
        assert!(ran.refusal().contains(variable), "{ran:?}");
    }
    let rules = [("MIN_INPUT_DURATION", "61"), ("MAX_INPUT_DURATION", "60")];
    let ran = shell.run(&rules, &["serve"]);
    assert!(ran.refusal().contains("MIN_INPUT_DURATION"), "{ran:?}");
}

#[test]
fn dry_run_does_not_revert() {
    let ran = Shell::open().run(
        &[("DB_HOST", "/nowhere")],
        &["migrate", "--dry-run", "revert"],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

/// Returns the lease that `anb work` used, read from its rejection of a shorter visibility.
fn lease(shell: &Shell, variables: &[(&str, &str)], flags: &[&str]) -> String {
    let variables = [variables, &[("JOB_VISIBILITY", "2s")]].concat();
    let ran = shell.run(&variables, &[&["work"], flags].concat());
    let refusal = ran.refusal();
    let (_, rest) = refusal
        .split_once("JOB_LEASE=")
        .unwrap_or_else(|| panic!("{ran:?}"));
    rest.split(':').next().unwrap().to_owned()
}

#[test]
fn flag_overrides_variable_and_variable_overrides_file() {
    let shell = Shell::open();
    assert_eq!(lease(&shell, &[], &[]), "10s");
    shell.write(".env", "# comment\nJOB_LEASE=20s\n");
    assert_eq!(lease(&shell, &[], &[]), "20s");
    let set = [("JOB_LEASE", "30s")];
    assert_eq!(lease(&shell, &set, &[]), "30s");
    assert_eq!(lease(&shell, &set, &["--job-lease=40s"]), "40s");
    assert_eq!(lease(&shell, &set, &["--job-lease", "50s"]), "50s");
}

#[test]
fn env_file_flag_replaces_the_default_file() {
    let shell = Shell::open();
    shell.write(".env", "JOB_LEASE=20s");
    shell.write("other.env", "export JOB_LEASE=\"25s\" # comment");
    assert_eq!(lease(&shell, &[], &["--env-file", "other.env"]), "25s");
    assert_eq!(lease(&shell, &[], &["--env-file=other.env"]), "25s");
    let set = [("JOB_LEASE", "30s")];
    assert_eq!(lease(&shell, &set, &["--env-file=other.env"]), "30s");
}

#[test]
fn of_several_env_files_the_first_wins() {
    let shell = Shell::open();
    shell.write("one.env", "JOB_LEASE=");
    shell.write("two.env", "JOB_LEASE=25s");
    shell.write("three.env", "JOB_LEASE=30s");
    let files = [
        "--env-file=one.env",
        "--env-file",
        "two.env",
        "--env-file=three.env",
    ];
    assert_eq!(lease(&shell, &[], &files), "25s");
}

#[test]
fn empty_variable_counts_as_unset() {
    let shell = Shell::open();
    let empty = [("JOB_LEASE", ""), ("DB_SSL_MODE", ""), ("DATABASE_URL", "")];
    assert_eq!(lease(&shell, &empty, &[]), "10s");
    shell.write(".env", "JOB_LEASE=20s\nDB_POOL_SIZE=\n");
    assert_eq!(lease(&shell, &empty, &[]), "20s");
}

#[test]
fn file_may_start_with_a_byte_order_mark() {
    let shell = Shell::open();
    shell.write(".env", "\u{feff}JOB_LEASE=20s\n");
    assert_eq!(lease(&shell, &[], &[]), "20s");
}

#[test]
fn nul_and_unknown_variable_in_the_file_are_rejected() {
    let shell = Shell::open();
    for (text, advice) in [
        (
            "PORT=1\nJWT_SECRET=hunter2\0more\n",
            ".env, line 2: remove the NUL",
        ),
        ("DB_PASSWORD=\"hunter2$word\"\n", "single quotes"),
        ("DB_PASSWORD=hunter2$word\n", "single quotes"),
    ] {
        shell.write(".env", text);
        let ran = shell.run(&[], &["migrate"]);
        assert!(ran.refusal().contains(advice), "{ran:?}");
        assert!(!ran.refusal().contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn invalid_value_in_the_file_is_named() {
    let shell = Shell::open();
    shell.write(".env", "PORT=abc");
    let ran = shell.run(&[], &["serve"]);
    assert!(ran.refusal().contains("PORT=abc"), "{ran:?}");
}

#[test]
fn unreadable_file_is_named_without_its_secrets() {
    let shell = Shell::open();
    let ran = shell.run(&[], &["migrate", "--env-file=missing.env"]);
    assert!(ran.refusal().contains("--env-file missing.env"), "{ran:?}");

    shell.write(".env", "PORT=8080\nJWT_SECRET=hunter2 and more\n");
    let ran = shell.run(&[], &["migrate"]);
    assert!(ran.refusal().contains(".env, line 2"), "{ran:?}");
    assert!(!ran.refusal().contains("hunter2"), "{ran:?}");

    shell.write(".env", "JWT_SECRET=\"hunter2\nand no end\n");
    let ran = shell.run(&[], &["migrate"]);
    assert!(ran.refusal().contains(".env, line 1"), "{ran:?}");
    assert!(!ran.refusal().contains("hunter2"), "{ran:?}");
}
