//! Endpoints of resumable uploads: tus 1.0.0 (<https://tus.io/protocols/resumable-upload>) with the
//! extensions creation, expiration, termination and checksum, and a list of the open uploads.

mod headers;

use std::time::{Instant, SystemTime};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderName, HttpDate},
    },
    middleware::Next,
    web,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use self::headers::{
    IDEMPOTENCY_KEY, Metadata, TUS_CHECKSUM_ALGORITHM, TUS_EXTENSION, TUS_MAX_SIZE, TUS_RESUMABLE,
    TUS_VERSION, UPLOAD_CHECKSUM, UPLOAD_EXPIRES, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET,
    VERSION,
};
use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::{Authenticated, RequestId, VideoPath, content_length, reject_encoded},
        pace::{Pace, WINDOW},
        rate::Limits,
    },
    ids::VideoId,
    videos::resumable::{
        self, Checksum, Created, Creation, Receiver, Request, TransferError, Upload, UploadDenial,
        Writers,
    },
};

const EXTENSIONS: &str = "creation,expiration,termination,checksum";

/// The recommended size of a request's body: that of a part of S3 (bytes). A broken connection or a
/// proxy that buffers bodies loses at most one.
const CHUNK_BYTES: u64 = 5 * 1024 * 1024;

/// Maximum size of a body with a checksum, of which nothing is recorded before it matches (bytes).
const MAX_CHECKED_BYTES: u64 = 16 * 1024 * 1024;

/// The request headers of the protocol, which pages of other origins may send.
pub const REQUEST_HEADERS: [HeaderName; 6] = [
    TUS_RESUMABLE,
    UPLOAD_LENGTH,
    UPLOAD_OFFSET,
    UPLOAD_METADATA,
    UPLOAD_CHECKSUM,
    IDEMPOTENCY_KEY,
];

/// The response headers of the protocol, which pages of other origins may read.
pub const RESPONSE_HEADERS: [HeaderName; 10] = [
    header::LOCATION,
    TUS_RESUMABLE,
    TUS_VERSION,
    TUS_EXTENSION,
    TUS_MAX_SIZE,
    TUS_CHECKSUM_ALGORITHM,
    UPLOAD_OFFSET,
    UPLOAD_LENGTH,
    UPLOAD_METADATA,
    UPLOAD_EXPIRES,
];

/// Where resumable uploads are.
const ROOT: &str = "/api/uploads";

/// Returns whether a path is that of resumable uploads or of one of them.
pub fn is_upload(path: &str) -> bool {
    let rest = path.strip_prefix(ROOT);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Middleware: puts the protocol's version into every response below `/api/uploads`, and answers
/// 412 to a request with another one. A list of uploads and a question for the server's abilities
/// need none.
pub async fn negotiate_version(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> std::result::Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, actix_web::Error> {
    let path = request.path();
    if !is_upload(path) {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_left_body);
    }
    let is_free = match *request.method() {
        Method::GET | Method::OPTIONS => true,
        // Like GET, of which it is the head.
        Method::HEAD => path == ROOT,
        _ => false,
    };
    let version = request.headers().get(TUS_RESUMABLE);
    let mut response = if is_free || version == Some(&VERSION) {
        next.call(request).await?.map_into_left_body()
    } else {
        let error = Error::from(Code::UnsupportedTusVersion);
        let mut refused = request.error_response(error);
        refused.headers_mut().insert(TUS_VERSION, VERSION);
        refused.map_into_right_body()
    };
    response.headers_mut().insert(TUS_RESUMABLE, VERSION);
    Ok(response)
}

/// `OPTIONS /api/uploads` and `OPTIONS /api/uploads/{video_id}`
pub async fn abilities(app: web::Data<App>) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((TUS_VERSION, VERSION))
        .insert_header((TUS_EXTENSION, EXTENSIONS))
        .insert_header((TUS_MAX_SIZE, app.upload.max_file_size))
        .insert_header((TUS_CHECKSUM_ALGORITHM, Checksum::ALGORITHMS))
        .finish()
}

#[derive(Serialize)]
struct CreatedBody {
    task_id: VideoId,
    chunk_bytes: u64,
}

/// `POST /api/uploads`
pub async fn create(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let user = caller.user();
    limits.write.take(&user)?;
    let length = headers::length(&request)?;
    if length > app.upload.max_file_size {
        return Err(Code::UploadTooLarge.into());
    }
    let metadata = headers::metadata(&request)?;
    let key = headers::idempotency_key(&request, length, &metadata)?;
    let (title, is_public) = metadata.title_and_visibility()?;
    let creation = Creation {
        length,
        title,
        is_public,
        key,
        metadata: metadata.raw,
    };
    let upload = match resumable::create(&app, user, &creation).await? {
        Created::Upload(upload) => upload,
        Created::KeyReused => return Err(Code::IdempotencyKeyReused.into()),
        Created::TooLarge => return Err(Code::UploadTooLarge.into()),
        Created::TooManyUploads => return Err(Code::TooManyUploads.into()),
        Created::TooManyOpen => return Err(Code::TooManyOpenUploads.into()),
        Created::TooManyWaiting => return Err(Code::TooManyWaitingVideos.into()),
        Created::TooManyEntries => return Err(Code::EntryLimit.into()),
        Created::SubmissionsClosed {
            opens_at,
            closes_at,
        } => return Err(Error::closed(Code::SubmissionsClosed, opens_at, closes_at)),
    };
    Ok(describe(HttpResponse::Created(), &upload)
        .insert_header((header::LOCATION, format!("{ROOT}/{}", upload.video)))
        .json(CreatedBody {
            task_id: upload.video,
            chunk_bytes: CHUNK_BYTES,
        }))
}

/// Starts a response with offset and expiry of an upload.
fn describe(mut response: HttpResponseBuilder, upload: &Upload) -> HttpResponseBuilder {
    response.insert_header((UPLOAD_OFFSET, upload.offset));
    if let Some(expires_at) = upload.expires_at {
        let date = HttpDate::from(SystemTime::from(expires_at));
        response.insert_header((UPLOAD_EXPIRES, date.to_string()));
    }
    response
}

/// An unfinished upload.
#[derive(Serialize)]
struct UploadBody {
    video_id: VideoId,
    title: String,
    length: u64,
    offset: u64,
    expires_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

impl From<Upload> for UploadBody {
    fn from(upload: Upload) -> Self {
        // It was checked when the upload was created.
        let metadata = upload.metadata.map(Metadata::parse);
        let mut metadata = metadata.and_then(Result::ok).unwrap_or_default();
        Self {
            video_id: upload.video,
            title: upload.title,
            length: upload.length,
            offset: upload.offset,
            expires_at: upload.expires_at,
            filename: metadata.take("filename"),
            fingerprint: metadata.take("fingerprint"),
        }
    }
}

/// `GET /api/uploads`
pub async fn list(app: web::Data<App>, caller: Authenticated) -> Result<HttpResponse> {
    let uploads = resumable::list(&app, caller.user()).await?;
    let uploads: Vec<_> = uploads.into_iter().map(UploadBody::from).collect();
    Ok(HttpResponse::Ok().json(uploads))
}

/// `HEAD /api/uploads/{video_id}`
pub async fn locate(
    app: web::Data<App>,
    writers: web::Data<Writers>,
    caller: Authenticated,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let upload = resumable::locate(&app, &writers, caller.user(), video).await;
    let upload = upload.map_err(refuse)?;
    let mut response = describe(HttpResponse::Ok(), &upload);
    response.insert_header((UPLOAD_LENGTH, upload.length));
    if let Some(metadata) = upload.metadata {
        response.insert_header((UPLOAD_METADATA, metadata));
    }
    Ok(response.finish())
}

/// `DELETE /api/uploads/{video_id}`
pub async fn cancel(
    app: web::Data<App>,
    writers: web::Data<Writers>,
    caller: Authenticated,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let cancelled = resumable::cancel(&app, &writers, caller.user(), video).await;
    cancelled.map_err(refuse)?;
    Ok(HttpResponse::NoContent().finish())
}

/// `PATCH /api/uploads/{video_id}`
pub async fn append(
    app: web::Data<App>,
    writers: web::Data<Writers>,
    caller: Authenticated,
    VideoPath(video): VideoPath,
    id: RequestId,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    headers::expect_bytes(&request)?;
    reject_encoded(&request)?;
    let offset = headers::offset(&request)?;
    let checksum = headers::checksum(&request)?;
    let length = content_length(&request);
    let is_checked = checksum.is_some();
    if is_checked && length.is_some_and(|length| length > MAX_CHECKED_BYTES) {
        return Err(Code::BodyTooLarge.into());
    }
    let request = Request {
        user: caller.user(),
        video,
        offset,
        length,
        checksum,
        trace: id.0.to_string(),
    };
    let receiver = resumable::receive(&app, &writers, request).await;
    // A client that lost the last response may send no more than its offset.
    if let Err(UploadDenial::WrongOffset(end)) = receiver
        && (offset, length) == (end, Some(0))
    {
        let mut response = HttpResponse::NoContent();
        return Ok(response.insert_header((UPLOAD_OFFSET, end)).finish());
    }
    let Receiver { chunks, result } = receiver.map_err(refuse)?;
    let max_bytes = if is_checked {
        MAX_CHECKED_BYTES
    } else {
        u64::MAX
    };
    let passed = pass_on(payload, chunks, max_bytes).await;
    let ended = result.await.unwrap_or(Err(TransferError::Stopping));
    passed?;
    let upload = ended.map_err(reject)?;
    Ok(describe(HttpResponse::NoContent(), &upload).finish())
}

/// Passes a body on until it ends, its connection breaks, or the writer takes no more. Returns 503 if
/// the client is too slow. What was passed on until then is kept.
async fn pass_on(
    mut payload: web::Payload,
    chunks: mpsc::Sender<Bytes>,
    max_bytes: u64,
) -> Result<()> {
    let mut pace = Pace::new(Instant::now());
    let mut left = max_bytes;
    loop {
        let next = tokio::select! {
            next = timeout(WINDOW, payload.next()) => next,
            () = chunks.closed() => return Ok(()),
        };
        let Ok(next) = next else {
            return Err(Code::UploadInterrupted.into());
        };
        let Some(Ok(chunk)) = next else {
            return Ok(());
        };
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(length).ok_or(Code::BodyTooLarge)?;
        let keeps_up = pace.keeps_up(chunk.len(), Instant::now());
        if chunks.send(chunk).await.is_err() {
            return Ok(());
        }
        if !keeps_up {
            return Err(Code::UploadInterrupted.into());
        }
    }
}

/// Returns the error for a request that is refused before its body.
fn refuse(denial: UploadDenial) -> Error {
    match denial {
        UploadDenial::NotFound => Code::NotFound.into(),
        UploadDenial::Gone => Code::UploadGone.into(),
        UploadDenial::WrongOffset(offset) => Error::offset_mismatch(offset),
        UploadDenial::TooLarge => Code::UploadTooLarge.into(),
        UploadDenial::Busy => Code::UploadBusy.into(),
        UploadDenial::Stopping => Code::UploadInterrupted.into(),
        UploadDenial::Broken(error) => error.into(),
    }
}

/// Returns the error for a request whose body was not received completely.
fn reject(error: TransferError) -> Error {
    match error {
        TransferError::Fenced => Code::UploadBusy.into(),
        TransferError::Stopping => Code::UploadInterrupted.into(),
        TransferError::TooLarge => Code::UploadTooLarge.into(),
        TransferError::ChecksumMismatch => Code::ChecksumMismatch.into(),
        TransferError::NotAnMp4 => Code::NotAnMp4.into(),
        TransferError::Gone => Code::UploadGone.into(),
        TransferError::Broken(error) => error.into(),
    }
}
