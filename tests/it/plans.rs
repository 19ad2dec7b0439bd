//! The number of rows that a statement reads for each row that it changes or looks up is the same
//! for one row as for ten thousand, even in a session that planned it while the tables were almost
//! empty. The test counts rows and measures no time.

use std::{
    env,
    future::poll_fn,
    sync::{Arc, Mutex},
};

use anb::{auth::queries, votes};
use serde_json::Value;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::support::Place;

/// Number of executions of each statement for one row before the tables grow. PostgreSQL may keep
/// the plan of a prepared statement after five executions.
const FIRST_CALLS: usize = 7;

/// Maximum number of rows read for each row that changes. A video, its words, its player's other
/// videos and the foreign key checks are about twenty.
const MAX_ROWS_EACH: u64 = 100;

/// Maximum number of rows that a search reads, whatever the size of the tables.
const MAX_ROWS_SEARCHED: u64 = 5_000;

/// Maximum rows in a statement; `PLAN_ROWS=10000` for the table in `docs/performance.md`.
const DEFAULT_ROWS: usize = 1_000;

/// Maximum batch size (`batch.rs`).
const BATCH: usize = 256;

/// Autovacuum is off because new statistics would make PostgreSQL plan all statements again.
/// Players 1, 2 and 3 have 1, 100 and `{n}` videos.
const EMPTY: &str = "
    ALTER TABLE users SET (autovacuum_enabled = off);
    ALTER TABLE videos SET (autovacuum_enabled = off);
    ALTER TABLE votes SET (autovacuum_enabled = off);
    ALTER TABLE standings SET (autovacuum_enabled = off);
    ALTER TABLE uncounted SET (autovacuum_enabled = off);
    ALTER TABLE search_words SET (autovacuum_enabled = off);
    CREATE FUNCTION video(number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
        RETURN ('00000000-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid;
    CREATE FUNCTION videos(start bigint, count bigint) RETURNS uuid[] LANGUAGE sql
        RETURN ARRAY(SELECT video(start + n) FROM generate_series(1, count) AS n);
    CREATE FUNCTION users(start bigint, count bigint) RETURNS bigint[] LANGUAGE sql
        RETURN ARRAY(SELECT start + n FROM generate_series(1, count) AS n);
    CREATE FUNCTION make(first bigint, last bigint, player bigint, step bigint) RETURNS void LANGUAGE sql AS $$
        INSERT INTO users (id, first_name, last_name, email, password_hash, city, city_key, country)
            OVERRIDING SYSTEM VALUE
            SELECT id, 'Ana', 'Ruiz', id || '@example.com', '', 'Cali', 'cali', 'Colombia'
            FROM generate_series(player, player + (last - first) / step) AS id ON CONFLICT DO NOTHING;
        INSERT INTO videos (id, user_id, title, status, is_public, original_bytes, attempt, processed_at)
            SELECT video(n), player + (n - first) / step, 'Jugada ' || n, 'processed', true, 1, 1, now()
            FROM generate_series(first, last) AS n
    $$;
    SELECT make(1, 1, 1, 1), make(100001, 100001, 1001, 5)";
const FULL: &str = "
    SELECT make(1001, 1100, 2, 1000000), make(10001, 10000 + {n}, 3, 1000000), make(100002, 110000, 1002, 5);
    INSERT INTO revoked_tokens SELECT gen_random_uuid(), now() FROM generate_series(1, 10000)";

/// Restores the first player, which a case deletes.
const FIRST_PLAYER: &str =
    "SELECT make(1, 1, 1, 1) WHERE NOT EXISTS (SELECT FROM videos WHERE id = video(1))";

/// A statement for `{n}` rows, and its preparation, which is not counted.
struct Case {
    name: &'static str,
    before: &'static str,
    statement: &'static str,
    max_rows: usize,
}

const SEARCH: Case = Case {
    name: "`search_videos`, in all",
    before: "SELECT",
    statement: "SELECT search_videos('jugada', NULL, NULL, NULL, NULL, NULL, 20)",
    max_rows: 1,
};

const CASES: [Case; 10] = [
    Case {
        name: "`count_votes`: votes of n videos",
        before: "INSERT INTO uncounted SELECT video(100000 + n), 1 FROM generate_series(1, {n}) AS n",
        statement: "SELECT count_votes({n})",
        max_rows: usize::MAX,
    },
    Case {
        name: "n videos are unpublished: `rank_changed_videos`, `rank_players`, `index_words`",
        before: "UPDATE videos SET is_public = true WHERE NOT is_public",
        statement: "UPDATE videos SET is_public = false WHERE id > video(100000) AND id <= video(100000 + {n})",
        max_rows: usize::MAX,
    },
    Case {
        name: "n videos are deleted",
        before: "UPDATE videos SET is_public = true WHERE NOT is_public;
            DELETE FROM videos WHERE id > video(200000);
            SELECT make(200001, 200000 + {n}, 100001, 5)",
        statement: "DELETE FROM videos WHERE id > video(200000) AND id <= video(200000 + {n})",
        max_rows: usize::MAX,
    },
    Case {
        name: "n videos are added: `place_video`, `fill_search_key`",
        before: "DELETE FROM videos WHERE id > video(200000)",
        statement: "SELECT make(200001, 200000 + {n}, 100001, 5)",
        max_rows: usize::MAX,
    },
    Case {
        name: "a player with n videos moves: `move_player`",
        before: "SELECT",
        statement: "UPDATE users SET city = city || 'x', city_key = city_key || 'x' WHERE id = {player}",
        max_rows: usize::MAX,
    },
    Case {
        name: "a player with n videos is renamed: `rename_player`, `index_words`",
        before: "SELECT",
        statement: "UPDATE users SET first_name = first_name || 'x' WHERE id = {player}",
        max_rows: usize::MAX,
    },
    Case {
        name: "`votes::CAST`: n votes",
        before: "DELETE FROM votes; DELETE FROM uncounted",
        statement: "EXECUTE vote(users(1000, {n}), videos(100010, {n}))",
        max_rows: BATCH,
    },
    Case {
        name: "`queries::CHECK`: n tokens",
        before: "SELECT",
        statement: "EXECUTE tokens(users(1000, {n}), videos(0, {n}))",
        max_rows: BATCH,
    },
    Case {
        name: "a player with n videos is deleted",
        before: "SELECT",
        statement: "DELETE FROM users WHERE id = {player}",
        max_rows: usize::MAX,
    },
    // Last, because the others run without a contest.
    Case {
        name: "`votes::CAST` in a contest with limits: n votes",
        before: "INSERT INTO contests (slug, name, time_zone, submissions_open_at, submissions_close_at,
                    voting_open_at, voting_close_at, votes_per_day, votes_in_all)
                SELECT 'copa', 'Copa', 'UTC', '2020-01-01', '2999-01-01', '2020-01-01', '2999-01-01', 10, 100
                WHERE NOT EXISTS (SELECT FROM contests);
            UPDATE videos SET contest_id = (SELECT id FROM contests);
            DELETE FROM votes; DELETE FROM uncounted;
            INSERT INTO votes SELECT 3000, id FROM videos
                WHERE user_id <> 3000 AND EXISTS (SELECT FROM users WHERE id = 3000)",
        statement: "EXECUTE vote(users(1000, {n}), videos(100010, {n}))",
        max_rows: BATCH,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_read_do_not_depend_on_the_plan_of_a_first_call() {
    let place = Place::make().await;
    let session = Session::open(&place.database_url).await;
    session.client.batch_execute(EMPTY).await.unwrap();
    for (name, types, text) in [
        ("vote", "bigint[], uuid[]", votes::CAST),
        ("tokens", "bigint[], uuid[]", queries::CHECK),
    ] {
        let prepare = format!("PREPARE {name} ({types}) AS {}", numbered(text));
        session.client.batch_execute(&prepare).await.unwrap();
    }
    for case in CASES.iter().chain([&SEARCH]) {
        for _ in 0..FIRST_CALLS {
            session.client.batch_execute(FIRST_PLAYER).await.unwrap();
            session.read_by(case, 1).await;
        }
    }
    let restored = format!("DELETE FROM contests; {FIRST_PLAYER}");
    session.client.batch_execute(&restored).await.unwrap();
    let rows = env::var("PLAN_ROWS").map_or(DEFAULT_ROWS, |rows| rows.parse().unwrap());
    let full = FULL.replace("{n}", &rows.to_string());
    session.client.batch_execute(&full).await.unwrap();

    let searched = session.read_by(&SEARCH, 1).await;
    println!("| statement | rows read for each of 1 | of 100 | of more |\n|---|---|---|---|");
    println!("| {} | {searched} | | |", SEARCH.name);
    assert!(searched <= MAX_ROWS_SEARCHED);
    let mut wrong = Vec::new();
    for case in &CASES {
        let mut each = Vec::new();
        let most = rows.min(case.max_rows);
        for n in [1, 100, most] {
            let read = session.read_by(case, n).await;
            each.push(read / u64::try_from(n).unwrap());
        }
        let name = case.name;
        println!(
            "| {name} | {} | {} | {} ({most}) |",
            each[0], each[1], each[2]
        );
        if each.iter().any(|each| *each > MAX_ROWS_EACH) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A session that receives the plan of each statement that it runs, even inside functions.
struct Session {
    client: Client,
    plans: Arc<Mutex<Vec<Value>>>,
}

impl Session {
    async fn open(url: &str) -> Self {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let plans = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&plans);
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                if let Ok(AsyncMessage::Notice(notice)) = message
                    && let Some((_, plan)) = notice.message().split_once("plan:\n")
                {
                    received
                        .lock()
                        .unwrap()
                        .push(serde_json::from_str(plan).unwrap());
                }
            }
        });
        let explain = "LOAD 'auto_explain';
            SET auto_explain.log_analyze = on;
            SET auto_explain.log_timing = off;
            SET auto_explain.log_nested_statements = on;
            SET auto_explain.log_format = json;
            SET client_min_messages = log";
        client.batch_execute(explain).await.unwrap();
        Self { client, plans }
    }

    /// Runs a statement for `n` rows and returns the number of rows that its plans read.
    async fn read_by(&self, case: &Case, n: usize) -> u64 {
        let player = match n {
            1 => "1",
            100 => "2",
            _ => "3",
        };
        let fill = |text: &str| {
            text.replace("{n}", &n.to_string())
                .replace("{player}", player)
        };
        self.client.batch_execute(&fill(case.before)).await.unwrap();
        self.plans.lock().unwrap().clear();
        let traced = format!(
            "SET auto_explain.log_min_duration = 0; {}; SET auto_explain.log_min_duration = -1",
            fill(case.statement)
        );
        self.client.batch_execute(&traced).await.unwrap();
        let plans = self.plans.lock().unwrap();
        assert!(!plans.is_empty(), "{}", case.name);
        plans.iter().map(|plan| rows(&plan["Plan"])).sum()
    }
}

/// Returns the number of rows that a node and its children return or filter out.
fn rows(node: &Value) -> u64 {
    let number = |name: &str| node[name].as_u64().unwrap_or_default();
    let each = number("Actual Rows")
        + number("Rows Removed by Filter")
        + number("Rows Removed by Join Filter")
        + number("Rows Removed by Index Recheck");
    let below = node["Plans"].as_array().into_iter().flatten();
    each * number("Actual Loops") + below.map(rows).sum::<u64>()
}

/// Returns a text with `$1`, `$2` … in place of each `?`.
fn numbered(text: &str) -> String {
    let mut number = 0;
    let pieces = text.split_inclusive('?').map(|piece| {
        number += 1;
        piece.replace('?', &format!("${number}"))
    });
    pieces.collect()
}
