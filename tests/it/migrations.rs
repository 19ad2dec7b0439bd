//! The schema is reversible and indexed, matches diesel's, and may be migrated concurrently.

use std::collections::BTreeSet;

use anb::{
    config::database::Settings,
    db::{self, Connection, migrations},
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl as _;

use crate::support::{Place, RUNTIME};

/// Lists every schema object that a migration creates, one per line.
const DUMP: &str = "
    SELECT concat_ws(' ', 'column', table_name, ordinal_position, column_name, udt_name, is_nullable,
        column_default, is_identity, identity_generation, is_generated) AS line
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat_ws(' ', 'label', enumtypid::regtype, enumsortorder, enumlabel) FROM pg_enum
    UNION ALL SELECT concat_ws(' ', 'relation', relkind, relname)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'function', oid::regprocedure)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'extension', extname) FROM pg_extension
    ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn every_migration_can_be_reverted_and_reapplied() {
    let place = Place::make_bare().await;
    let mut schemas = vec![dump(&place, DUMP).await];
    let applied = migrations::run(connect(&place).await).await.unwrap();
    let full = dump(&place, DUMP).await;
    assert!(!applied.is_empty() && full != schemas[0]);

    let mut reverted = Vec::new();
    while let Some(version) = migrations::revert(connect(&place).await).await.unwrap() {
        reverted.push(version);
        schemas.push(dump(&place, DUMP).await);
    }
    reverted.reverse();
    assert_eq!(reverted, applied);
    // Only diesel's own table is left.
    let own = |line: &&String| !line.contains("__diesel_schema_migrations");
    let left = schemas.pop().unwrap();
    let left: Vec<&String> = left.iter().filter(own).collect();
    assert_eq!(left, schemas[0].iter().collect::<Vec<_>>());

    assert_eq!(
        migrations::run(connect(&place).await).await.unwrap(),
        applied
    );
    assert_eq!(dump(&place, DUMP).await, full);
}

/// Columns that only SQL text names, or only triggers; see `src/db/schema.rs`.
const OMITTED: [&str; 4] = [
    "videos city_key text",
    "videos search_key text",
    "videos started_at null timestamptz",
    "videos turn int8",
];

#[tokio::test]
async fn diesel_schema_matches_every_column_of_the_database() {
    let place = Place::make().await;
    let columns = "
        SELECT concat_ws(' ', table_name, column_name,
            CASE is_nullable WHEN 'YES' THEN 'null' END, udt_name) AS line
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_diesel%'";
    let database: BTreeSet<String> = dump(&place, columns).await.into_iter().collect();
    let mut diesel = diesel_columns(include_str!("../../src/db/schema.rs"));
    assert!(diesel.len() > 20);
    diesel.extend(OMITTED.map(str::to_owned));
    assert_eq!(database, diesel);
}

#[tokio::test]
async fn every_foreign_key_has_an_index() {
    let place = Place::make().await;
    let foreign = "SELECT conname::text AS line FROM pg_constraint WHERE contype = 'f'";
    assert!(dump(&place, foreign).await.len() >= 4);
    let bare = "
        SELECT concat_ws(' ', conrelid::regclass, conname) AS line FROM pg_constraint
        WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index
            WHERE indrelid = conrelid AND indisvalid AND indpred IS NULL
                AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)";
    assert_eq!(dump(&place, bare).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_migrations_both_succeed() {
    let place = Place::make_bare().await;
    let (first, second) = (connect(&place).await, connect(&place).await);
    // On separate threads, because diesel's harness blocks the thread that it runs on.
    let (first, second) = tokio::join!(
        RUNTIME.spawn(migrations::run(first)),
        RUNTIME.spawn(migrations::run(second))
    );
    let count = |applied: Result<anyhow::Result<Vec<String>>, tokio::task::JoinError>| {
        applied.unwrap().unwrap().len()
    };
    let mut counts = [count(first), count(second)];
    counts.sort_unstable();
    assert!(counts[0] == 0 && counts[1] > 0, "{counts:?}");
    let mut connection = connect(&place).await;
    migrations::check(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_pending_migrations_changes_nothing() {
    let place = Place::make_bare().await;
    let before = dump(&place, DUMP).await;
    let pending = migrations::pending(connect(&place).await).await.unwrap();
    assert_eq!(dump(&place, DUMP).await, before);

    migrations::run(connect(&place).await).await.unwrap();
    let none: [&str; 0] = [];
    assert_eq!(
        migrations::pending(connect(&place).await).await.unwrap(),
        none
    );
    migrations::revert(connect(&place).await).await.unwrap();
    let last = migrations::pending(connect(&place).await).await.unwrap();
    assert_eq!(last, pending[pending.len() - 1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_database_is_rejected_with_the_remedy() {
    let place = Place::make_bare().await;
    let mut connection = connect(&place).await;
    let error = migrations::check(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("anb migrate"), "{error}");
    // A database newer than this program is accepted.
    migrations::run(connect(&place).await).await.unwrap();
    sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')")
        .execute(&mut connection)
        .await
        .unwrap();
    migrations::check(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_that_are_public_before_they_have_tags_are_noted() {
    let place = Place::make().await;
    loop {
        let reverted = migrations::revert(connect(&place).await).await.unwrap();
        if reverted.unwrap().ends_with("000021") {
            break;
        }
    }
    let insert = "WITH owner AS (
            INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
            VALUES ('Ana', 'Prueba', 'ana@example.com', '', 'Cali', 'cali', 'Colombia') RETURNING id)
        INSERT INTO videos (id, user_id, title, is_public, status, processed_at, original_bytes)
        SELECT gen_random_uuid(), owner.id, title, is_public, status::video_status, at, 1
        FROM owner, (VALUES ('public', true, 'processed', now()), ('private', false, 'processed', now()),
            ('waiting', true, 'uploaded', NULL)) AS video (title, is_public, status, at)";
    let mut connection = connect(&place).await;
    let inserted = sql_query(insert).execute(&mut connection).await.unwrap();
    assert_eq!(inserted, 3);
    migrations::run(connect(&place).await).await.unwrap();
    let noted = "SELECT title AS line FROM untagged JOIN videos ON id = video_id
        WHERE due_at <= now()";
    assert_eq!(dump(&place, noted).await, ["public"]);
}

/// Reads `table!` macros as lines of table, column, `null` if nullable, and type.
fn diesel_columns(schema: &str) -> BTreeSet<String> {
    let mut table = "";
    let mut columns = BTreeSet::new();
    for line in schema.lines().map(str::trim) {
        if let Some((name, "{")) = line.split_once(" (").and_then(|(name, rest)| {
            let (_, end) = rest.split_once(") ")?;
            Some((name, end))
        }) {
            table = name;
        }
        let Some((column, kind)) = line.split_once(" -> ") else {
            continue;
        };
        if line.starts_with("diesel::") {
            continue;
        }
        let kind = kind.trim_end_matches(',');
        let inner = kind
            .strip_prefix("Nullable<")
            .map(|k| k.trim_end_matches('>'));
        let null = inner.map_or("", |_| "null ");
        let kind = match inner.unwrap_or(kind) {
            "VideoStatus" => "video_status".to_owned(),
            plain => plain.to_lowercase(),
        };
        columns.insert(format!("{table} {column} {null}{kind}"));
    }
    columns
}

async fn dump(place: &Place, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let mut connection = connect(place).await;
    let rows: Vec<Row> = sql_query(query).load(&mut connection).await.unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

async fn connect(place: &Place) -> Connection {
    db::connect(&Settings::at(&place.database_url))
        .await
        .unwrap()
}
