//! Schema migrations, embedded in the binary. Two processes may migrate at once: one does it, the
//! other waits its turn and finds nothing left to do.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use diesel::{
    QueryableByName,
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

/// Lists the migrations that the database lacks, oldest first. Changes nothing: diesel's own harness
/// would create its table.
pub async fn pending(mut connection: Connection) -> anyhow::Result<Vec<String>> {
    lacking(&mut connection).await
}

/// Applies every pending migration and returns their versions.
pub async fn run(connection: Connection) -> anyhow::Result<Vec<String>> {
    locked(connection, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(MigrationVersion::to_string).collect())
    })
    .await
}

/// Undoes the last migration and returns its version; none if there was none.
pub async fn revert(connection: Connection) -> anyhow::Result<Option<String>> {
    locked(connection, |harness| {
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

/// Runs `work` while holding the migration lock. The lock is polled: a *waiting* `pg_advisory_lock`
/// holds a snapshot, and `CREATE INDEX CONCURRENTLY` would wait for it for ever.
async fn locked<T>(
    mut connection: Connection,
    work: impl FnOnce(
        &mut AsyncMigrationHarness<Connection>,
    ) -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
) -> anyhow::Result<T> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Bool)]
        got: bool,
    }
    loop {
        let row: Row = sql_query("SELECT pg_try_advisory_lock($1) AS got")
            .bind::<sql_types::BigInt, _>(LOCK_KEY)
            .get_result(&mut connection)
            .await
            .context("take the migration lock")?;
        if row.got {
            break;
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
    // The lock ends with the session, that is with `harness`, whatever happens.
    let mut harness = AsyncMigrationHarness::new(connection);
    work(&mut harness).map_err(|error| anyhow!(error).context("migrate"))
}
