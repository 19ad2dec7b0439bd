//! The files that pages load: style sheet, modules, display face, icons. They are part of the
//! program, in one folder that is named after their hash, so that browsers keep them for a year.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, AcceptEncoding, Encoding, Header as _, HeaderValue},
    web::{self, Bytes},
};
use anyhow::Context as _;
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::io::Read as _;

use crate::http::{Code, Result, representation::STATIC_CACHE_CONTROL};

/// Where the files are, each in the folder of its build.
pub const ASSETS: &str = "/estatico/";

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Cache control of this build's files: they never change (RFC 8246).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

struct Asset {
    name: &'static str,
    media_type: &'static str,
    body: Body,
}

enum Body {
    /// A format that is compressed already.
    Plain(&'static [u8]),
    Compressed {
        brotli: &'static [u8],
        gzip: &'static [u8],
    },
}

#[derive(Deserialize)]
pub struct AssetPath {
    build: String,
    file: String,
}

/// `GET /estatico/{build}/{file}`
///
/// During a rolling deployment, a page of one build may ask a process of another one. It gets the
/// file of that process, which no cache may keep.
pub async fn asset(request: HttpRequest, path: web::Path<AssetPath>) -> Result<HttpResponse> {
    let caching = if path.build == BUILD {
        IMMUTABLE
    } else {
        HeaderValue::from_static("no-store")
    };
    respond(&request, &path.file, caching)
}

/// `GET /robots.txt`
pub async fn robots(request: HttpRequest) -> Result<HttpResponse> {
    respond(&request, "robots.txt", STATIC_CACHE_CONTROL)
}

fn respond(request: &HttpRequest, name: &str, caching: HeaderValue) -> Result<HttpResponse> {
    let asset = FILES.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or(Code::NotFound)?;
    let mut response = HttpResponse::Ok();
    response
        .content_type(asset.media_type)
        .insert_header((header::CACHE_CONTROL, caching));
    let (brotli, gzip) = match asset.body {
        Body::Plain(bytes) => {
            // Keeps the middleware from compressing it.
            response.insert_header((header::CONTENT_ENCODING, "identity"));
            return Ok(response.body(Bytes::from_static(bytes)));
        }
        Body::Compressed { brotli, gzip } => (brotli, gzip),
    };
    response.insert_header((header::VARY, "accept-encoding"));
    let accepted = AcceptEncoding::parse(request).ok();
    let ours = [Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
    // Without the header, any encoding is acceptable; the plain file suits every client.
    let chosen = accepted
        .filter(|_| request.headers().contains_key(header::ACCEPT_ENCODING))
        .and_then(|accepted| accepted.negotiate(ours.iter()));
    let body = if chosen == Some(Encoding::brotli()) {
        response.insert_header((header::CONTENT_ENCODING, "br"));
        Bytes::from_static(brotli)
    } else if chosen == Some(Encoding::gzip()) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        Bytes::from_static(gzip)
    } else {
        let mut plain = Vec::new();
        GzDecoder::new(gzip)
            .read_to_end(&mut plain)
            .context("unpack an asset")?;
        plain.into()
    };
    Ok(response.body(body))
}
