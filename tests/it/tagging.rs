//! The tags by which the CDN may read a clip follow its row, whoever changes it and whoever is
//! killed meanwhile.

use std::time::Duration;

use anb::{
    auth::Role,
    ids::VideoId,
    storage::{Storage, StorageKey},
    videos::{fsck, remake, tagging},
};
use aws_sdk_s3::types::Tag;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Player, Response, Seed, TestApp,
    aws::{self, Bucket, EmulatedBucket, Script, ScriptedResponse},
    eventually, film,
};

const UNSETTLED: &str = "SELECT count(*) FROM untagged";

/// Keeps every process from settling the tags, as one does that has just claimed all videos.
const CLAIM_ALL: &str = "INSERT INTO untagged (video_id, due_at)
    SELECT id, now() + interval '1 hour' FROM videos
    ON CONFLICT (video_id) DO UPDATE SET due_at = EXCLUDED.due_at";

/// Lets all claims expire, as after the death of the process that holds them.
const EXPIRE_CLAIMS: &str = "UPDATE untagged SET due_at = now()";

/// An API whose files are in a bucket with tags, and a video with the outputs of two attempts.
struct Scene {
    app: TestApp,
    bucket: EmulatedBucket,
    owner: Player,
    video: VideoId,
}

impl Scene {
    async fn open(seed: Seed<'_>) -> Self {
        let (app, bucket) = on_bucket().await;
        let owner = app.insert_user("Ana", "Cali").await;
        let id = app.add(&owner, seed).await;
        let video = VideoId::parse(&id).unwrap();
        let scene = Self {
            app,
            bucket,
            owner,
            video,
        };
        scene.store(1).await;
        scene.settled().await;
        scene
    }

    /// Stores the outputs of an attempt.
    async fn store(&self, attempt: i32) {
        for key in StorageKey::outputs(self.video, attempt) {
            self.write(key).await;
        }
    }

    async fn write(&self, key: StorageKey) {
        let mut file = self.app.storage.create(key).await.unwrap();
        file.write("x".into()).await.unwrap();
        file.finish().await.unwrap();
    }

    async fn change(&self, is_public: bool) -> Response {
        let path = format!("/api/videos/{}", self.video);
        let request = self.app.as_player(&self.owner, Method::PATCH, &path);
        Response::of(request.json(&json!({ "is_public": is_public }))).await
    }

    async fn moderate(&self, by: &Player, action: &str, body: &Value) {
        let path = format!("/api/moderation/videos/{}/{action}", self.video);
        let request = self.app.as_player(by, Method::POST, &path);
        Response::of(request.json(body)).await.ok();
    }

    /// Returns the public outputs, as the policy of the bucket sees them.
    async fn public(&self) -> Vec<String> {
        public(&self.bucket, self.video).await
    }

    async fn assert_public(&self, attempts: &[i32]) {
        assert_eq!(self.public().await, outputs(self.video, attempts));
    }

    /// Waits until no video is unsettled.
    async fn settled(&self) {
        eventually("the tags are settled", 60, async || {
            self.app.number(UNSETTLED).await == 0
        })
        .await;
    }
}

async fn on_bucket() -> (TestApp, EmulatedBucket) {
    let bucket = EmulatedBucket::fresh().await;
    let flags = bucket.flags();
    let flags = flags.each_ref().map(String::as_str);
    (TestApp::spawn_with(&flags, &flags).await, bucket)
}

fn outputs(video: VideoId, attempts: &[i32]) -> Vec<String> {
    let attempts = attempts.iter();
    let keys = attempts.flat_map(|attempt| StorageKey::outputs(video, *attempt));
    let mut names: Vec<_> = keys.map(|key| key.to_string()).collect();
    names.sort();
    names
}

async fn public(bucket: &EmulatedBucket, video: VideoId) -> Vec<String> {
    let list = bucket.client.list_objects_v2().bucket(&bucket.name);
    let list = list.prefix(format!("processed/{video}/"));
    let mut public = Vec::new();
    for object in list.send().await.unwrap().contents() {
        let name = object.key().unwrap();
        let tags = bucket.client.get_object_tagging().bucket(&bucket.name);
        let tags = tags.key(name).send().await.unwrap();
        let tag = |tag: &Tag| (tag.key().to_owned(), tag.value().to_owned());
        match &tags.tag_set().iter().map(tag).collect::<Vec<_>>()[..] {
            [] => {}
            [(key, value)] if (key.as_str(), value.as_str()) == ("public", "yes") => {
                public.push(name.to_owned());
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    public.sort();
    public
}

#[tokio::test]
async fn tags_follow_publishing_unpublishing_hiding_and_showing() {
    let scene = Scene::open(Seed::PRIVATE).await;
    let nora = scene.app.insert_user("Nora", "Bogotá").await;
    scene.app.grant(&nora.email, Role::Organiser).await;
    scene.assert_public(&[]).await;
    for _ in 0..2 {
        scene.change(true).await.ok();
        scene.assert_public(&[1]).await;
        let reason = json!({"reason": "Se ven datos personales."});
        scene.moderate(&nora, "hide", &reason).await;
        scene.assert_public(&[]).await;
        scene.moderate(&nora, "show", &Value::Null).await;
        scene.assert_public(&[1]).await;
        scene.change(false).await.ok();
        scene.assert_public(&[]).await;
        assert_eq!(scene.app.number(UNSETTLED).await, 0);
    }
}

#[tokio::test]
async fn only_the_outputs_that_the_row_names_are_public() {
    let scene = Scene::open(Seed::PRIVATE).await;
    scene.store(2).await;
    scene.store(12).await;
    scene.change(true).await.ok();
    scene.assert_public(&[1]).await;
    // A remake.
    scene.app.set(scene.video, "attempt = 12").await;
    scene.settled().await;
    scene.assert_public(&[12]).await;
    scene.change(false).await.ok();
    scene.assert_public(&[]).await;
}

#[tokio::test]
async fn refused_publication_tags_nothing() {
    let version = "SELECT version FROM untagged";
    let scene = Scene::open(Seed::PRIVATE).await;
    let luis = scene.app.insert_user("Luis", "Cali").await;
    scene.app.execute(CLAIM_ALL).await;
    let path = format!("/api/videos/{}/publish", scene.video);
    let refused = scene.app.call(&luis, Method::POST, &path).await;
    assert_eq!(refused.refusal(), (403, "forbidden"));
    assert_eq!(scene.app.number(version).await, 1, "nothing was noted");

    let scene = Scene::open(Seed::HIDDEN).await;
    scene.app.execute(CLAIM_ALL).await;
    assert_eq!(scene.change(true).await.refusal(), (400, "hidden_video"));
    assert_eq!(scene.app.number(version).await, 1, "nothing was noted");
}

#[tokio::test]
async fn clip_is_tagged_before_its_row_is_public() {
    let scene = Scene::open(Seed::PRIVATE).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'killed'; END $$";
    scene.app.execute(refuse).await;
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF is_public ON videos
        FOR EACH ROW EXECUTE FUNCTION refuse()";
    scene.app.execute(refuse).await;
    let killed = scene.change(true).await;
    assert_eq!(killed.status, 503);
    scene.assert_public(&[1]).await;

    // Another process removes the tags again.
    assert_eq!(scene.app.number(UNSETTLED).await, 1);
    scene.app.execute(EXPIRE_CLAIMS).await;
    scene.settled().await;
    scene.assert_public(&[]).await;
}

#[tokio::test]
async fn changes_of_killed_processes_and_of_earlier_versions_are_settled() {
    let scene = Scene::open(Seed::PRIVATE).await;
    for (is_public, attempts) in [(true, &[1][..]), (false, &[])] {
        let change = format!("is_public = {is_public}");
        scene.app.set(scene.video, &change).await;
        scene.settled().await;
        scene.assert_public(attempts).await;
    }
    scene.app.set(scene.video, "is_public = true").await;
    scene.settled().await;
    // The account's row takes the video along, and the files stay.
    scene.app.execute("DELETE FROM users").await;
    scene.settled().await;
    scene.assert_public(&[]).await;
}

#[tokio::test]
async fn claim_of_a_killed_process_expires() {
    let scene = Scene::open(Seed::PRIVATE).await;
    scene.change(true).await.ok();
    scene.app.execute(CLAIM_ALL).await;
    scene.change(false).await.ok();
    let claimed = "SELECT count(*) FROM untagged WHERE version = 2
        AND due_at > now() + interval '30 minutes'";
    assert_eq!(scene.app.number(claimed).await, 1, "the claim stays");
    scene.assert_public(&[1]).await;
    scene.app.execute(EXPIRE_CLAIMS).await;
    scene.settled().await;
    scene.assert_public(&[]).await;
}

#[tokio::test]
async fn tags_are_those_of_the_final_row_after_racing_changes() {
    let scene = Scene::open(Seed::PRIVATE).await;
    for round in 0..6 {
        let changes = (0..4).map(|number| scene.change((number + round) % 2 == 0));
        for changed in join_all(changes).await {
            changed.ok();
        }
        scene.settled().await;
        let own = scene
            .app
            .video(&scene.owner, &scene.video.to_string())
            .await;
        let attempts = if own["is_public"] == true {
            &[1][..]
        } else {
            &[]
        };
        scene.assert_public(attempts).await;
    }
}

#[tokio::test]
async fn new_clips_and_remakes_are_tagged_before_their_rows_are_public() {
    let (app, bucket) = on_bucket().await;
    let owner = app.insert_user("Ana", "Cali").await;
    for (is_public, attempts) in [(true, &[1][..]), (false, &[])] {
        let id = app.uploaded(&owner, film().await, is_public).await;
        let video = VideoId::parse(&id).unwrap();
        app.execute(CLAIM_ALL).await;
        app.run_pending_jobs().await;
        assert_eq!(app.status(video).await, "processed");
        assert_eq!(public(&bucket, video).await, outputs(video, attempts));
    }

    let remade = "remake_after = now(), enqueued_at = NULL";
    app.execute(&format!("UPDATE videos SET {remade} WHERE is_public"))
        .await;
    let context = app.context().await;
    let claimed = remake::claim(&context).await.unwrap().unwrap();
    assert_eq!(remake::run(&context, claimed).await, "remade");
    // The outputs of the first attempt are deleted.
    let video = claimed.video;
    assert_eq!(public(&bucket, video).await, outputs(video, &[2]));
}

#[tokio::test]
async fn clip_that_is_unpublished_while_it_is_made_is_not_public() {
    let (app, bucket) = on_bucket().await;
    let owner = app.insert_user("Ana", "Cali").await;
    let id = app.uploaded(&owner, film().await, true).await;
    let video = VideoId::parse(&id).unwrap();
    // The row changes between the tags and its end.
    let unpublish = "CREATE FUNCTION unpublish() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.is_public := false; RETURN NEW; END $$";
    app.execute(unpublish).await;
    let unpublish = "CREATE TRIGGER unpublish BEFORE UPDATE OF status ON videos FOR EACH ROW
        WHEN (NEW.status = 'processed') EXECUTE FUNCTION unpublish()";
    app.execute(unpublish).await;
    app.run_pending_jobs().await;
    assert_eq!(app.status(video).await, "processed");
    eventually("the tags are settled", 60, async || {
        app.number(UNSETTLED).await == 0
    })
    .await;
    assert_eq!(public(&bucket, video).await, [""; 0]);
}

#[tokio::test]
async fn unsettled_tags_are_overdue_after_a_minute() {
    let scene = Scene::open(Seed::PRIVATE).await;
    scene.write(StorageKey::Original(scene.video)).await;
    let check = async || {
        let backends = scene.app.backends();
        let checked = fsck::check(&backends, &scene.app.work.upload).await;
        checked.unwrap().findings
    };
    assert!(check().await.is_empty());
    scene.app.execute(CLAIM_ALL).await;
    assert!(check().await.is_empty());
    let late = "UPDATE untagged SET noted_at = now() - interval '2 minutes'";
    scene.app.execute(late).await;
    let video = scene.video;
    assert_eq!(check().await, [fsck::Finding::Overdue { video }]);
}

#[tokio::test]
async fn service_without_tags_leaves_nothing_unsettled() {
    let bucket = Bucket::fresh().await;
    let flags = bucket.flags();
    let flags = flags.each_ref().map(String::as_str);
    for app in [
        TestApp::spawn_with(&flags, &flags).await,
        TestApp::spawn().await,
    ] {
        let owner = app.insert_user("Ana", "Cali").await;
        let id = app.add(&owner, Seed::PRIVATE).await;
        bucket.plant(&format!("processed/{id}/1.mp4"));
        let path = format!("/api/videos/{id}/publish");
        app.call(&owner, Method::POST, &path).await.ok();
        assert_eq!(app.number(UNSETTLED).await, 0);
    }
}

/// Responds as a bucket with one clip of `video`.
fn bucket_of(video: VideoId, operation: &str) -> ScriptedResponse {
    match operation {
        "ListObjectsV2" => ScriptedResponse::ok(format!(
            "<ListBucketResult><Contents><Key>processed/{video}/1.mp4</Key></Contents>\
             </ListBucketResult>"
        )),
        // The markers of the installation are not there yet.
        "GetObject" => ScriptedResponse::s3_error(404, "NoSuchKey"),
        _ => ScriptedResponse::ok(""),
    }
}

/// Returns an app with the storage of a script, and a private video in it.
async fn scripted(
    answer: impl Fn(VideoId, &str) -> ScriptedResponse + Send + Sync + 'static,
) -> (TestApp, Script, Player, VideoId) {
    let mut app = TestApp::spawn().await;
    // So that only the test itself settles tags.
    app.shutdown.force();
    let owner = app.insert_user("Ana", "Cali").await;
    let id = app.add(&owner, Seed::PRIVATE).await;
    let video = VideoId::parse(&id).unwrap();
    let script = Script::start(move |operation, _| answer(video, operation)).await;
    let settings = anb::config::storage::Settings {
        storage_type: anb::config::storage::StorageType::S3,
        s3_bucket_name: Some("anb-media".to_owned()),
        s3_endpoint_url: Some(script.url.clone()),
        ..anb::config::storage::Settings::local_below(std::path::Path::new("unused"))
    };
    let storage = Storage::connect(&settings, &aws::config().await).await;
    app.storage = storage.unwrap();
    (app, script, owner, video)
}

async fn publish(app: &TestApp, owner: &Player, video: VideoId) {
    let user = app.user_id(owner).await;
    let change = anb::videos::Change {
        title: None,
        is_public: Some(true),
    };
    let changed = anb::videos::change(&app.backends(), user, video, &change).await;
    let anb::videos::ChangeOutcome::Changed(changed) = changed.unwrap() else {
        panic!("not published");
    };
    assert!(changed.is_public);
}

#[tokio::test]
async fn role_without_the_permission_does_not_keep_players_from_publishing() {
    let (app, script, owner, video) = scripted(|video, operation| match operation {
        "PutObjectTagging" => ScriptedResponse::s3_error(403, "AccessDenied"),
        _ => bucket_of(video, operation),
    })
    .await;
    publish(&app, &owner, video).await;
    assert_eq!(script.asked("PutObjectTagging").len(), 1);
    // It is due again when the claim expires.
    let due =
        "SELECT count(*) FROM untagged WHERE due_at BETWEEN now() AND now() + interval '15 s'";
    assert_eq!(app.number(due).await, 1);
    app.execute(EXPIRE_CLAIMS).await;
    tagging::settle(&app.backends(), video, None).await;
    assert_eq!(script.asked("PutObjectTagging").len(), 2);
    assert_eq!(app.number(due).await, 1);
}

#[tokio::test]
async fn tags_of_a_lost_claim_are_settled_again() {
    let (app, script, owner, video) = scripted(|video, operation| {
        if operation == "DeleteObjectTagging" {
            // Time for another process to take over.
            std::thread::sleep(Duration::from_secs(2));
        }
        bucket_of(video, operation)
    })
    .await;
    app.execute(CLAIM_ALL).await;
    app.execute(EXPIRE_CLAIMS).await;
    let backends = app.backends();
    let settling = tokio::spawn(async move { tagging::settle(&backends, video, None).await });
    eventually("the tags are being removed", 60, async || {
        !script.asked("DeleteObjectTagging").is_empty()
    })
    .await;
    // It sets the tags of the public video, which the delayed call may remove after that.
    let take_over = "UPDATE untagged SET due_at = due_at + interval '1 minute'";
    app.execute(take_over).await;
    publish(&app, &owner, video).await;
    let version = "SELECT version FROM untagged";
    let before = app.number(version).await;
    settling.await.unwrap();
    assert_eq!(app.number(version).await, before + 1);
}
