//! TLS to real servers: the certificates that are accepted, and the errors for the others.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anb::{
    cli::{Cli, Command as Role},
    config::{database, queue},
    db::Db,
    dev::{Durability, Folder, Options, Postgres, Redis},
    ids::VideoId,
    job::Job,
    queue::Queue,
};
use clap::Parser as _;
use diesel::{QueryableByName, sql_query, sql_types::Bool};
use diesel_async::RunQueryDsl as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{aws, free_port};

#[tokio::test]
async fn require_encrypts_without_verifying_the_certificate() {
    let server = EncryptedPostgres::start().await;
    for settings in [
        server.by_parts(&["--db-host=localhost", "--db-ssl-mode=require"]),
        // The certificate does not name this host.
        server.by_parts(&["--db-host=127.0.0.1", "--db-ssl-mode=require"]),
        database::Settings::at(&server.url("127.0.0.1", "sslmode=require")),
    ] {
        let db = Db::new(&settings).unwrap();
        let mut connection = db.connection().await.unwrap();
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let session: Session = sql_query(query).get_result(&mut connection).await.unwrap();
        assert!(session.ssl);
    }
    server.stop().await;
}

#[tokio::test]
async fn verify_full_accepts_only_the_named_host_with_a_trusted_certificate() {
    let server = EncryptedPostgres::start().await;
    let other = Authority::make(server.folder.path(), "other");
    let trusted = ("sslrootcert", server.authority.file.display().to_string());
    let foreign = ("sslrootcert", other.file.display().to_string());
    let cases = [
        ("localhost", &trusted, None),
        ("localhost", &foreign, Some("UnknownIssuer")),
        ("127.0.0.1", &trusted, Some("not valid for name")),
    ];
    for (host, (name, file), refusal) in cases {
        let by_url = [(
            "DATABASE_URL",
            server.url(host, &format!("sslmode=verify-full&{name}={file}")),
        )];
        let by_parts = [
            ("DB_HOST", host.to_owned()),
            ("DB_PORT", server.port.to_string()),
            ("DB_SSL_MODE", "verify-full".to_owned()),
            ("DB_SSL_ROOT_CERT", file.clone()),
        ];
        for variables in [&by_url[..], &by_parts] {
            assert_migrates(variables, refusal);
        }
    }
    // No certificate authority of this system signed it.
    let variables = [(
        "DATABASE_URL",
        server.url("localhost", "sslmode=verify-full"),
    )];
    assert_migrates(&variables, Some("certificate"));
    server.stop().await;
}

#[tokio::test]
async fn plain_connection_to_a_tls_only_server_is_explained() {
    let server = EncryptedPostgres::start().await;
    let variables = [("DATABASE_URL", server.url("localhost", "sslmode=disable"))];
    assert_migrates(&variables, Some("no encryption"));
    server.stop().await;
}

#[tokio::test]
async fn jobs_travel_through_encrypted_redis() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::make(folder.path(), "ours");
    let (certificate, key) = authority.certify_localhost();
    let (certificate_file, key_file) = (
        folder.path().join("redis.crt"),
        folder.path().join("redis.key"),
    );
    fs::write(&certificate_file, certificate).unwrap();
    fs::write(&key_file, key).unwrap();
    let port = free_port();
    let word = |path: &Path| path.display().to_string();
    let options = Options {
        durability: Durability::Throwaway,
        redis_settings: vec![
            "--tls-port".to_owned(),
            port.to_string(),
            "--tls-cert-file".to_owned(),
            word(&certificate_file),
            "--tls-key-file".to_owned(),
            word(&key_file),
            "--tls-auth-clients".to_owned(),
            "no".to_owned(),
        ],
        ..Options::durable(folder.path().join("data"))
    };
    let data = Folder::claim(&options.data_dir).unwrap();
    let redis = Redis::start(&data, &options).await.unwrap();

    let connect = async |host: &str, root_cert: Option<&Path>| {
        let settings = queue::Settings {
            redis_ssl_root_cert: root_cert.map(Path::to_owned),
            ..queue::Settings::redis_at(&format!("rediss://{host}:{port}"))
        };
        settings.validate().unwrap();
        Queue::connect(&settings, Duration::from_mins(1), &aws::config().await)
            .await
            .unwrap()
    };
    let queue = connect("localhost", Some(&authority.file)).await;
    let job = Job::process_video(VideoId::generate(), "test".to_owned());
    queue.push(&job).await.unwrap();
    let mut received = queue.receive(1, Duration::from_secs(1)).await.unwrap();
    let delivery = received.remove(0);
    assert_eq!(delivery.payload, job.to_payload().unwrap());
    delivery.ack().await.unwrap();

    let other = Authority::make(folder.path(), "other");
    for ((host, root_cert), reason) in [
        (
            ("localhost", Some(other.file.as_path())),
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            ("127.0.0.1", Some(authority.file.as_path())),
            "not valid for name",
        ),
        (("localhost", None), "certificate"),
    ] {
        let refused = connect(host, root_cert).await;
        let error = format!("{:#}", refused.ready().await.unwrap_err());
        assert!(error.contains(reason), "{error}");
        let read = refused.receive(1, Duration::from_secs(1)).await;
        let error = format!("{:#}", read.map(|_| ()).unwrap_err());
        assert!(error.contains(reason), "{error}");
    }
    redis.stop().await;
}

#[test]
fn unreadable_redis_root_certificate_prevents_startup() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    for file in [empty, folder.path().join("absent.pem")] {
        let variables = [
            ("REDIS_URL", "rediss://localhost:1".to_owned()),
            ("REDIS_SSL_ROOT_CERT", file.display().to_string()),
        ];
        let ran = anb("serve", &variables);
        let stderr = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{stderr}");
        let line = format!("anb: REDIS_SSL_ROOT_CERT={}: ", file.display());
        assert!(stderr.starts_with(&line), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = Bool)]
    ssl: bool,
}

/// A PostgreSQL that accepts only encrypted TCP connections, with a certificate for `localhost`.
struct EncryptedPostgres {
    postgres: Postgres,
    port: u16,
    authority: Authority,
    folder: TempDir,
}

impl EncryptedPostgres {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let options = Options {
            durability: Durability::Throwaway,
            ..Options::durable(folder.path().join("data"))
        };
        let data = Folder::claim(&options.data_dir).unwrap();
        // The first start creates the data folder, for files that only the server may read.
        let plain = Postgres::start(&data, &options).await.unwrap();
        plain.stop().await;
        let authority = Authority::make(folder.path(), "ours");
        let (certificate, key) = authority.certify_localhost();
        let home = options.data_dir.join("postgres");
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
        for (name, text) in [
            ("tls.crt", &*certificate),
            ("tls.key", &key),
            ("tls_hba.conf", rules),
        ] {
            let file = home.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let owner = fs::metadata(home.join("PG_VERSION")).unwrap();
            chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let options = Options {
            postgres_settings: vec![
                "listen_addresses=127.0.0.1".to_owned(),
                format!("port={port}"),
                "ssl=on".to_owned(),
                "ssl_cert_file=tls.crt".to_owned(),
                "ssl_key_file=tls.key".to_owned(),
                format!(
                    "hba_file={}",
                    home.canonicalize().unwrap().join("tls_hba.conf").display()
                ),
            ],
            ..options
        };
        let postgres = Postgres::start(&data, &options).await.unwrap();
        Self {
            postgres,
            port,
            authority,
            folder,
        }
    }

    fn url(&self, host: &str, query: &str) -> String {
        format!("postgres://postgres@{host}:{}/anb?{query}", self.port)
    }

    /// Returns the settings from separate `DB_…` values instead of a URL.
    fn by_parts(&self, flags: &[&str]) -> database::Settings {
        let port = format!("--db-port={}", self.port);
        let words = ["anb", "migrate", &port];
        let cli = Cli::try_parse_from(words.iter().chain(flags)).unwrap();
        match cli.command {
            Role::Migrate(arguments) => arguments.database,
            other => panic!("{other:?}"),
        }
    }

    async fn stop(self) {
        self.postgres.stop().await;
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM.
    file: PathBuf,
}

impl Authority {
    fn make(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Returns a certificate for `localhost` and its key, both PEM.
    fn certify_localhost(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Asserts that `anb migrate` can connect, or fails with a single line that contains `refusal`.
fn assert_migrates(variables: &[(&str, String)], refusal: Option<&str>) {
    let ran = anb("migrate", variables);
    let stderr = String::from_utf8(ran.stderr).unwrap();
    let Some(reason) = refusal else {
        assert_eq!((ran.status.code(), &*stderr), (Some(0), ""));
        return;
    };
    assert_eq!(ran.status.code(), Some(1), "{variables:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(reason), "{stderr}");
}

fn anb(command: &str, variables: &[(&str, String)]) -> Output {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is tested from outside"
    )]
    let mut anb = Command::new(env!("CARGO_BIN_EXE_anb"));
    // It may create its folders there.
    let folder = tempfile::tempdir().unwrap();
    let variables = variables.iter().map(|(name, value)| (name, value));
    anb.arg(command)
        .env_clear()
        .envs(variables)
        .current_dir(folder.path());
    anb.output().unwrap()
}
