//! Resumable uploads, as a client sees them and as faults leave them, on either pair of backends.

mod exchange;
mod interruptions;
mod kills;
mod random;

use anb::{config::storage::UploadSettings, videos::fsck};

use crate::support::{Player, TestApp, eventually};

/// Asserts that the player has one video, that it has these bytes, and that nothing is left over.
async fn assert_complete(app: &TestApp, player: &Player, upload: &str, film: &[u8]) {
    assert_eq!(app.offset(player, upload).await, Ok(film.len()));
    assert!(app.uploaded_bytes(upload).await == film, "other bytes");
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 1);
    assert_tidy(app).await;
}

/// Asserts that `anb fsck` finds nothing.
async fn assert_tidy(app: &TestApp) {
    let context = app.context().await;
    let found = fsck::check(&context.backends, &settings(app))
        .await
        .unwrap();
    assert_eq!(found.findings, [], "{:?}", app.files());
}

fn settings(app: &TestApp) -> UploadSettings {
    app.serve.upload.clone()
}

/// Asserts that neither a file nor a row exists.
async fn assert_nothing_left(app: &TestApp) {
    assert_eq!(app.files(), [""; 0]);
    if let Some(bucket) = &app.bucket {
        eventually("no multipart upload is left", 60, async || {
            bucket.uploads().is_empty()
        })
        .await;
    }
    let rows = "(SELECT count(*) FROM videos) + (SELECT count(*) FROM uploads)";
    assert_eq!(app.number(rows).await, 0);
}
