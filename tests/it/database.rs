//! Database configurations that an administrator may choose.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use anb::{
    config::database::Settings,
    db::{self, Connection, migrations},
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl as _;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::{Duration, timeout},
};

use crate::support::{PASSWORD, Place, RUNTIME, Response, Seed, TestApp, eventually, mp4};

/// Takes the advisory lock that a running migration holds.
const LOCK: &str = "SELECT pg_advisory_lock(x'616e62'::bigint)";

async fn connect(url: &str) -> Connection {
    db::connect(&Settings::at(url)).await.unwrap()
}

async fn execute(url: &str, statement: &str) {
    let mut connection = connect(url).await;
    sql_query(statement).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn session_limits_coexist_with_other_options() {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let place = Place::make().await;
    let separator = if place.database_url.contains('?') {
        '&'
    } else {
        '?'
    };
    let options = "-c%20work_mem%3D5MB%20-c%20lock_timeout%3D3s";
    let url = format!("{}{separator}options={options}", place.database_url);
    let db = db::Db::new(&Settings::at(&url)).unwrap();
    let mut connection = db.connection().await.unwrap();
    for (name, expected) in [
        ("statement_timeout", "15s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("work_mem", "5MB"),
        // The administrator's value takes precedence.
        ("lock_timeout", "3s"),
    ] {
        let Setting { value } = sql_query(format!("SELECT current_setting('{name}') AS value"))
            .get_result(&mut connection)
            .await
            .unwrap();
        assert_eq!(value, expected, "{name}");
    }
}

#[tokio::test]
async fn read_only_database_still_serves_reads() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let url = &app.place.database_url;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    execute(
        url,
        &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
    )
    .await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    execute(url, others).await;
    eventually("the process is not ready", 60, async || {
        app.get("/ready").await.body["failing"] == json!(["database"])
    })
    .await;

    for read in ["/api/public/videos", "/api/public/rankings"] {
        assert_eq!(app.get(read).await.status, 200, "{read}");
    }
    app.call(&ana, Method::GET, "/api/auth/profile").await.ok();
    app.log_in(&ana.email).await;
    let form = json!({
        "first_name": "Eva", "last_name": "Prueba", "email": "eva@example.com",
        "password1": PASSWORD, "password2": PASSWORD, "city": "Cali", "country": "Colombia",
    });
    let sign_up = app.request(Method::POST, "/api/auth/signup").json(&form);
    let path = format!("/api/videos/{id}");
    let rename = app.as_player(&ana, Method::PATCH, &path);
    for answer in [
        Response::of(sign_up).await,
        Response::of(rename.json(&json!({"title": "Otro título"}))).await,
        app.upload(&ana, mp4(5000), true).await,
        app.vote(&luis, &id).await,
        app.call(&luis, Method::POST, "/api/auth/logout").await,
    ] {
        assert_eq!(answer.refusal(), (503, "unavailable"), "{answer:?}");
        assert!(!answer.header("retry-after").is_empty());
    }

    // Sessions opened in the meantime stay read-only, so the process must open new ones.
    let mut connection = connect(url).await;
    for statement in [
        "SET default_transaction_read_only = off".to_owned(),
        format!("ALTER DATABASE {name} RESET default_transaction_read_only"),
    ] {
        sql_query(statement).execute(&mut connection).await.unwrap();
    }
    eventually("the process is ready", 60, async || {
        app.get("/ready").await.status == 200
    })
    .await;
    app.vote(&luis, &id).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn database_with_unsuitable_encoding_is_not_migrated() {
    let place = Place::make_bare().await;
    execute(
        &place.database_url,
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    )
    .await;
    let name = place.database_url.rsplit('/').next().unwrap();
    let name = name.split('?').next().unwrap();
    let url = place.database_url.replace(name, "latin");
    let connection = connect(&url).await;
    let error = migrations::run(connection).await.unwrap_err().to_string();
    assert!(error.contains("DB_NAME=latin"), "{error}");
    assert!(error.contains("LATIN1"), "{error}");
    let tables = migrations::pending(connect(&url).await).await.unwrap();
    assert!(!tables.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_migration_names_the_lock_holder() {
    let place = Place::make_bare().await;
    let mut other = connect(&place.database_url).await;
    sql_query(LOCK).execute(&mut other).await.unwrap();
    let mut command = tokio::process::Command::from(migrate(&place));
    let mut migrate = command
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(migrate.stderr.take().unwrap()).lines();
    let line = said.next_line().await.unwrap().unwrap();
    assert!(line.contains("waiting for another migration"), "{line}");
    assert!(line.contains("backend "), "{line}");

    let connection = connect(&place.database_url).await;
    let waiting = migrations::run_within(connection, Duration::from_millis(1));
    let error = RUNTIME.spawn(waiting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("(anb from "), "{error}");
    drop(other);
    assert!(migrate.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn incompatible_pooler_is_rejected_at_startup() {
    let place = Place::make().await;
    for (mode, ignored, said) in [
        ("transaction", "options", "a pooler in transaction mode"),
        ("transaction", "", "rejects our sessions"),
        ("session", "options", "drops the session limits"),
    ] {
        let pooler = Pooler::start(&place, mode, ignored).await;
        let url = pooler.url(&place);
        for command in ["migrate", "serve", "work"] {
            let ran = refused_start(command, &url, pooler.folder.path()).await;
            let stderr = String::from_utf8(ran.stderr).unwrap();
            assert_eq!(ran.status.code(), Some(1), "{command}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{command}: {stderr}");
            assert!(stderr.starts_with("anb: DATABASE_URL: "), "{stderr}");
            assert!(stderr.contains(said), "{mode}: {stderr}");
        }
    }
    // The migration lock is free afterwards.
    let connection = connect(&place.database_url).await;
    let migrating = migrations::run_within(connection, Duration::from_secs(30));
    RUNTIME.spawn(migrating).await.unwrap().unwrap();
}

/// Runs a command that must not start. It waits three seconds for the pooler's responses. On a busy
/// machine they may arrive later; the command then starts, as with an unavailable server, and is
/// run again.
async fn refused_start(command: &str, url: &str, folder: &Path) -> Output {
    for _ in 0..10 {
        let mut anb = tokio::process::Command::new(env!("CARGO_BIN_EXE_anb"));
        anb.args([command, "--database-url", url])
            .args(["--log", "error"])
            .env_clear()
            .current_dir(folder)
            .kill_on_drop(true);
        let ran = timeout(Duration::from_secs(20), anb.output()).await;
        if let Ok(ran) = ran
            && !ran.as_ref().unwrap().status.success()
        {
            return ran.unwrap();
        }
    }
    panic!("{command} started");
}

#[tokio::test]
async fn unavailable_server_behind_pooler_does_not_prevent_startup() {
    let place = Place::make().await;
    let pooler = Pooler::start(&place, "session", "options").await;
    let nowhere = pooler
        .url(&place)
        .replace("postgres:///", "postgres:///nowhere_");
    db::pooler::reject_shared_sessions(&Settings::at(&nowhere))
        .await
        .unwrap();
}

/// A real pgbouncer in front of a test database.
struct Pooler {
    folder: tempfile::TempDir,
    _process: tokio::process::Child,
}

impl Pooler {
    async fn start(place: &Place, mode: &str, ignored: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server: tokio_postgres::Config = place.database_url.parse().unwrap();
        let [tokio_postgres::config::Host::Unix(sockets)] = server.get_hosts() else {
            panic!("{server:?}");
        };
        let config = format!(
            "[databases]\n* = host={} port={} user=postgres\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {}\n\
             auth_type = any\npool_mode = {mode}\nignore_startup_parameters = {ignored}\n",
            sockets.display(),
            server.get_ports()[0],
            folder.path().display(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        // Like PostgreSQL, pgbouncer refuses to run as root.
        let program = if rustix::process::geteuid().is_root() {
            "exec unshare --user --map-user=1000 --map-group=1000 -- pgbouncer -q \"$0\""
        } else {
            "exec pgbouncer -q \"$0\""
        };
        let process = tokio::process::Command::new("sh")
            .args(["-c", program])
            .arg(&file)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let socket = folder.path().join(".s.PGSQL.6432");
        eventually("pgbouncer listens", 60, async || socket.exists()).await;
        Self {
            folder,
            _process: process,
        }
    }

    fn url(&self, place: &Place) -> String {
        let server: tokio_postgres::Config = place.database_url.parse().unwrap();
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        let database = server.get_dbname().unwrap();
        format!("postgres:///{database}?host={folder}&port=6432&user=postgres")
    }
}

fn migrate(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anb"));
    command
        .args(["migrate", "--database-url", &place.database_url])
        .env_clear()
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::null());
    command
}
