//! Latency of claims by 100 concurrent workers from a table of a million videos.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use anb::{app::WorkerContext, db::Db, videos::process};
use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;

use crate::support::{TestApp, percentile};

/// Number of concurrent workers; each makes one claim at a time.
const CLAIMERS: usize = 100;

const VIDEOS: u32 = 1_000_000;
const WAITING: u32 = 10_000;
const HALF: usize = 5_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: cargo test --release --test it -- --ignored --nocapture claims"]
async fn a_hundred_workers_claim_ten_thousand_videos() {
    let app = TestApp::spawn_with(&[], &["--db-pool-size", "50"]).await;
    app.insert_user("Ana", "Cali").await;
    // Triggers are disabled because this test does not search.
    let mut connection = app.db.connection().await.unwrap();
    let script = format!(
        "SET statement_timeout = 0; SET session_replication_role = replica;
         INSERT INTO videos (id, user_id, title, is_public, original_bytes, status, turn, processed_at)
         SELECT gen_random_uuid(), (SELECT min(id) FROM users), 'Mi jugada', true, 5000000,
             'processed', 0, now()
         FROM generate_series(1, {VIDEOS} - {WAITING});
         INSERT INTO videos (id, user_id, title, is_public, original_bytes, turn, run_after)
         SELECT gen_random_uuid(), (SELECT min(id) FROM users), 'Mi jugada', true, 5000000,
             number::bigint * 15000000, now() - interval '1 minute'
         FROM generate_series(1, {WAITING}) AS number;
         ANALYZE videos; RESET statement_timeout; RESET session_replication_role"
    );
    connection.batch_execute(&script).await.unwrap();
    drop(connection);
    let mut context = app.context().await;
    context.backends.db = Db::new(&app.work.backends.database).unwrap();
    // A running worker has its connections open already.
    join_all((0..CLAIMERS).map(|_| context.backends.db.ready())).await;
    // Without a pause, 100 concurrent claims queue for two processors.
    for pause in [Duration::from_millis(200), Duration::ZERO] {
        measure(&context, pause).await;
    }
}

/// Claims half of the waiting videos concurrently, with a pause after each claim.
async fn measure(context: &WorkerContext, pause: Duration) {
    let times = Mutex::new(Vec::new());
    let rest = async || tokio::time::sleep(pause.mul_f64(rand::random_range(0.0..2.0))).await;
    let claimer = async || {
        rest().await;
        while times.lock().unwrap().len() < HALF {
            let started = Instant::now();
            if process::claim(context).await.unwrap().is_none() {
                return;
            }
            times.lock().unwrap().push(started.elapsed());
            rest().await;
        }
    };
    let started = Instant::now();
    join_all((0..CLAIMERS).map(|_| claimer())).await;
    let took = started.elapsed();
    let mut times = times.into_inner().unwrap();
    times.sort_unstable();
    println!(
        "| claims at {VIDEOS} videos, {WAITING} waiting, {CLAIMERS} at once, {pause:?} between | \
         p50 {:.1?}, p99 {:.1?}; {:.0} claims/s |",
        percentile(&times, 50),
        percentile(&times, 99),
        f64::from(WAITING) / 2.0 / took.as_secs_f64()
    );
}
