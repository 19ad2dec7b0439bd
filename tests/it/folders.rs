//! Runs whole jobs in folders whose names have a special meaning to FFmpeg, a shell or the settings
//! of a server.

use std::{path::Path, time::Duration};

use anb::{shutdown::Shutdown, worker::Worker};

use crate::support::{TestApp, film};

const NAMES: [&str; 19] = [
    "100%",
    "a%20b",
    "%03d",
    "%d%d",
    "with blank",
    " ",
    "it's \"quoted\"",
    "a:b,c;d",
    "[x]",
    "back\\slash",
    "-i",
    "*?",
    "?a=b#c",
    "two\nlines",
    "ñandú 🏀",
    "concat:a|b",
    "$HOME `id`",
    "{a,b}~!&<>",
    "..hidden",
];

#[tokio::test(flavor = "multi_thread")]
async fn whole_job_runs_in_folders_of_any_name() {
    // Several names per path need fewer jobs, and a failure still points to few names.
    for names in NAMES.chunks(5) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(names.join("/"));
        Box::pin(job_in(&folder)).await;
    }
}

/// Uploads a video, makes its clip and fetches the files, with every folder below `folder`.
async fn job_in(folder: &Path) {
    let below = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let storage = [
        &format!("--upload-path={}", below("uploads")),
        &format!("--processed-path={}", below("processed")),
    ];
    let storage = storage.map(String::as_str);
    let scratch = format!("--scratch-path={}", below("scratch"));
    let app = TestApp::spawn_with(&storage, &[&storage[..], &[&scratch]].concat()).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.uploaded(&ana, film().await, true).await;

    let worker = Worker::new(app.worker_context().await, Shutdown::new(Duration::ZERO));
    worker.step(Duration::from_secs(10)).await.unwrap();
    worker.idle().await;

    let shown = folder.display();
    let video = app.video(&ana, &id).await;
    assert_eq!(video["status"], "processed", "{shown}: {video}");
    for address in [
        "original_url",
        "processed_url",
        "poster_url",
        "light_url",
        "thumb_url",
    ] {
        let file = app.fetch(video[address].as_str().unwrap()).await;
        assert_ne!(file.bytes().await.unwrap().len(), 0, "{shown}: {address}");
    }
    for name in ["uploads", "processed", "scratch"] {
        assert!(folder.join(name).is_dir(), "{shown}: {name}");
    }
}
