//! The database user of the program. It may read and write rows, but owns nothing: the owner of the
//! tables, who runs the migrations, creates it. Users have numbers (`anb_1`, `anb_2`): the next one
//! replaces the program's without an interruption, and then the earlier ones are locked.

use anyhow::Context as _;
use diesel::{sql_query, sql_types::Text};
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret as _, SecretString};

use super::Connection;

/// Creates the user or changes its password, and gives it all rows, but those of `audit` only to read
/// and to add. The lock has a key of its own, since `CREATE INDEX CONCURRENTLY` of a migration would
/// wait for a session that waits for its lock.
const ALLOW: &str = "
    DO $$
    DECLARE
        login text := current_setting('anb.login');
    BEGIN
        PERFORM pg_advisory_xact_lock(x'616e626c'::int);
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
            EXECUTE format('CREATE ROLE %I', login);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', login, current_setting('anb.verifier'));
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', login);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', login);
        EXECUTE format('GRANT SELECT, UPDATE, USAGE ON ALL SEQUENCES IN SCHEMA public TO %I', login);
        EXECUTE format('REVOKE UPDATE, DELETE ON audit FROM %I', login);
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON audit_count FROM %I', login);
    END $$";

/// Locks the users of the same name with a lower number.
const LOCK_EARLIER: &str = "
    DO $$
    DECLARE
        login text := current_setting('anb.login');
        earlier text;
    BEGIN
        FOR earlier IN
            SELECT rolname FROM pg_roles
            WHERE rolcanlogin
                AND regexp_replace(rolname, '[0-9]+$', '') = regexp_replace(login, '[0-9]+$', '')
                AND substring(rolname FROM '[0-9]+$')::bigint < substring(login FROM '[0-9]+$')::bigint
        LOOP
            EXECUTE format('ALTER ROLE %I NOLOGIN', earlier);
        END LOOP;
    END $$";

/// Creates the user or changes its password, and lets it read and write all rows of the tables that
/// exist now; what it wrote into `audit` stays. Idempotent.
pub async fn allow(
    owner: &mut Connection,
    user: &str,
    password: &SecretString,
) -> anyhow::Result<()> {
    // A failed statement is logged by the server, so it must not contain the password.
    let verifier = scram_sha_256(password.expose_secret().as_bytes());
    as_owner(owner, user, &verifier, ALLOW)
        .await
        .with_context(|| format!("give {user} access to the tables"))
}

/// Keeps the predecessors of a user from connecting again.
pub async fn lock_earlier(owner: &mut Connection, user: &str) -> anyhow::Result<()> {
    as_owner(owner, user, "", LOCK_EARLIER)
        .await
        .with_context(|| format!("lock the users before {user}"))
}

/// Runs a `DO` statement, which takes no parameters, with settings of its transaction instead.
async fn as_owner(
    owner: &mut Connection,
    user: &str,
    verifier: &str,
    statement: &str,
) -> anyhow::Result<()> {
    owner
        .transaction(async |connection| {
            sql_query(
                "SELECT set_config('anb.login', $1, true), set_config('anb.verifier', $2, true)",
            )
            .bind::<Text, _>(user)
            .bind::<Text, _>(verifier)
            .execute(connection)
            .await?;
            sql_query(statement).execute(connection).await
        })
        .await
        .map(drop)
        .map_err(|error: diesel::result::Error| error.into())
}
