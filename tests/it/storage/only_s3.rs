//! Cases that only S3 has, as far as its emulator reproduces them.

use std::time::{Duration, SystemTime};

use anb::{
    config::storage::Settings,
    ids::VideoId,
    storage::{MediaUrls, PresignedUrl, Signer, Storage, StorageKey},
};
use aws_sdk_s3::{Client, config::Builder};
use reqwest::StatusCode;
use tempfile::TempDir;

use super::{
    Mount, PART_BYTES, content, keys,
    place::TestStorage,
    resuming::{Record, write},
};
use crate::support::{aws, free_port};

#[tokio::test]
async fn object_has_its_media_type() {
    let place = TestStorage::s3().await;
    let video = VideoId::generate();
    for bytes in [1, PART_BYTES + 1] {
        for key in keys(video) {
            place.write(key, vec![0; bytes]).await;
            let head = client(&place.settings).await.head_object();
            let bucket = place.settings.s3_bucket_name.as_ref().unwrap();
            let head = head.bucket(bucket).key(key.to_string()).send().await;
            assert_eq!(head.unwrap().content_type(), Some(key.content_type()));
        }
    }
}

#[tokio::test]
async fn presigned_url_serves_the_file_and_ranges_of_it() {
    let place = TestStorage::s3().await;
    let bytes = content(PART_BYTES + 1, 1);
    for key in keys(VideoId::generate()) {
        place.write(key, &bytes).await;
        let address = presigned(&place, key).await.url;
        let whole = reqwest::get(&address).await.unwrap();
        assert_eq!(whole.status(), StatusCode::OK);
        assert_eq!(whole.headers()["content-type"], key.content_type());
        assert!(whole.bytes().await.unwrap() == bytes);
        let client = reqwest::Client::new();
        let part = client
            .get(&address)
            .header("range", "bytes=5242870-5242879");
        let part = part.send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap(), bytes[5_242_870..=5_242_879]);
    }
}

#[tokio::test]
async fn presigned_url_is_stable_within_an_hour_and_expires_after_two() {
    let place = TestStorage::s3().await;
    let key = StorageKey::Poster(VideoId::generate(), 1);
    let first = presigned(&place, key).await;
    let (second, third) = (presigned(&place, key).await, presigned(&place, key).await);
    // The hour may end between two of the calls, but not between all three.
    assert!(first == second || second == third, "{first:?} {second:?}");
    let url = third.url;
    assert!(url.contains("X-Amz-Expires=7200"), "{url}");
    // The lifetime starts with the current hour.
    let (_, date) = url.split_once("X-Amz-Date=").unwrap();
    assert_eq!(&date[11..16], "0000Z", "{url}");
    let left = third.expires.duration_since(SystemTime::now()).unwrap();
    let hour = Duration::from_hours(1);
    assert!(left > hour && left <= 2 * hour, "{left:?}");
}

#[tokio::test]
async fn modified_presigned_url_is_rejected() {
    let place = TestStorage::s3().await;
    let (key, other) = (
        StorageKey::Clip(VideoId::generate(), 1),
        StorageKey::Clip(VideoId::generate(), 1),
    );
    place.write(key, "clip").await;
    place.write(other, "clip").await;
    let address = presigned(&place, key).await.url;
    let (_, signature) = address.split_once("X-Amz-Signature=").unwrap();
    for (part, changed) in [
        (key.to_string(), other.to_string()),
        (
            "X-Amz-Expires=7200".to_owned(),
            "X-Amz-Expires=7201".to_owned(),
        ),
        (signature.to_owned(), signature.chars().rev().collect()),
        ("video%2Fmp4".to_owned(), "text%2Fhtml".to_owned()),
    ] {
        let changed = address.replace(&part, &changed);
        assert_ne!(changed, address);
        let answer = reqwest::get(&changed).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{changed}");
    }
    let bare = address.split_once('?').unwrap().0;
    let answer = reqwest::get(bare).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn outputs_have_cdn_urls_but_originals_do_not() {
    let bucket = aws::Bucket::fresh().await;
    let settings = Settings {
        media_base_url: Some("https://cdn.example/media".to_owned()),
        ..bucket.settings()
    };
    let storage = connect(&settings).await.unwrap();
    let addresses = addresses(&storage);
    let video = VideoId::generate();
    let [original, clip, poster, light, thumb] = keys(video);
    for (key, file) in [
        (clip, "1.mp4"),
        (poster, "1.jpg"),
        (light, "1-l.mp4"),
        (thumb, "1-s.jpg"),
    ] {
        let expected = format!("https://cdn.example/media/{video}/{file}");
        assert_eq!(addresses.public(key), expected);
    }
    // The other URLs lead to the API, which redirects to the bucket.
    assert_eq!(addresses.public(original), format!("/media/{original}"));
    for key in keys(video) {
        let signed = addresses.signed(key);
        assert!(signed.starts_with(&format!("/media/{key}?")), "{signed}");
    }
    let origins = ["https://cdn.example".to_owned(), bucket.url.clone()];
    assert_eq!(addresses.origins().await.unwrap(), origins);
}

#[tokio::test]
async fn prefixes_are_configurable() {
    let bucket = aws::Bucket::fresh().await;
    let settings = Settings {
        s3_upload_prefix: "in/originals".to_owned(),
        s3_processed_prefix: "out".to_owned(),
        ..bucket.settings()
    };
    let storage = connect(&settings).await.unwrap();
    let video = VideoId::generate();
    for key in keys(video) {
        let mut upload = storage.create(key).await.unwrap();
        upload.write("x".into()).await.unwrap();
        upload.finish().await.unwrap();
    }
    let names = [
        format!("in/originals/{video}.mp4"),
        format!("out/{video}/1-l.mp4"),
        format!("out/{video}/1-s.jpg"),
        format!("out/{video}/1.jpg"),
        format!("out/{video}/1.mp4"),
    ];
    assert_eq!(bucket.objects(), names);
    storage.delete_video(video).await.unwrap();
    assert_eq!(bucket.objects(), [""; 0]);
}

#[tokio::test]
async fn missing_bucket_prevents_the_start() {
    let bucket = aws::Bucket::fresh().await;
    let settings = Settings {
        s3_bucket_name: Some("nowhere".to_owned()),
        ..bucket.settings()
    };
    let error = refused(connect(&settings).await);
    assert_eq!(error, "S3_BUCKET_NAME=nowhere: there is no such bucket");
}

#[tokio::test]
async fn wrong_credentials_prevent_the_start() {
    let bucket = aws::Bucket::fresh().await;
    let config = aws::config_with("wrong").await;
    let error = refused(Storage::connect(&bucket.settings(), &config).await);
    assert!(
        error.starts_with("S3_BUCKET_NAME=anb-media: access denied"),
        "{error}"
    );
}

#[tokio::test]
async fn unreachable_endpoint_prevents_the_start() {
    let bucket = aws::Bucket::fresh().await;
    let settings = Settings {
        s3_endpoint_url: Some(format!("http://127.0.0.1:{}", free_port())),
        ..bucket.settings()
    };
    let error = refused(connect(&settings).await);
    assert!(error.starts_with("S3_BUCKET_NAME=anb-media: "), "{error}");
}

#[tokio::test]
async fn full_bucket_is_an_error_and_keeps_no_partial_file() {
    let disk = TempDir::new().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=9m") else {
        return;
    };
    let bucket = aws::Bucket::on(TempDir::new_in(disk.path()).unwrap()).await;
    let storage = connect(&bucket.settings()).await.unwrap();
    let key = StorageKey::Original(VideoId::generate());
    let mut upload = storage.create(key).await.unwrap();
    let written = async {
        upload.write(vec![1; 2 * PART_BYTES + 1].into()).await?;
        upload.finish().await
    };
    let error = format!("{:#}", written.await.unwrap_err());
    assert!(error.starts_with(&format!("store {key}: ")), "{error}");
    assert_eq!(bucket.objects(), [""; 0]);
    // The aborted parts free their space.
    crate::support::eventually("its parts are removed", 60, async || {
        bucket.uploads().is_empty()
    })
    .await;
    let mut upload = storage.create(key).await.unwrap();
    upload.write(vec![1; 1 << 20].into()).await.unwrap();
    upload.finish().await.unwrap();
}

#[tokio::test]
async fn bucket_outage_is_an_error() {
    let place = TestStorage::s3().await;
    let key = StorageKey::Original(VideoId::generate());
    let mut upload = place.storage.create(key).await.unwrap();
    upload.write(vec![1; PART_BYTES + 1].into()).await.unwrap();
    let storage = place.storage.clone();
    drop(place);
    let (finished, ready) = tokio::join!(upload.finish(), storage.ready());
    finished.unwrap_err();
    ready.unwrap_err();
}

async fn connect(settings: &Settings) -> anyhow::Result<Storage> {
    Storage::connect(settings, &aws::config().await).await
}

/// Returns the error, which must be one line.
fn refused(connected: anyhow::Result<Storage>) -> String {
    let Err(error) = connected else {
        panic!("connecting must fail");
    };
    let error = format!("{error:#}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

fn addresses(storage: &Storage) -> MediaUrls {
    MediaUrls::new(storage, Signer::new(&"secret".into(), None), None)
}

async fn presigned(place: &TestStorage, key: StorageKey) -> PresignedUrl {
    let presigned = addresses(&place.storage).presigned(key).await.unwrap();
    presigned.unwrap()
}

async fn client(settings: &Settings) -> Client {
    let url = settings.s3_endpoint_url.clone().unwrap();
    let config = Builder::from(&aws::config().await).endpoint_url(url);
    Client::from_conf(config.force_path_style(true).build())
}

#[tokio::test]
async fn late_part_of_a_fenced_writer_changes_nothing() {
    let place = TestStorage::s3().await;
    let bytes = content(13_000_000, 2);
    let mut record = Record::new(bytes.len());
    let (mut first, _) = record.resume(&place).await.unwrap();
    write(&mut first, &bytes[..6_000_000]).await;
    record.progress = first.checkpoint().await.unwrap();

    // The first writer does not know that a second one took over.
    let (mut second, _) = record.resume(&place).await.unwrap();
    write(&mut second, &bytes[6_000_000..12_000_000]).await;
    let progress = second.checkpoint().await.unwrap();
    write(&mut first, &bytes[6_000_000..12_500_000]).await;
    first.checkpoint().await.unwrap();
    assert_eq!(progress.received, 12_000_000);
    write(&mut second, &bytes[12_000_000..]).await;
    second.finish().await.unwrap();
    assert!(first.finish().await.is_err());
    place.holds(record.key, &bytes).await;
}
