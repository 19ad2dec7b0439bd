//! Media in a bucket: the API redirects to presigned URLs. Those die with the credentials of the
//! instance's role; the API's own URLs live as long as they say.

use std::time::{Duration, SystemTime};

use anb::aws::provider_config;
use aws_config::{
    SdkConfig,
    imds::{self, credentials::ImdsCredentialsProvider},
};
use aws_sdk_sqs::config::SharedCredentialsProvider;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use reqwest::{Method, redirect::Policy};
use serde_json::json;
use url::Url;

use crate::support::{
    Player, Response, Seed, TestApp,
    aws::{self, Bucket, KEY, Script, ScriptedResponse},
    eventually,
};

/// An API whose files are in a bucket, and a client that does not follow redirects.
struct Scene {
    app: TestApp,
    owner: Player,
    video: String,
}

impl Scene {
    async fn open(config: SdkConfig, seed: Seed<'_>) -> Self {
        let bucket = Bucket::fresh().await;
        let flags = bucket.flags();
        let flags = flags.each_ref().map(String::as_str);
        let mut app = TestApp::spawn_as(config, &flags, &flags).await;
        app.bucket = Some(bucket);
        app.client = reqwest::Client::builder()
            .redirect(Policy::none())
            .build()
            .unwrap();
        let owner = app.insert_user("Ana", "Cali").await;
        let video = app.add(&owner, seed).await;
        app.plant(&format!("processed/{video}/1.mp4"));
        Self { app, owner, video }
    }

    async fn clip(&self) -> String {
        let body = self.app.video(&self.owner, &self.video).await;
        body["processed_url"].as_str().unwrap().to_owned()
    }

    /// Follows an address of the API to the bucket. Returns the redirect's target and maximum age.
    async fn follow(&self, address: &str) -> (String, u64) {
        let answer = self.app.get(address).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        let caching = answer.header("cache-control");
        let age = caching.strip_prefix("private, max-age=").unwrap();
        (answer.header("location"), age.parse().unwrap())
    }
}

/// Returns what a presigned URL leads to.
async fn read(url: &str) -> (u16, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Returns when a presigned URL expires, as it says itself.
fn expiry(url: &str) -> DateTime<Utc> {
    let url = Url::parse(url).unwrap();
    let value = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let start = NaiveDateTime::parse_from_str(&value("X-Amz-Date"), "%Y%m%dT%H%M%SZ").unwrap();
    let lifetime = value("X-Amz-Expires").parse().unwrap();
    start.and_utc() + chrono::TimeDelta::seconds(lifetime)
}

/// Starts a metadata service whose role always has new credentials, which live for `lifetime`.
async fn metadata(lifetime: Duration) -> Script {
    Script::start(move |operation, earlier| match operation {
        "api/token" => {
            ScriptedResponse::ok("token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        }
        "meta-data/iam/security-credentials/" => ScriptedResponse::ok("anb"),
        "meta-data/iam/security-credentials/anb" => {
            let expiration = DateTime::<Utc>::from(SystemTime::now() + lifetime);
            let credentials = json!({
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": KEY,
                "SecretAccessKey": KEY,
                "Token": format!("session-{earlier}"),
                "Expiration": expiration.to_rfc3339_opts(SecondsFormat::Secs, true),
            });
            ScriptedResponse::ok(credentials.to_string())
        }
        _ => ScriptedResponse::status(404, ""),
    })
    .await
}

/// Returns the program's SDK configuration on an instance with this metadata service.
async fn on_instance(metadata: &Script) -> SdkConfig {
    let config = aws::config().await;
    let client = imds::Client::builder().endpoint(&metadata.url).unwrap();
    let client = client.configure(&provider_config(&config)).build();
    let provider = ImdsCredentialsProvider::builder()
        .imds_client(client)
        .build();
    let provider = SharedCredentialsProvider::new(provider);
    config.into_builder().credentials_provider(provider).build()
}

#[tokio::test]
async fn address_on_a_page_outlives_the_credentials() {
    let lifetime = Duration::from_secs(6);
    let metadata = metadata(lifetime).await;
    let scene = Scene::open(on_instance(&metadata).await, Seed::PRIVATE).await;
    let clip = scene.clip().await;
    let (first, age) = scene.follow(&clip).await;
    let dies_at = expiry(&first);
    assert!(dies_at <= Utc::now() + lifetime, "{first}");
    assert!(age <= lifetime.as_secs(), "{age}");
    assert_eq!(read(&first).await, (200, "planted".to_owned()));

    eventually("the presigned URL is dead", 60, async || {
        read(&first).await.0 == 403
    })
    .await;
    assert!(Utc::now() >= dies_at);
    let (second, _) = scene.follow(&clip).await;
    assert!(expiry(&second) > dies_at);
    assert_eq!(read(&second).await, (200, "planted".to_owned()));
}

#[tokio::test]
async fn credentials_that_outlive_every_url_are_requested_once() {
    let metadata = metadata(Duration::from_hours(6)).await;
    let scene = Scene::open(on_instance(&metadata).await, Seed::PRIVATE).await;
    let asked = metadata.count();
    let clip = scene.clip().await;
    let (url, age) = scene.follow(&clip).await;
    let left = expiry(&url) - Utc::now();
    assert!(left > chrono::TimeDelta::hours(1), "{left}");
    assert_eq!(age, 60);
    for _ in 0..20 {
        scene.follow(&clip).await;
    }
    assert_eq!(metadata.count(), asked);
}

#[tokio::test]
async fn clip_in_a_bucket_is_refused_as_soon_as_it_is_not_public() {
    let scene = Scene::open(aws::config().await, Seed::PUBLIC).await;
    let clip = scene.clip().await;
    assert_eq!(clip, format!("/media/processed/{}/1.mp4", scene.video));
    let (url, _) = scene.follow(&clip).await;
    assert_eq!(read(&url).await, (200, "planted".to_owned()));

    let path = format!("/api/videos/{}", scene.video);
    let change = scene.app.as_player(&scene.owner, Method::PATCH, &path);
    let change = change.json(&json!({"is_public": false}));
    Response::of(change).await.ok();
    let refused = scene.app.get(&clip).await;
    assert_eq!(refused.refusal(), (403, "media_not_signed"));

    // Its owner still reads it, and originals are signed in the same way.
    let signed = scene.clip().await;
    scene.follow(&signed).await;
    let own = scene.app.video(&scene.owner, &scene.video).await;
    scene.follow(own["original_url"].as_str().unwrap()).await;
}
