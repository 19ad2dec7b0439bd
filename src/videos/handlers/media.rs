//! `GET /media/{key}`: local files with ranges, entity tags and conditional requests (RFC 9110
//! §13–14), or a redirect to the bucket. Clips and posters of public videos have plain URLs. All
//! other files need a signature.

use std::time::{Duration, SystemTime};

use actix_files::NamedFile;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentDisposition, DispositionType, HeaderValue},
    web,
};
use anyhow::Context as _;
use serde::Deserialize;

use crate::{
    app::App,
    http::{Code, Result},
    storage::{PresignedUrl, Storage, StorageKey},
    videos,
};

/// Maximum time for which a redirect to the bucket is cached. An unpublished clip is refused after
/// that.
const MAX_REDIRECT_AGE: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
pub struct SignatureQuery {
    expires: Option<String>,
    signature: Option<String>,
}

/// `GET /media/{key}`
pub async fn media(
    app: web::Data<App>,
    request: HttpRequest,
    key: web::Path<String>,
    query: web::Query<SignatureQuery>,
) -> Result<HttpResponse> {
    let key = StorageKey::parse(&key).ok_or(Code::NotFound)?;
    let caching = if let (Some(expires), Some(signature)) = (&query.expires, &query.signature) {
        // A non-numeric expiry is an invalid signature.
        let is_signed = expires
            .parse()
            .is_ok_and(|expires| app.media_urls.is_signature_valid(key, expires, signature));
        if !is_signed {
            return Err(Code::MediaNotSigned.into());
        }
        "private, max-age=3600"
    } else {
        match videos::is_public_file(&app.backends.db, key).await? {
            None => return Err(Code::NotFound.into()),
            Some(false) => return Err(Code::MediaNotSigned.into()),
            Some(true) => {}
        }
        // Clients revalidate each time, so unpublishing takes effect immediately. Unchanged: 304.
        "public, no-cache"
    };
    match app.media_urls.presigned(key).await? {
        Some(presigned) => Ok(redirect(&presigned)),
        None => serve(&app, &request, key, caching),
    }
}

/// Redirects to the bucket. The redirect expires before the URL does.
fn redirect(to: &PresignedUrl) -> HttpResponse {
    let left = to.expires.duration_since(SystemTime::now());
    let age = left.unwrap_or_default().min(MAX_REDIRECT_AGE).as_secs();
    HttpResponse::Found()
        .insert_header((header::LOCATION, to.url.clone()))
        .insert_header((header::CACHE_CONTROL, format!("private, max-age={age}")))
        .finish()
}

/// Responds with a local file. Whether the client may read it is the caller's decision.
pub fn serve(
    app: &App,
    request: &HttpRequest,
    key: StorageKey,
    caching: &'static str,
) -> Result<HttpResponse> {
    let folders = match &app.backends.storage {
        Storage::Local(folders) => folders,
        // Clients read from the bucket or the CDN.
        Storage::S3(_) => return Err(Code::NotFound.into()),
    };
    // Opening a local file takes microseconds; reading it happens on the blocking pool.
    let file = match NamedFile::open(folders.path(key)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Code::NotFound.into());
        }
        Err(error) => return Err(anyhow::Error::new(error).context("open media").into()),
    };
    let content_type = key
        .content_type()
        .parse()
        .context("content type of media")?;
    let disposition = ContentDisposition {
        disposition: DispositionType::Inline,
        parameters: Vec::new(),
    };
    let mut response = file
        .set_content_type(content_type)
        .set_content_disposition(disposition)
        .into_response(request);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    // An uploaded file must not run scripts in this origin.
    let policy = HeaderValue::from_static("default-src 'none'; media-src 'self'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
