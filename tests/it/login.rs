//! The program's own database user: the owner of the tables, who is no superuser, creates it.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use anb::{
    config::database::Settings,
    db::{self, Connection},
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl as _;
use tokio_postgres::config::Host;

use crate::{
    journey::video_is_uploaded_processed_voted_for_ranked_and_deleted,
    support::{Place, TestApp},
};

const PASSWORD: &str = "it's \"quoted\"";

/// A database without tables that belongs to a user as RDS has it: no superuser, but it may create
/// users. Users belong to the whole server, so each test has its own.
struct Owned {
    place: Place,
    owner: String,
    program: String,
}

impl Owned {
    async fn make() -> Self {
        static OWNERS: AtomicU32 = AtomicU32::new(0);
        let number = OWNERS.fetch_add(1, Ordering::Relaxed);
        let owned = Self {
            place: Place::make_bare().await,
            owner: format!("owner{number}x"),
            program: format!("program{number}x"),
        };
        let Self { owner, .. } = &owned;
        let database = owned.server().get_dbname().unwrap().to_owned();
        owned
            .run_as("postgres", &format!("CREATE ROLE {owner} LOGIN CREATEROLE"))
            .await
            .unwrap();
        owned
            .run_as(
                "postgres",
                &format!("ALTER DATABASE {database} OWNER TO {owner}"),
            )
            .await
            .unwrap();
        owned
    }

    fn server(&self) -> tokio_postgres::Config {
        self.place.database_url.parse().unwrap()
    }

    /// Returns the program's user with a number.
    fn user(&self, number: u32) -> String {
        format!("{}_{number}", self.program)
    }

    /// Runs `anb migrate` as the owner, for one of the program's users.
    fn migrate(&self, user: &str, flags: &[&str]) -> Output {
        self.command(user).args(flags).output().unwrap()
    }

    fn command(&self, user: &str) -> Command {
        let server = self.server();
        let [Host::Unix(sockets)] = server.get_hosts() else {
            panic!("{server:?}");
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_anb"));
        command
            .arg("migrate")
            .env_clear()
            .env("DB_HOST", sockets)
            .env("DB_PORT", server.get_ports()[0].to_string())
            .env("DB_NAME", server.get_dbname().unwrap())
            .env("DB_USER", user)
            .env("DB_PASSWORD", PASSWORD)
            .env("DB_OWNER_USER", &self.owner)
            .current_dir(std::env::temp_dir());
        command
    }

    fn url(&self, user: &str) -> String {
        self.place
            .database_url
            .replace("user=postgres", &format!("user={user}"))
    }

    async fn connect(&self, user: &str) -> anyhow::Result<Connection> {
        db::connect(&Settings::at(&self.url(user))).await
    }

    /// Runs a statement as a user. Returns the message of an error.
    async fn run_as(&self, user: &str, statement: &str) -> Result<(), String> {
        let mut connection = self.connect(user).await.unwrap();
        let done = sql_query(statement).execute(&mut connection).await;
        done.map(drop).map_err(|error| error.to_string())
    }
}

fn successful(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn program_works_as_a_user_that_owns_nothing() {
    let owned = Owned::make().await;
    let user = owned.user(1);
    let said = successful(&owned.migrate(&user, &[]));
    assert!(
        said.ends_with(&format!("{user} may read and write the rows\n")),
        "{said}"
    );
    let url = owned.url(&user);
    let flags = ["--database-url", url.as_str()];
    let app = TestApp::spawn_with(&flags, &flags).await;
    video_is_uploaded_processed_voted_for_ranked_and_deleted(&app).await;
    for statement in [
        "DROP TABLE votes",
        "ALTER TABLE videos ADD COLUMN more text",
        "CREATE TABLE other (id int)",
        "TRUNCATE votes",
        "CREATE ROLE friend",
        "UPDATE audit SET actor = ''",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "UPDATE audit_count SET entries = 0",
    ] {
        let error = owned.run_as(&user, statement).await.unwrap_err();
        let is_refused = error.contains("must be owner") || error.contains("permission denied");
        assert!(is_refused, "{statement}: {error}");
    }
    // Adding an entry counts it, although the user may not change the count.
    let add = "INSERT INTO audit (actor, act, subject) VALUES ('', '', '')";
    owned.run_as(&user, add).await.unwrap();
    assert_eq!(app.number("SELECT entries FROM audit_count").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_migration_gives_the_user_the_tables_that_it_made() {
    let owned = Owned::make().await;
    let user = owned.user(1);
    successful(&owned.migrate(&user, &[]));
    owned
        .run_as(&owned.owner, "CREATE TABLE later (id bigserial)")
        .await
        .unwrap();
    let write = "INSERT INTO later DEFAULT VALUES";
    assert!(owned.run_as(&user, write).await.is_err());
    successful(&owned.migrate(&user, &[]));
    owned.run_as(&user, write).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn next_user_replaces_the_earlier_ones_which_are_locked_on_request() {
    let owned = Owned::make().await;
    let users = [1, 2, 10].map(|number| owned.user(number));
    for user in &users {
        successful(&owned.migrate(user, &[]));
    }
    let may_connect = async || {
        let mut found = Vec::new();
        for user in &users {
            found.push(owned.connect(user).await.is_ok());
        }
        found
    };
    assert_eq!(may_connect().await, [true, true, true]);
    successful(&owned.migrate(&users[1], &["--lock-earlier-users"]));
    assert_eq!(may_connect().await, [false, true, true]);
    successful(&owned.migrate(&users[2], &["--lock-earlier-users"]));
    assert_eq!(may_connect().await, [false, false, true]);
    assert!(owned.connect(&owned.owner).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_boot_at_once_all_succeed() {
    let owned = Owned::make().await;
    let user = owned.user(1);
    let running: Vec<_> = (0..6)
        .map(|_| owned.command(&user).spawn().unwrap())
        .collect();
    for process in running {
        assert!(process.wait_with_output().unwrap().status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_receives_a_verifier_instead_of_the_password() {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        verifier: String,
    }
    let owned = Owned::make().await;
    let user = owned.user(1);
    successful(&owned.migrate(&user, &[]));
    let stored = sql_query("SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = $1");
    let mut connection = owned.connect("postgres").await.unwrap();
    let row: Row = stored
        .bind::<Text, _>(&user)
        .get_result(&mut connection)
        .await
        .unwrap();
    assert!(
        row.verifier.starts_with("SCRAM-SHA-256$"),
        "{}",
        row.verifier
    );
    // An error of the server quotes its statement in the log, and reaches the program's output.
    let mut command = owned.command(&owned.user(2));
    let output = command.env("DB_OWNER_USER", &user).output().unwrap();
    let error = failed(&output);
    assert!(error.contains("permission denied"), "{error}");
    assert!(!error.contains("quoted"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_named() {
    let owned = Owned::make().await;
    let user = owned.user(1);
    let error = failed(&owned.migrate(&owned.owner, &[]));
    assert!(error.contains("set DB_USER"), "{error}");
    let error = failed(
        &owned
            .command(&user)
            .env_remove("DB_PASSWORD")
            .output()
            .unwrap(),
    );
    assert!(error.contains("set DB_PASSWORD"), "{error}");
    let url = &owned.place.database_url;
    let error = failed(&owned.migrate(&user, &["--database-url", url]));
    assert!(error.contains("instead of DATABASE_URL"), "{error}");
    let error = failed(
        &owned
            .command(&user)
            .env_remove("DB_OWNER_USER")
            .arg("--lock-earlier-users")
            .output()
            .unwrap(),
    );
    assert!(error.contains("--db-owner-user"), "{error}");
}
