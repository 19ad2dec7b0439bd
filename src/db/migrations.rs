//! Schema migrations, embedded in the binary. Of concurrent processes, one migrates while the
//! others wait for its lock and then find nothing to do.

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

/// Key of the advisory lock, an otherwise unused constant ("anb" in ASCII).
const LOCK_KEY: i64 = 0x61_6e62;

const LOCK_POLL: Duration = Duration::from_millis(200);

/// After waiting this long for the lock, the process logs which session holds it.
const LOCK_WARN_AFTER: Duration = Duration::from_secs(3);

/// Maximum wait for the lock; a migration may rebuild an index of a large table.
const LOCK_TIMEOUT: Duration = Duration::from_mins(10);

/// Lists the pending migrations, oldest first. Unlike diesel's harness, which would create its
/// table, it changes nothing.
pub async fn pending(mut connection: Connection) -> anyhow::Result<Vec<String>> {
    lacking(&mut connection).await
}

/// Applies every pending migration and returns their versions.
pub async fn run(connection: Connection) -> anyhow::Result<Vec<String>> {
    run_within(connection, LOCK_TIMEOUT).await
}

/// Like [`run`], with a `timeout` for the lock. The error names the session that holds the lock.
pub async fn run_within(connection: Connection, timeout: Duration) -> anyhow::Result<Vec<String>> {
    locked(connection, timeout, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(MigrationVersion::to_string).collect())
    })
    .await
}

/// Reverts the last migration and returns its version, or `None` if none is applied.
pub async fn revert(connection: Connection) -> anyhow::Result<Option<String>> {
    locked(connection, LOCK_TIMEOUT, |harness| {
        if harness.applied_migrations()?.is_empty() {
            return Ok(None);
        }
        Ok(Some(harness.revert_last_migration(MIGRATIONS)?.to_string()))
    })
    .await
}

/// Returns an error that names the command to run if the database lacks a migration of this
/// program. Newer migrations are accepted, because they stay compatible with older code.
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

/// Returns the versions of the applied migrations.
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
            .context("look up the migrations table")?;
    if !table.is_there {
        return Ok(HashSet::new());
    }
    let applied: Vec<Row> = sql_query("SELECT version FROM __diesel_schema_migrations")
        .load(connection)
        .await
        .context("read the migrations table")?;
    Ok(applied.into_iter().map(|row| row.version).collect())
}

/// Rejects a database whose encoding, fixed at its creation, cannot represent every name.
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
    .context("read the database's encoding")?;
    let Row { name, encoding } = row;
    ensure!(
        encoding == "UTF8",
        "DB_NAME={name}: the database's encoding is {encoding}: create one with CREATE DATABASE … ENCODING 'UTF8' \
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
    // pg_locks splits the 64-bit key into two columns (see its documentation).
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
    .context("look up the holder of the migration lock")?;
    Ok(row.map_or_else(|| "a session that just ended".to_owned(), |row| row.session))
}

/// Runs `work` while holding the migration lock. The lock is polled because a *waiting*
/// `pg_advisory_lock` holds a snapshot for which `CREATE INDEX CONCURRENTLY` would wait forever.
async fn locked<T>(
    mut connection: Connection,
    timeout: Duration,
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
    let mut has_warned = false;
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
        if waited >= LOCK_WARN_AFTER && !has_warned {
            has_warned = true;
            let holder = holder(&mut connection).await?;
            tracing::warn!("waiting for another migration, run by {holder}");
        }
        if waited >= timeout {
            let holder = holder(&mut connection).await?;
            bail!(
                "another migration has run for longer than {timeout:?}: {holder} holds the advisory lock; if \
                 it is idle, end it with pg_terminate_backend"
            );
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
    // The lock is released with the session when `harness` is dropped.
    let mut harness = AsyncMigrationHarness::new(connection);
    work(&mut harness).map_err(|error| anyhow!(error).context("migrate"))
}
