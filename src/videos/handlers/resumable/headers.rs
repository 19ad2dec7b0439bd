//! The headers of tus 1.0.0.

use std::collections::HashMap;

use actix_web::{
    HttpMessage as _, HttpRequest,
    http::header::{HeaderName, HeaderValue},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::digest;

use crate::{
    http::{Code, Error, Result},
    validate::Problem,
    videos::{
        check_title,
        handlers::upload::parse_flag,
        resumable::{Checksum, pairs},
    },
};

/// The version of the protocol.
pub const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");

pub const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// `draft-ietf-httpapi-idempotency-key-header`
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Maximum size of `Upload-Metadata` (bytes).
const MAX_METADATA_BYTES: usize = 4096;

/// Maximum size of `Idempotency-Key` (bytes).
const MAX_KEY_BYTES: usize = 255;

/// Returns `Upload-Length` (bytes).
pub fn length(request: &HttpRequest) -> Result<u64> {
    let length = number(request, &UPLOAD_LENGTH, "Upload-Length")?;
    if length == 0 {
        return Err(Error::field("Upload-Length", Problem::Invalid));
    }
    Ok(length)
}

/// Returns `Upload-Offset` (bytes).
pub fn offset(request: &HttpRequest) -> Result<u64> {
    number(request, &UPLOAD_OFFSET, "Upload-Offset")
}

fn number(request: &HttpRequest, header: &HeaderName, name: &'static str) -> Result<u64> {
    let value = request.headers().get(header);
    let value = value.ok_or_else(|| Error::field(name, Problem::Required))?;
    // Rust would accept a sign as well.
    let digits = value.to_str().ok();
    let digits = digits.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Error::field(name, Problem::Invalid))
}

/// Rejects a body of another media type than that of the protocol.
pub fn expect_bytes(request: &HttpRequest) -> Result<()> {
    if request.content_type() == "application/offset+octet-stream" {
        Ok(())
    } else {
        Err(Code::UnsupportedMediaType.into())
    }
}

/// Returns `Upload-Checksum`: an algorithm and the checksum in base64.
pub fn checksum(request: &HttpRequest) -> Result<Option<Checksum>> {
    let Some(value) = request.headers().get(UPLOAD_CHECKSUM) else {
        return Ok(None);
    };
    let checksum = value.to_str().ok().and_then(|value| {
        let (algorithm, expected) = value.split_once(' ')?;
        Checksum::new(algorithm, BASE64.decode(expected).ok()?)
    });
    match checksum {
        Some(checksum) => Ok(Some(checksum)),
        None => Err(Error::field("Upload-Checksum", Problem::Invalid)),
    }
}

/// `Upload-Metadata`: keys with values in base64.
#[derive(Default)]
pub struct Metadata {
    /// As the client sent it.
    pub raw: String,
    values: HashMap<String, String>,
}

/// Returns `Upload-Metadata`, which is empty if it is missing.
pub fn metadata(request: &HttpRequest) -> Result<Metadata> {
    let value = request.headers().get(UPLOAD_METADATA);
    let raw = value.map_or(Some(""), |value| value.to_str().ok());
    let raw = raw.ok_or(Code::InvalidMetadata)?;
    Metadata::parse(raw.to_owned())
}

impl Metadata {
    /// Parses the value of the header: pairs of key and value in base64, separated by commas. A value
    /// may be missing. Returns 400 unless the values are UTF-8 and the keys differ.
    pub fn parse(raw: String) -> Result<Self> {
        if raw.len() > MAX_METADATA_BYTES {
            return Err(Code::InvalidMetadata.into());
        }
        let mut values = HashMap::new();
        for pair in raw
            .split(',')
            .map(str::trim)
            .filter(|_| !raw.trim().is_empty())
        {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = BASE64.decode(value.trim()).ok();
            let value = value.and_then(|value| String::from_utf8(value).ok());
            let value = value.ok_or(Code::InvalidMetadata)?;
            if key.is_empty() || values.insert(key.to_owned(), value).is_some() {
                return Err(Code::InvalidMetadata.into());
            }
        }
        Ok(Self { raw, values })
    }

    pub fn take(&mut self, key: &str) -> Option<String> {
        self.values.remove(key)
    }

    /// Returns the checked title, and whether the video shall take part in the vote.
    pub fn title_and_visibility(&self) -> Result<(String, bool)> {
        let title = self.values.get("title");
        let title = title.ok_or_else(|| Error::field("title", Problem::Required))?;
        let is_public = self.values.get("is_public").map_or("", String::as_str);
        let is_public = parse_flag(is_public)?;
        Ok((check_title(title)?, is_public))
    }

    /// Returns whether it describes one file, so that a repetition creates the same upload.
    fn names_a_file(&self) -> bool {
        let names = ["filename", "fingerprint"];
        names.iter().any(|name| self.values.contains_key(*name))
    }
}

/// Returns what repetitions of a creation have in common: `Idempotency-Key`, or without one, length
/// and metadata that describe a file. Returns none if each creates another upload.
pub fn idempotency_key(
    request: &HttpRequest,
    length: u64,
    metadata: &Metadata,
) -> Result<Option<Vec<u8>>> {
    let mut hash = digest::Context::new(&digest::SHA256);
    if let Some(key) = request.headers().get(IDEMPOTENCY_KEY) {
        let key = key.as_bytes();
        let is_visible = key.iter().all(u8::is_ascii_graphic);
        if !is_visible || !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Err(Error::field("Idempotency-Key", Problem::Invalid));
        }
        hash.update(b"key ");
        hash.update(key);
    } else if metadata.names_a_file() {
        let pairs = pairs(&metadata.raw).join(",");
        hash.update(format!("file {length} {pairs}").as_bytes());
    } else {
        return Ok(None);
    }
    Ok(Some(hash.finish().as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn metadata_has_unique_keys_with_text_in_base64() {
        for (raw, title) in [
            ("title aG9sYQ==", Some("hola")),
            ("title aG9sYQ==,is_public", Some("hola")),
            ("is_public dHJ1ZQ== , title w7E=", Some("ñ")),
            ("title", Some("")),
            ("", None),
        ] {
            let mut metadata = Metadata::parse(raw.to_owned()).unwrap();
            assert_eq!(metadata.take("title").as_deref(), title, "{raw:?}");
        }
        let long = format!("title {}", "A".repeat(MAX_METADATA_BYTES));
        for raw in [
            "title aG9sYQ",
            "title ñ",
            "title /w==",
            "title aG9sYQ==,title aG9sYQ==",
            "title aG9sYQ==,",
            ",",
            &long,
        ] {
            assert!(Metadata::parse(raw.to_owned()).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn number_consists_of_digits() {
        let offset_of = |value: &str| {
            let request = TestRequest::default().insert_header((UPLOAD_OFFSET, value));
            offset(&request.to_http_request())
        };
        assert_eq!(offset_of("0").unwrap(), 0);
        assert_eq!(offset_of("104857600").unwrap(), 104_857_600);
        for wrong in ["", "-1", "+1", "1.0", "0x1", "99999999999999999999"] {
            assert!(offset_of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn creations_with_equal_key_or_file_are_the_same() {
        let key_of = |key: Option<&str>, length, raw: &str| {
            let mut request = TestRequest::default();
            if let Some(key) = key {
                request = request.insert_header((IDEMPOTENCY_KEY, key));
            }
            let metadata = Metadata::parse(raw.to_owned()).unwrap();
            idempotency_key(&request.to_http_request(), length, &metadata)
        };
        let [file, other] = ["filename YQ==", "fingerprint YQ=="];
        let key = |key, length, raw| key_of(key, length, raw).unwrap();
        assert_eq!(key(Some("a"), 1, ""), key(Some("a"), 2, file));
        assert_ne!(key(Some("a"), 1, ""), key(Some("b"), 1, ""));
        assert_eq!(key(None, 1, file), key(None, 1, file));
        assert_ne!(key(None, 1, file), key(None, 2, file));
        assert_eq!(
            key(None, 1, "title YQ==, filename YQ=="),
            key(None, 1, "filename YQ==,title YQ==")
        );
        assert_ne!(key(None, 1, file), key(None, 1, other));
        assert_eq!(key(None, 1, "title YQ=="), None);
        assert!(key_of(Some(&"k".repeat(256)), 1, "").is_err());
        assert!(key_of(Some("a b"), 1, "").is_err());
    }
}
