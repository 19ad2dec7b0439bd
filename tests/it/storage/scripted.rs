//! Responses of S3 that no emulator gives, and the exact requests to it.

use std::path::Path;

use anb::{
    config::storage::{Settings, StorageType},
    ids::VideoId,
    storage::{MediaUrls, Missing, Signer, Storage, StorageKey},
};

use super::{
    PART_BYTES,
    resuming::{self, Record},
};
use crate::support::{
    aws::{self, Script, ScriptedResponse},
    eventually,
};

#[tokio::test]
async fn throttling_and_internal_failures_are_retried() {
    let script = Script::start(|operation, earlier| match (operation, earlier) {
        ("PutObject" | "UploadPart", 0) => ScriptedResponse::s3_error(503, "SlowDown"),
        ("CreateMultipartUpload" | "CompleteMultipartUpload", 0) => {
            ScriptedResponse::s3_error(500, "InternalError")
        }
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    write(&storage, 1).await.unwrap();
    write(&storage, PART_BYTES).await.unwrap();
    for operation in [
        "PutObject",
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
    ] {
        assert_eq!(script.asked(operation).len(), 2, "{operation}");
    }
    let parts = script.asked("UploadPart");
    assert_eq!(parts[0].path, parts[1].path);
    assert_eq!(parts[0].body.len(), parts[1].body.len());
}

#[tokio::test]
async fn rejected_part_aborts_the_upload() {
    let script = Script::start(|operation, _| match operation {
        "UploadPart" => ScriptedResponse::s3_error(403, "AccessDenied"),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    let error = write(&storage, 2 * PART_BYTES + 1).await.unwrap_err();
    assert!(format!("{error:#}").contains("AccessDenied"), "{error:#}");
    until_aborted(&script).await;
    assert!(script.asked("CompleteMultipartUpload").is_empty());
}

/// S3 sends the status before it knows the result.
#[tokio::test]
async fn error_in_the_body_of_a_completion_is_an_error() {
    let script = Script::start(|operation, _| match operation {
        "CompleteMultipartUpload" => ScriptedResponse::s3_error(200, "InvalidPart"),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    let error = write(&storage, PART_BYTES + 1).await.unwrap_err();
    assert!(format!("{error:#}").contains("InvalidPart"), "{error:#}");
    until_aborted(&script).await;
}

#[tokio::test]
async fn dropped_upload_is_aborted() {
    let script = Script::start(|operation, _| good(operation)).await;
    let storage = connect(&script).await.unwrap();
    let mut upload = storage.create(key()).await.unwrap();
    upload.write(vec![1; PART_BYTES + 1].into()).await.unwrap();
    drop(upload);
    until_aborted(&script).await;
    assert!(script.asked("CompleteMultipartUpload").is_empty());
}

#[tokio::test]
async fn abort_completes_before_it_returns() {
    let script = Script::start(|operation, _| good(operation)).await;
    let storage = connect(&script).await.unwrap();
    let mut upload = storage.create(key()).await.unwrap();
    upload.write(vec![1; PART_BYTES + 1].into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(script.asked("AbortMultipartUpload").len(), 1);
}

#[tokio::test]
async fn aborting_a_missing_upload_succeeds() {
    let script = Script::start(|operation, _| match operation {
        "AbortMultipartUpload" => ScriptedResponse::s3_error(404, "NoSuchUpload"),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    let mut upload = storage.create(key()).await.unwrap();
    upload.write(vec![1; PART_BYTES].into()).await.unwrap();
    upload.abort().await.unwrap();
}

#[tokio::test]
async fn parts_are_five_mebibytes_except_the_last() {
    let script = Script::start(|operation, _| good(operation)).await;
    let storage = connect(&script).await.unwrap();
    write(&storage, 2 * PART_BYTES + 1).await.unwrap();
    let mut parts: Vec<_> = script.asked("UploadPart");
    parts.sort_by(|one, other| one.path.cmp(&other.path));
    // Checksums may follow the content.
    let sizes = parts.iter().map(|part| part.body.len());
    for (size, expected) in sizes.zip([PART_BYTES, PART_BYTES, 1]) {
        assert!((expected..expected + 1000).contains(&size), "{size}");
    }
    assert_eq!(parts.len(), 3);
    let completed = String::from_utf8(script.asked("CompleteMultipartUpload")[0].body.clone());
    let completed = completed.unwrap();
    assert_eq!(completed.matches("<PartNumber>").count(), 3, "{completed}");
    let places = [1, 2, 3].map(|part| completed.find(&format!("<PartNumber>{part}<")).unwrap());
    assert!(places.is_sorted(), "{completed}");
}

/// S3 rejects parts with a checksum that their upload does not expect, and requires them at the end.
#[tokio::test]
async fn upload_announces_the_checksum_of_its_parts() {
    const CRC32: &str = "x-amz-checksum-crc32";
    let script = Script::start(|operation, _| match operation {
        "UploadPart" => ScriptedResponse::ok("").header(CRC32, "AAAAAA=="),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    write(&storage, PART_BYTES + 1).await.unwrap();
    let begun = &script.asked("CreateMultipartUpload")[0];
    assert_eq!(begun.headers["x-amz-checksum-algorithm"], "CRC32");
    let parts = script.asked("UploadPart");
    assert_eq!(parts.len(), 2);
    for part in parts {
        let headers = &part.headers;
        let is_trailer = headers
            .get("x-amz-trailer")
            .is_some_and(|name| name == CRC32);
        assert!(headers.contains_key(CRC32) || is_trailer, "{headers:?}");
    }
    let completed = &script.asked("CompleteMultipartUpload")[0].body;
    let completed = String::from_utf8_lossy(completed);
    let sums = completed.matches("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>");
    assert_eq!(sums.count(), 2, "{completed}");
}

#[tokio::test]
async fn file_smaller_than_a_part_needs_one_call() {
    let script = Script::start(|operation, _| good(operation)).await;
    let storage = connect(&script).await.unwrap();
    write(&storage, PART_BYTES - 1).await.unwrap();
    assert_eq!(script.asked("PutObject").len(), 1);
    assert!(script.asked("CreateMultipartUpload").is_empty());
}

#[tokio::test]
async fn missing_permission_prevents_the_start() {
    let script = Script::start(|_, _| ScriptedResponse::status(403, "")).await;
    let error = refused(&script).await;
    assert_eq!(
        error,
        "S3_BUCKET_NAME=anb-media: access denied: it needs s3:ListBucket on it"
    );
}

#[tokio::test]
async fn bucket_in_another_region_prevents_the_start_and_is_reported() {
    let elsewhere = || ScriptedResponse::status(301, "").header("x-amz-bucket-region", "eu-west-1");
    let script = Script::start(move |_, _| elsewhere()).await;
    let error = refused(&script).await;
    assert!(
        error.contains("the bucket is in eu-west-1: set AWS_REGION"),
        "{error}"
    );
}

#[tokio::test]
async fn failed_deletion_of_an_object_is_an_error() {
    let script = Script::start(|operation, _| match operation {
        "ListObjectVersions" => ScriptedResponse::ok(
            "<ListVersionsResult><Version><Key>uploads/x</Key><VersionId>1</VersionId></Version>\
             </ListVersionsResult>",
        ),
        "DeleteObjects" => ScriptedResponse::ok(
            "<DeleteResult><Error><Key>uploads/x</Key><Code>AccessDenied</Code>\
             <Message>No.</Message></Error></DeleteResult>",
        ),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    let error = storage.delete_video(VideoId::generate()).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("AccessDenied: No."),
        "{error:#}"
    );
}

#[tokio::test]
async fn resumed_object_whose_parts_differ_is_lost() {
    let script = Script::start(|operation, _| match operation {
        "CompleteMultipartUpload" => ScriptedResponse::s3_error(400, "InvalidPart"),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    let mut record = Record::new(PART_BYTES + 1);
    let progress = record.progress.clone();
    let length = u64::try_from(record.length).unwrap();
    let file = storage.resume(record.key, record.writer(), progress, length);
    let mut file = file.await.unwrap();
    resuming::write(&mut file, &vec![7; record.length]).await;
    let error = file.finish().await.unwrap_err();
    assert!(error.is::<Missing>(), "{error:#}");
}

#[tokio::test]
async fn versions_of_all_pages_are_deleted() {
    let script = Script::start(|operation, earlier| match (operation, earlier) {
        // Two pages for the original, then one each for its tails and the outputs.
        ("ListObjectVersions", 0) => ScriptedResponse::ok(
            "<ListVersionsResult><IsTruncated>true</IsTruncated>\
             <NextKeyMarker>key</NextKeyMarker>\
             <NextVersionIdMarker>version</NextVersionIdMarker></ListVersionsResult>",
        ),
        ("ListObjectVersions", 3) => ScriptedResponse::ok(
            "<ListVersionsResult>\
             <Version><Key>processed/x</Key><VersionId>1</VersionId></Version>\
             <DeleteMarker><Key>processed/x</Key><VersionId>2</VersionId></DeleteMarker>\
             </ListVersionsResult>",
        ),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    storage.delete_video(VideoId::generate()).await.unwrap();
    let lists = script.asked("ListObjectVersions");
    assert_eq!(lists.len(), 4);
    for marker in ["key-marker=key", "version-id-marker=version"] {
        assert!(lists[1].path.contains(marker), "{}", lists[1].path);
        assert!(!lists[2].path.contains(marker), "{}", lists[2].path);
    }
    let asked = script.asked("DeleteObjects");
    assert_eq!(asked.len(), 1);
    let deleted = String::from_utf8_lossy(&asked[0].body).into_owned();
    for version in ["<VersionId>1</VersionId>", "<VersionId>2</VersionId>"] {
        assert!(deleted.contains(version), "{deleted}");
    }
}

#[tokio::test]
async fn objects_are_listed_where_versions_and_uploads_are_unsupported() {
    let script = Script::start(|operation, _| match operation {
        "ListObjectVersions" | "ListMultipartUploads" => {
            ScriptedResponse::s3_error(501, "NotImplemented")
        }
        "ListObjectsV2" => ScriptedResponse::ok(
            "<ListBucketResult><Contents><Key>uploads/x</Key></Contents></ListBucketResult>",
        ),
        _ => good(operation),
    })
    .await;
    let storage = connect(&script).await.unwrap();
    storage.delete_video(VideoId::generate()).await.unwrap();
    let deleted = script.asked("DeleteObjects");
    let deleted = String::from_utf8_lossy(&deleted[0].body).into_owned();
    assert!(deleted.contains("<Key>uploads/x</Key>"), "{deleted}");
    assert!(!deleted.contains("VersionId"), "{deleted}");
}

#[tokio::test]
async fn urls_are_presigned_without_requests() {
    let script = Script::start(|operation, _| good(operation)).await;
    let storage = connect(&script).await.unwrap();
    let asked = script.count();
    let addresses = MediaUrls::new(&storage, Signer::new(&"secret".into(), None), None);
    addresses.presigned(key()).await.unwrap();
    assert_eq!(script.count(), asked);
}

async fn connect(script: &Script) -> anyhow::Result<Storage> {
    let settings = Settings {
        storage_type: StorageType::S3,
        s3_bucket_name: Some("anb-media".to_owned()),
        s3_endpoint_url: Some(script.url.clone()),
        ..Settings::local_below(Path::new("unused"))
    };
    Storage::connect(&settings, &aws::config().await).await
}

/// Returns the error, which must be one line.
async fn refused(script: &Script) -> String {
    let Err(error) = connect(script).await else {
        panic!("connecting must fail");
    };
    let error = format!("{error:#}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

fn key() -> StorageKey {
    StorageKey::Original(VideoId::generate())
}

async fn write(storage: &Storage, bytes: usize) -> anyhow::Result<()> {
    let mut upload = storage.create(key()).await?;
    upload.write(vec![1; bytes].into()).await?;
    upload.finish().await
}

async fn until_aborted(script: &Script) {
    eventually("the upload is aborted", 60, async || {
        !script.asked("AbortMultipartUpload").is_empty()
    })
    .await;
}

/// Responds like S3 without failures and with an empty bucket.
fn good(operation: &str) -> ScriptedResponse {
    match operation {
        "CreateMultipartUpload" => ScriptedResponse::ok(
            "<InitiateMultipartUploadResult><UploadId>upload</UploadId>\
             </InitiateMultipartUploadResult>",
        ),
        "CompleteMultipartUpload" => ScriptedResponse::ok(
            "<CompleteMultipartUploadResult><ETag>\"etag\"</ETag></CompleteMultipartUploadResult>",
        ),
        "UploadPart" => ScriptedResponse::ok("").header("etag", "\"etag\""),
        "ListObjectVersions" => ScriptedResponse::ok("<ListVersionsResult></ListVersionsResult>"),
        "ListMultipartUploads" => {
            ScriptedResponse::ok("<ListMultipartUploadsResult></ListMultipartUploadsResult>")
        }
        "ListObjectsV2" => ScriptedResponse::ok("<ListBucketResult></ListBucketResult>"),
        "DeleteObjects" => ScriptedResponse::ok("<DeleteResult></DeleteResult>"),
        "AbortMultipartUpload" => ScriptedResponse::status(204, ""),
        _ => ScriptedResponse::ok(""),
    }
}
