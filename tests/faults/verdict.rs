//! The end: nothing is broken any more, everything comes to rest, and all books must agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::SystemTime,
};

use anb::{ids::VideoId, storage::StorageKey};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Text, Uuid},
};
use diesel_async::RunQueryDsl as _;

use crate::{
    Size,
    history::{History, Vote},
    support::{eventually, processes_about},
    town::{Row, Town},
    watch::Watch,
};

/// Longest time until all jobs have ended (s): after a setback a video waits for up to five minutes.
const REST: u64 = 1800;

/// Longest time until the sweeper has removed everything (s): `UPLOAD_TIMEOUT` and a minute, and a while.
const SWEPT: u64 = 180;

/// A short run does not wait for what was put off: it sets the clock.
pub async fn hurry(town: &Town, size: &Size) {
    if !size.is_long() {
        let due = "UPDATE videos SET run_after = now() WHERE run_after > now()";
        town.app.sql(due).await;
    }
}

/// Waits until all jobs have ended and everything is swept. Nobody helps: a video that is given up by our fault stays so,
/// and is a breach.
pub async fn quiesce(town: &Town, watch: &Watch, size: &Size) {
    rest(town).await;
    watch.stop();
    let rows = town.rows().await.unwrap();
    let given_up = rows.iter().filter(|row| is_given_up(row)).count();
    println!("{given_up} videos given up by our fault");
    println!("{}", town.setbacks().await);
    if !size.is_long() {
        for long_ago in [
            "UPDATE videos SET strays_at = strays_at - interval '1 hour'",
            "UPDATE uploads SET started_at = started_at - interval '1 hour'",
        ] {
            town.app.sql(long_ago).await;
        }
        for folder in town.scratch_folders() {
            let folder = fs::File::open(folder).unwrap();
            folder.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
    }
    eventually("everything is swept", SWEPT, async || {
        let notes = "(SELECT count(*) FROM uploads)
            + (SELECT count(*) FROM videos WHERE strays_at IS NOT NULL)";
        town.app.number(&format!("SELECT {notes}")).await == 0 && town.scratch_folders().is_empty()
    })
    .await;
}

async fn rest(town: &Town) {
    eventually("every job has ended", REST, async || {
        let rows = town.rows().await.unwrap_or_default();
        let is_idle = town
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

/// Compares rows, files, votes and processes with what the clients know.
pub async fn compare(town: &Town, history: &History) {
    let breach = |what: String| history.breach(what);
    let ran = town.house.output("fsck --json").await;
    if !ran.status.success() {
        breach(format!("fsck: {ran:?}"));
    }
    let rows = town.rows().await.unwrap();
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let uploads = history.uploads();
    for (id, upload) in &uploads {
        match rows.get(id) {
            None if upload.is_deleted => {}
            None => breach(format!("{id}: lost")),
            Some(_) if upload.is_deleted => breach(format!("{id}: deleted, and still there")),
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
    let strangers = rows.keys().filter(|id| !uploads.contains_key(id)).count();
    if strangers > history.unknown_uploads() {
        breach(format!("rows: {strangers} videos that nobody uploaded"));
    }
    compare_files(town, &rows, breach).await;
    compare_votes(town, history).await;
    let programs = processes_about(&town.scratch());
    if !programs.is_empty() {
        breach(format!("programs: {programs:?} still run"));
    }
}

/// Nothing is stored but one original per row, and one clip and one poster per processed one.
async fn compare_files(town: &Town, rows: &BTreeMap<VideoId, Row>, breach: impl Fn(String)) {
    let mut expected = BTreeSet::new();
    for (id, row) in rows {
        expected.insert(StorageKey::Original(*id).to_string());
        if row.status == "processed" {
            expected.insert(StorageKey::Clip(*id, row.attempt).to_string());
            expected.insert(StorageKey::Poster(*id, row.attempt).to_string());
        }
    }
    let stored = town.app.storage.list().await.unwrap();
    let stored: BTreeSet<_> = stored.into_iter().map(|stored| stored.name).collect();
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

async fn compare_votes(town: &Town, history: &History) {
    let known = history.votes();
    let mut connection = town.app.db.connection().await.unwrap();
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
            history.breach(format!("{}: nobody cast the vote of {}", vote.1, vote.0));
        }
    }
}
