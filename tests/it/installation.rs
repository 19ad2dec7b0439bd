//! Nothing is stored, processed or repaired unless database and storage belong together.

use anb::{
    ids::VideoId,
    storage::WrongInstallation,
    videos::process::{self, FailureOutcome},
};
use serde_json::{Value, json};

use crate::{
    fsck::{check, fsck},
    processes::process::SystemUnderTest,
    support::{TestApp, film, mp4, on_both},
};

on_both! {
    database_of_another_installation_prevents_repairs,
    process_with_wrong_storage_accepts_and_processes_nothing,
}

/// The failing dependency if the storage is missing or belongs to another database.
const STORAGE: [&str; 1] = ["storage"];

async fn database_of_another_installation_prevents_repairs(app: &TestApp) {
    let orphan = VideoId::generate();
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    app.plant(&format!("uploads/{orphan}.mp4"));
    app.remove(&format!("processed/{video}/1.jpg"));
    let files = app.files();
    mistype_database_name(app).await;
    let ran = fsck(app, "--fix --delete-orphans --yes-delete 1").await;
    assert_eq!(ran.status.code(), Some(1));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(
        said.contains("nothing was repaired: the database belongs to"),
        "{said}"
    );
    assert!(
        said.contains("DATABASE_URL") && said.contains(".anb-installation"),
        "{said}"
    );
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|finding| finding["is_repaired"] == false));
    assert_eq!(app.files(), files);
    assert_eq!(app.status(video).await, "processed");
}

async fn process_with_wrong_storage_accepts_and_processes_nothing(app: &TestApp) {
    let waiting = app.add_video(&film().await).await;
    let context = app.context().await;
    context.backends.installation.verify().await.unwrap();
    let ana = app.insert_user("Ana", "Cali").await;
    let deleted = VideoId::generate();
    app.execute(&format!(
        "INSERT INTO uploads (video_id, user_id, started_at, is_upload)
         SELECT '{deleted}', min(id), now() - interval '1 day', false FROM users"
    ))
    .await;
    mistype_database_name(app).await;
    let files = app.files();

    assert_eq!(app.get("/ready").await.body["failing"], json!(STORAGE));
    let refused = app.upload(&ana, mp4(5000), false).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let (worker, shutdown) = app.worker().await;
    let error = worker.step(std::time::Duration::ZERO).await.unwrap_err();
    assert!(error.is::<WrongInstallation>(), "{error:#}");
    let working = tokio::spawn(async move { worker.run().await });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    shutdown.request();
    working.await.unwrap();
    let row = app.row(waiting).await.unwrap();
    assert_eq!((row.status.as_str(), row.attempt), ("uploaded", 0));
    // Pending deletions are kept.
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 1);
    assert_eq!(app.files(), files);
}

#[tokio::test]
async fn unmounted_volume_is_not_taken_for_a_new_one() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    // The folders of this process are empty.
    let flags = ["--database-url", &app.place.database_url];
    let unmounted = TestApp::spawn_with(&flags, &flags).await;
    assert_eq!(
        unmounted.get("/ready").await.body["failing"],
        json!(STORAGE)
    );
    let ana = app.insert_user("Ana", "Cali").await;
    assert_eq!(unmounted.upload(&ana, mp4(5000), false).await.status, 503);
    let ran = fsck(&unmounted, "--fix --delete-orphans").await;
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.contains("is a volume not mounted?"), "{said}");
    assert_eq!(unmounted.files(), [""; 0]);
    for folder in ["uploads", "processed"] {
        let marker = unmounted
            .folder
            .path()
            .join(folder)
            .join(".anb-installation");
        assert!(!marker.exists());
    }
    // The remedy that the message suggests.
    for folder in ["uploads", "processed"] {
        let marker = |app: &TestApp| app.folder.path().join(folder).join(".anb-installation");
        std::fs::copy(marker(&app), marker(&unmounted)).unwrap();
    }
    assert_eq!(unmounted.get("/ready").await.status, 200);
    assert_eq!(app.status(video).await, "processed");
}

#[tokio::test]
async fn volume_unmounted_at_runtime_fails_no_video() {
    let app = TestApp::spawn().await;
    let context = app.context().await;
    let video = app.add_video(&film().await).await;
    context.backends.installation.verify().await.unwrap();
    assert_eq!(app.get("/ready").await.status, 200);
    let ana = app.insert_user("Ana", "Cali").await;
    let uploads = app.folder.path().join("uploads");
    let away = app.folder.path().join("away");
    std::fs::rename(&uploads, &away).unwrap();
    std::fs::create_dir(&uploads).unwrap();

    let claim = process::claim(&context).await.unwrap().unwrap();
    let error = process::run(&context, claim).await.unwrap_err();
    let recorded = process::record_failure(&context, claim, error).await;
    assert_eq!(recorded.unwrap(), FailureOutcome::Postponed);
    assert_eq!(app.get("/ready").await.body["failing"], json!(STORAGE));
    assert_eq!(app.upload(&ana, mp4(5000), false).await.status, 503);
    std::fs::remove_dir(&uploads).unwrap();
    std::fs::rename(&away, &uploads).unwrap();
    assert_eq!(app.get("/ready").await.status, 200);
    app.set(video, "run_after = now()").await;
    app.push(video).await;
    app.run_pending_jobs().await;
    assert_eq!(app.status(video).await, "processed");
}

/// Simulates a connection to the database of another installation.
async fn mistype_database_name(app: &TestApp) {
    let context = app.context().await;
    context.backends.installation.verify().await.unwrap();
    app.execute("UPDATE installation SET id = gen_random_uuid()")
        .await;
}

#[tokio::test]
async fn storage_without_marker_is_not_repaired() {
    let app = TestApp::spawn().await;
    app.add_video(b"film").await;
    let ran = fsck(&app, "--fix").await;
    assert_eq!(ran.status.code(), Some(1));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(
        said.contains("uploads/.anb-installation does not exist"),
        "{said}"
    );
    assert!(said.contains("start `anb serve` once"), "{said}");
    assert_eq!(app.get("/ready").await.status, 200);
    assert_eq!(check(&app, "--fix").await, (0, json!([])));
}

#[tokio::test]
async fn missing_folders_are_neither_created_nor_repaired() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    assert_eq!(app.get("/ready").await.status, 200);
    let mut system = SystemUnderTest::of(&app);
    system.set("UPLOAD_PATH", "./uploads");
    system.set("PROCESSED_PATH", "./processed");
    let ran = system.output("fsck --fix").await;
    assert_eq!(ran.status.code(), Some(1));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.contains("UPLOAD_PATH=./uploads"), "{said}");
    assert!(!system.folder().join("uploads").exists());
    assert_eq!(app.status(video).await, "processed");
}
