//! Schema migrations, embedded in the binary. Two processes may migrate at once: one does it, the
//! other waits its turn and finds nothing left to do.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use diesel::{
    OptionalExtension as _, QueryableByName,
    migration::{Migration, MigrationSource, MigrationVersion},
    pg::Pg,
    sql_query, sql_types,
};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Connection;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Key of the advisory lock: any constant that nobody else uses ("anb" in ASCII).
const LOCK_KEY: i64 = 0x61_6e62;

const LOCK_POLL: Duration = Duration::from_millis(200);

/// Whoever waits for the lock says after this why, and who holds it.
const LOCK_SILENCE: Duration = Duration::from_secs(3);

/// Longest wait for the lock: a migration may rebuild an index of a large table.
const LOCK_PATIENCE: Duration = Duration::from_mins(10);

/// Lists the migrations that the database lacks, oldest first. Changes nothing: diesel's own harness
/// would create its table.
pub async fn pending(mut connection: Connection) -> anyhow::Result<Vec<String>> {
    lacking(&mut connection).await
}

/// Applies every pending migration and returns their versions.
pub async fn run(connection: Connection) -> anyhow::Result<Vec<String>> {
    run_within(connection, LOCK_PATIENCE).await
}

/// As [`run`]. Returns an error that names the session that holds the lock if that is not free within `patience`.
pub async fn run_within(connection: Connection, patience: Duration) -> anyhow::Result<Vec<String>> {
    locked(connection, patience, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(MigrationVersion::to_string).collect())
    })
    .await
}

/// Undoes the last migration and returns its version; none if there was none.
pub async fn revert(connection: Connection) -> anyhow::Result<Option<String>> {
    locked(connection, LOCK_PATIENCE, |harness| {
        if harness.applied_migrations()?.is_empty() {
            return Ok(None);
        }
        Ok(Some(harness.revert_last_migration(MIGRATIONS)?.to_string()))
    })
    .await
}

/// Returns an error naming what to run, unless the database has every migration of this program.
/// Migrations of a newer program are no problem: old code survives the new schema.
pub async fn check(connection: &mut Connection) -> anyhow::Result<()> {
    let lacking = lacking(connection).await?;
    ensure!(
        lacking.is_empty(),
        "the database lacks {}: run `anb migrate`",
        lacking.join(", ")
    );
    Ok(())
}

async fn lacking(connection: &mut Connection) -> anyhow::Result<Vec<String>> {
    let applied = applied(connection).await?;
    let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(|error| anyhow!(error))?;
    let lacking = known
        .iter()
        .map(Migration::name)
        .filter(|name| !applied.contains(&name.version().to_string()));
    Ok(lacking.map(ToString::to_string).collect())
}

/// Returns the versions of the applied migrations; none in a database that never had one.
async fn applied(connection: &mut Connection) -> anyhow::Result<HashSet<String>> {
    #[derive(QueryableByName)]
    struct Table {
        #[diesel(sql_type = sql_types::Bool)]
        is_there: bool,
    }
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Text)]
        version: String,
    }
    let table: Table =
        sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS is_there")
            .get_result(connection)
            .await
            .context("look for the list of migrations")?;
    if !table.is_there {
        return Ok(HashSet::new());
    }
    let applied: Vec<Row> = sql_query("SELECT version FROM __diesel_schema_migrations")
        .load(connection)
        .await
        .context("read the list of migrations")?;
    Ok(applied.into_iter().map(|row| row.version).collect())
}

/// Refuses a database that cannot hold every name. Its encoding is chosen when it is made.
async fn check_encoding(connection: &mut Connection) -> anyhow::Result<()> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Text)]
        name: String,
        #[diesel(sql_type = sql_types::Text)]
        encoding: String,
    }
    let row: Row = sql_query(
        "SELECT current_database()::text AS name, current_setting('server_encoding') AS encoding",
    )
    .get_result(connection)
    .await
    .context("ask for the database's encoding")?;
    let Row { name, encoding } = row;
    ensure!(
        encoding == "UTF8",
        "DB_NAME={name}: the database's encoding is {encoding}: make one with CREATE DATABASE … ENCODING 'UTF8' \
         TEMPLATE template0"
    );
    Ok(())
}

/// Describes the session that holds the migration lock.
async fn holder(connection: &mut Connection) -> anyhow::Result<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Text)]
        session: String,
    }
    // The 64 bits of the key are in two columns (PostgreSQL's documentation of pg_locks).
    let row: Option<Row> = sql_query(
        "SELECT format('backend %s (%s from %s, %s since %s)', pid, coalesce(application_name, '?'),
             coalesce(host(client_addr), 'a socket'), coalesce(state, '?'),
             to_char(state_change, 'YYYY-MM-DD HH24:MI:SS TZ')) AS session
         FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted
             AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (classid::bigint << 32 | objid::bigint) = $1",
    )
    .bind::<sql_types::BigInt, _>(LOCK_KEY)
    .get_result(connection)
    .await
    .optional()
    .context("ask who holds the migration lock")?;
    Ok(row.map_or_else(|| "a session that just ended".to_owned(), |row| row.session))
}

/// Runs `work` while holding the migration lock. The lock is polled: a *waiting* `pg_advisory_lock`
/// holds a snapshot, and `CREATE INDEX CONCURRENTLY` would wait for it for ever.
async fn locked<T>(
    mut connection: Connection,
    patience: Duration,
    work: impl FnOnce(
        &mut AsyncMigrationHarness<Connection>,
    ) -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
) -> anyhow::Result<T> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Bool)]
        got: bool,
    }
    check_encoding(&mut connection).await?;
    let started = Instant::now();
    let mut is_told = false;
    loop {
        let row: Row = sql_query("SELECT pg_try_advisory_lock($1) AS got")
            .bind::<sql_types::BigInt, _>(LOCK_KEY)
            .get_result(&mut connection)
            .await
            .context("take the migration lock")?;
        if row.got {
            break;
        }
        let waited = started.elapsed();
        if waited >= LOCK_SILENCE && !is_told {
            is_told = true;
            let holder = holder(&mut connection).await?;
            tracing::warn!("waiting for another migration, which {holder} runs");
        }
        if waited >= patience {
            let holder = holder(&mut connection).await?;
            bail!(
                "another migration has run for longer than {patience:?}: {holder} holds the advisory lock; if \
                 it does nothing, end it with pg_terminate_backend"
            );
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
    // The lock ends with the session, that is with `harness`, whatever happens.
    let mut harness = AsyncMigrationHarness::new(connection);
    work(&mut harness).map_err(|error| anyhow!(error).context("migrate"))
}
