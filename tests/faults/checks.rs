//! Consistency checks after the last fault, when the system has become idle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::SystemTime,
};

use anb::{
    ids::VideoId,
    storage::{StorageKey, Stored},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Text, Uuid},
};
use diesel_async::RunQueryDsl as _;

use crate::{
    Size,
    history::{History, Vote},
    support::{TestApp, eventually, processes_about},
    system::{Row, System},
    watch::Watch,
};

/// Maximum time until all jobs have ended (s). Environment failures delay a job by up to 5 minutes.
const IDLE_TIMEOUT: u64 = 1800;

/// Maximum time until all orphans are removed (s): `UPLOAD_TIMEOUT`, a minute and a margin.
const SWEEP_TIMEOUT: u64 = 180;

/// Makes delayed jobs due at once in a short run.
pub async fn hurry(system: &System, size: &Size) {
    if !size.is_long() {
        let due = "UPDATE videos SET run_after = now() WHERE run_after > now()";
        TestApp::execute(&system.app, due).await;
    }
}

/// Waits until all jobs have ended and the sweeper has removed all orphans. Without a redrive, a
/// video that failed because of the system stays failed, which is a breach.
pub async fn quiesce(system: &System, watch: &Watch, size: &Size) {
    until_idle(system).await;
    watch.stop();
    let rows = system.rows().await.unwrap();
    let given_up = rows.iter().filter(|row| is_given_up(row)).count();
    println!("{given_up} videos failed because of the system");
    println!("{}", system.setbacks().await);
    if !size.is_long() {
        for long_ago in [
            "UPDATE videos SET strays_at = strays_at - interval '1 hour'",
            "UPDATE uploads SET started_at = started_at - interval '1 hour'",
        ] {
            TestApp::execute(&system.app, long_ago).await;
        }
        for folder in system.scratch_folders() {
            let folder = fs::File::open(folder).unwrap();
            folder.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
    }
    eventually("no orphans are left", SWEEP_TIMEOUT, async || {
        let notes = "(SELECT count(*) FROM uploads)
            + (SELECT count(*) FROM videos WHERE strays_at IS NOT NULL)";
        system.app.number(&format!("SELECT {notes}")).await == 0
            && system.scratch_folders().is_empty()
    })
    .await;
}

async fn until_idle(system: &System) {
    eventually("every job has ended", IDLE_TIMEOUT, async || {
        let rows = system.rows().await.unwrap_or_default();
        let is_idle = system
            .app
            .queue
            .stats()
            .await
            .is_ok_and(|stats| stats.waiting + stats.in_flight == 0);
        is_idle && rows.iter().all(Row::has_ended)
    })
    .await;
}

fn is_given_up(row: &Row) -> bool {
    let code = row.code.as_deref().unwrap_or_default();
    ["processing_failed", "worker_lost"].contains(&code)
}

/// Compares rows, files, votes and processes with the clients' history.
pub async fn compare(system: &System, history: &History) {
    let breach = |what: String| history.breach(what);
    let ran = system.processes.output("fsck --json").await;
    if !ran.status.success() {
        breach(format!("fsck: {ran:?}"));
    }
    let rows = system.rows().await.unwrap();
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let uploads = history.uploads();
    for (id, upload) in &uploads {
        match rows.get(id) {
            None if upload.is_deleted => {}
            None => breach(format!("{id}: lost")),
            Some(_) if upload.is_deleted => breach(format!("{id}: deleted but present")),
            Some(row) => {
                let expected = if upload.is_film {
                    "processed"
                } else {
                    "failed"
                };
                let is_right = row.status == expected
                    && row.is_public == upload.is_public
                    && !is_given_up(row);
                if !is_right {
                    breach(format!("{id}: {upload:?} ended as {row:?}"));
                }
            }
        }
    }
    let unknown = rows.keys().filter(|id| !uploads.contains_key(id)).count();
    if unknown > history.unknown_uploads() {
        breach(format!("rows: {unknown} videos without an upload"));
    }
    compare_files(system, &rows, breach).await;
    compare_votes(system, history).await;
    let programs = processes_about(&system.scratch());
    if !programs.is_empty() {
        breach(format!("programs: {programs:?} are still running"));
    }
}

/// Checks that storage holds exactly one original per row, and all outputs per processed row.
async fn compare_files(system: &System, rows: &BTreeMap<VideoId, Row>, breach: impl Fn(String)) {
    let mut expected = BTreeSet::new();
    for (id, row) in rows {
        expected.insert(StorageKey::Original(*id).to_string());
        if row.status == "processed" {
            let outputs = StorageKey::outputs(*id, row.attempt);
            expected.extend(outputs.map(|key| key.to_string()));
        }
    }
    let mut stored = BTreeSet::new();
    let mut visit = |file: Stored| {
        stored.insert(file.name);
    };
    system.app.storage.list(&mut visit).await.unwrap();
    for name in stored.symmetric_difference(&expected) {
        let id = name.split('/').nth(1).unwrap().trim_end_matches(".mp4");
        breach(format!("{id}: {name} is an orphan or missing"));
    }
}

#[derive(QueryableByName)]
struct Cast {
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Uuid)]
    video: VideoId,
}

async fn compare_votes(system: &System, history: &History) {
    let known = history.votes();
    let mut connection = system.app.db.connection().await.unwrap();
    let select = "SELECT email, video_id AS video FROM votes JOIN users ON users.id = user_id";
    let cast: Vec<Cast> = sql_query(select).load(&mut connection).await.unwrap();
    let cast: BTreeSet<_> = cast
        .into_iter()
        .map(|cast| (cast.email, cast.video))
        .collect();
    for (vote, end) in &known {
        if *end == Vote::Counted && !cast.contains(vote) {
            history.breach(format!("{}: the vote of {} is lost", vote.1, vote.0));
        }
    }
    for vote in &cast {
        if !known.contains_key(vote) {
            history.breach(format!("{}: no client cast the vote of {}", vote.1, vote.0));
        }
    }
}
