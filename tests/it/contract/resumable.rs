//! Rows for uploads that can be resumed, and their headers as browsers see them.

use std::collections::BTreeSet;

use anb::http::Code;
use reqwest::Method;

use super::{
    case::{
        Again, Body, Case,
        Expected::{List, Nothing, Object},
        Upload, Video, Who,
    },
    document::DOCUMENT,
    world::Setting,
};
use crate::support::{Response, Seed, TestApp, mp4};

pub const UPLOADS: &str = "/api/uploads";
pub const OPEN_UPLOAD: &str = "/api/uploads/{video_id}";

/// Length of the uploads of most rows (bytes).
pub const LENGTH: u32 = 5000;

/// The title “Mi mejor jugada”, not public, the file `jugada.mp4` and the fingerprint `huella`.
pub const METADATA: &str = "title TWkgbWVqb3IganVnYWRh,is_public ZmFsc2U=,filename \
                            anVnYWRhLm1wNA==,fingerprint aHVlbGxh";

/// Length of an upload whose rest is larger than a body with a checksum may be (bytes).
const LARGE: u32 = 20 * 1024 * 1024;

/// Maximum size of a body with a checksum (bytes).
const MAX_CHECKED: usize = 16 * 1024 * 1024;

const BYTES: &str = "application/offset+octet-stream";

const OPEN: Video = Video::Upload(Upload::Open(LENGTH));

/// Checksums that match no body here.
const WRONG_SHA256: &str = "sha256 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const WRONG_SHA1: &str = "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn options(route: &'static str) -> Case {
    Case::new(Method::OPTIONS, route, 204, Nothing).header("tus-resumable", "1.0.0")
}

/// A request of the protocol about an open upload of its sender.
fn request(method: Method, status: u16) -> Case {
    Case::new(method, OPEN_UPLOAD, status, Nothing)
        .by(Who::Uploader)
        .about(OPEN)
        .header("tus-resumable", "1.0.0")
}

fn create() -> Case {
    Case::new(Method::POST, UPLOADS, 201, Object)
        .by(Who::Uploader)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", LENGTH.to_string())
        .header("upload-metadata", METADATA)
}

/// A part of an upload, from its first byte on.
fn append(bytes: usize) -> Case {
    let text = String::from_utf8(mp4(bytes)).unwrap();
    request(Method::PATCH, 204)
        .header("upload-offset", "0")
        .sends(Body::Raw(BYTES, text))
}

/// Returns one successful row per endpoint.
pub fn successes() -> Vec<Case> {
    vec![
        options(UPLOADS),
        Case::new(Method::GET, UPLOADS, 200, List)
            .by(Who::Uploader)
            .about(OPEN)
            .header("tus-resumable", "1.0.0"),
        create(),
        options(OPEN_UPLOAD),
        request(Method::HEAD, 200),
        append(1000),
        request(Method::DELETE, 204),
    ]
}

/// Returns rows for further valid inputs.
pub fn variants() -> Vec<Case> {
    let finished = Video::Fresh(Seed::PRIVATE);
    let key = |key: String| create().header("idempotency-key", key);
    vec![
        Case::new(Method::GET, UPLOADS, 200, List)
            .by(Who::Uploader)
            .about(OPEN),
        options(UPLOADS).without("tus-resumable"),
        options(OPEN_UPLOAD)
            .about(Video::Malformed)
            .without("tus-resumable"),
        create().header("upload-metadata", "title TWkgbWVqb3IganVnYWRh"),
        create().header(
            "upload-metadata",
            "relativePath bnVsbA==,title TWkgbWVqb3IganVnYWRh,empty",
        ),
        key("!".to_owned()),
        key("~".repeat(255)),
        create().again(Again::With("upload-length", "5000")),
        key("the same".replace(' ', "-")).again(Again::With("upload-length", "5000")),
        request(Method::HEAD, 200).by(Who::Owner).about(finished),
        append(5000),
        append(1),
        append(0),
    ]
}

/// Returns the rows for the errors that are specific to these endpoints.
pub fn refusals() -> Vec<Case> {
    [versions(), creations(), appends(), addresses()].concat()
}

fn versions() -> Vec<Case> {
    let mut cases = Vec::new();
    for case in successes() {
        if [Method::GET, Method::OPTIONS].contains(&case.method) {
            continue;
        }
        // Checked before the token.
        let refused = case
            .by(Who::Nobody)
            .refuses(412, Code::UnsupportedTusVersion);
        cases.push(refused.clone().without("tus-resumable"));
        cases.push(refused.header("tus-resumable", "0.2.2"));
    }
    cases
}

fn creations() -> Vec<Case> {
    let invalid = |name, value: &str, problems| {
        create()
            .header(name, value)
            .refuses_fields(400, Code::ValidationFailed, problems)
    };
    let titled = |metadata, problems| {
        invalid("upload-metadata", metadata, problems).beyond_schema("a value of the metadata")
    };
    let malformed = |metadata: &str| {
        create()
            .header("upload-metadata", metadata)
            .refuses(400, Code::InvalidMetadata)
    };
    let limited = |who, setting, code| create().by(who).within(setting).refuses(429, code);
    vec![
        invalid("upload-length", "0", &[("Upload-Length", "invalid")]),
        invalid("upload-length", "-1", &[("Upload-Length", "invalid")]),
        invalid("upload-length", "x", &[("Upload-Length", "invalid")]),
        create().without("upload-length").refuses_fields(
            400,
            Code::ValidationFailed,
            &[("Upload-Length", "required")],
        ),
        create().without("upload-metadata").refuses_fields(
            400,
            Code::ValidationFailed,
            &[("title", "required")],
        ),
        invalid("idempotency-key", "", &[("Idempotency-Key", "invalid")]),
        invalid("idempotency-key", "a b", &[("Idempotency-Key", "invalid")]),
        invalid(
            "idempotency-key",
            &"x".repeat(256),
            &[("Idempotency-Key", "invalid")],
        ),
        titled("is_public ZmFsc2U=", &[("title", "required")]),
        titled("title", &[("title", "required")]),
        titled("title Y3VhdA==", &[("title", "too_short")]),
        titled("title bWEAbGEgbWFsYQ==", &[("title", "invalid")]),
        titled(
            "title TWkgbWVqb3IganVnYWRh,is_public bWF5YmU=",
            &[("is_public", "invalid")],
        ),
        malformed("title TWkgbWVqb3IganVnYWRh,"),
        malformed("title *"),
        malformed("title //4=").beyond_schema("not UTF-8"),
        malformed(&format!("title {}", "TWkg".repeat(1024))),
        create()
            .header("upload-length", "104857601")
            .refuses(413, Code::UploadTooLarge),
        create()
            .header("idempotency-key", "reused")
            .again(Again::With("upload-length", "5001"))
            .refuses(422, Code::IdempotencyKeyReused),
        create()
            .header("idempotency-key", "reused")
            .again(Again::With("upload-metadata", "title TWkgbWVqb3IganVnYWRh"))
            .refuses(422, Code::IdempotencyKeyReused),
        create()
            .by(Who::BusyUploader)
            .refuses(429, Code::TooManyUploads),
        limited(Who::Owner, Setting::Limited, Code::TooManyRequests),
        limited(Who::Owner, Setting::Waiting, Code::TooManyWaitingVideos),
        limited(Who::Fan, Setting::Waiting, Code::TooManyOpenUploads),
        create()
            .within(Setting::Full)
            .refuses(503, Code::StorageFull),
    ]
}

fn appends() -> Vec<Case> {
    let invalid = |name, value: &str, problems| {
        append(1000)
            .header(name, value)
            .refuses_fields(400, Code::ValidationFailed, problems)
    };
    let text = |text: &str| append(1000).sends(Body::Raw(BYTES, text.to_owned()));
    let endless = append(0).sends(Body::Endless(BYTES, "\0\0\0\x14ftypisom\0\0\x02\0mp42"));
    vec![
        invalid("upload-offset", "-1", &[("Upload-Offset", "invalid")]),
        invalid("upload-offset", "x", &[("Upload-Offset", "invalid")]),
        append(1000).without("upload-offset").refuses_fields(
            400,
            Code::ValidationFailed,
            &[("Upload-Offset", "required")],
        ),
        invalid(
            "upload-checksum",
            "crc32 AAAAAA==",
            &[("Upload-Checksum", "invalid")],
        ),
        invalid(
            "upload-checksum",
            "sha256",
            &[("Upload-Checksum", "invalid")],
        ),
        invalid(
            "upload-checksum",
            "sha1 *",
            &[("Upload-Checksum", "invalid")],
        ),
        text(&"hola".repeat(1250)).refuses(400, Code::NotAnMp4),
        append(1000)
            .header("upload-offset", "1")
            .refuses(409, Code::OffsetMismatch),
        append(1000)
            .by(Who::Owner)
            .about(Video::Fresh(Seed::PRIVATE))
            .refuses(409, Code::OffsetMismatch),
        append(1000)
            .header("upload-offset", "100")
            .about(Video::Upload(Upload::Lost))
            .refuses(410, Code::UploadGone),
        append(5001).refuses(413, Code::UploadTooLarge),
        append(MAX_CHECKED + 1)
            .about(Video::Upload(Upload::Open(LARGE)))
            .header("upload-checksum", WRONG_SHA1)
            .refuses(413, Code::BodyTooLarge),
        append(1000)
            .sends(Body::Raw("text/plain", "hola".to_owned()))
            .refuses(415, Code::UnsupportedMediaType),
        endless.clone().overtaken().refuses(423, Code::UploadBusy),
        append(1000)
            .header("upload-checksum", WRONG_SHA1)
            .refuses(460, Code::ChecksumMismatch),
        append(5000)
            .header("upload-checksum", WRONG_SHA256)
            .refuses(460, Code::ChecksumMismatch),
        // Silent for as long as the server waits.
        endless.refuses(503, Code::UploadInterrupted),
        append(1000)
            .within(Setting::Full)
            .refuses(503, Code::StorageFull),
    ]
}

/// Rows for uploads that are not there, or not the caller's.
fn addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for case in successes() {
        if case.route != OPEN_UPLOAD || case.method == Method::OPTIONS {
            continue;
        }
        for video in [Video::Unknown, Video::Malformed] {
            cases.push(case.clone().about(video).refuses(404, Code::NotFound));
        }
        // Another player's upload, and another player's video.
        cases.push(case.clone().by(Who::Fan).refuses(404, Code::NotFound));
        let video = case.clone().by(Who::Fan).about(Video::Fresh(Seed::PUBLIC));
        cases.push(video.refuses(404, Code::NotFound));
        if case.method == Method::DELETE {
            let finished = case.by(Who::Owner).about(Video::Fresh(Seed::PRIVATE));
            cases.push(finished.refuses(404, Code::NotFound));
        } else {
            let expired = case.about(Video::Upload(Upload::Expired));
            cases.push(expired.refuses(410, Code::UploadGone));
        }
    }
    cases
}

/// Headers that browsers neither restrict nor need to show to pages.
const UNRESTRICTED: [&str; 4] = [
    "accept-encoding",
    "cache-control",
    "content-language",
    "www-authenticate",
];

#[tokio::test]
async fn pages_of_allowed_origins_may_send_and_read_every_header() {
    const ORIGIN: &str = "https://anb.example";
    let app = TestApp::spawn_with(&["--cors-allowed-origins", ORIGIN], &[]).await;
    for operation in DOCUMENT.operations() {
        if !operation.path.starts_with(UPLOADS) || operation.method == Method::OPTIONS {
            continue;
        }
        let headers = DOCUMENT.parameters(&operation, "header");
        let mut headers: Vec<_> = headers.keys().map(|name| name.to_lowercase()).collect();
        headers.extend(["authorization", "content-type"].map(str::to_owned));
        let preflight = app
            .request(Method::OPTIONS, operation.path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", operation.method.as_str())
            .header("access-control-request-headers", headers.join(", "));
        let allowed = Response::of(preflight).await;
        assert_eq!(allowed.status, 200, "{}: {allowed:?}", operation.id);
        let names = |header: &str, answer: &Response| -> BTreeSet<String> {
            let names = answer.header(header).to_lowercase();
            names.split(", ").map(str::to_owned).collect()
        };
        let methods = allowed.header("access-control-allow-methods");
        assert!(methods.contains(operation.method.as_str()), "{methods}");
        let may_send = names("access-control-allow-headers", &allowed);
        for header in &headers {
            assert!(may_send.contains(header), "{}: {header}", operation.id);
        }
        let request = app
            .request(operation.method.clone(), UPLOADS)
            .header("origin", ORIGIN);
        let may_read = names(
            "access-control-expose-headers",
            &Response::of(request).await,
        );
        for header in DOCUMENT.response_headers(&operation) {
            let header = header.to_lowercase();
            let is_readable = may_read.contains(&header) || UNRESTRICTED.contains(&header.as_str());
            assert!(is_readable, "{}: {header}", operation.id);
        }
    }
}
