//! Normalises the `Range` of a request (RFC 9110 §14) for the file server, which reads only 64-bit
//! numbers and rejects an invalid range instead of ignoring it.

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
};

/// Larger than any file, and small enough to add to without overflow.
const MAX_POSITION: u64 = 1 << 62;

/// Normalises or removes the `Range` of one request; for [`actix_web::middleware::from_fn`].
pub async fn normalise<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let headers = request.headers_mut();
    if let Some(range) = headers.remove(header::RANGE).next()
        && let Some(value) = range.to_str().ok().and_then(canonical)
        && let Ok(value) = HeaderValue::try_from(value)
    {
        headers.insert(header::RANGE, value);
    }
    next.call(request).await
}

/// Returns the ranges in 64-bit numbers; none if the unit is unknown or the header is malformed.
fn canonical(range: &str) -> Option<String> {
    let (unit, set) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Empty list elements are ignored (RFC 9110 §5.6.1.2).
    let ranges = set
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty());
    let ranges: Vec<String> = ranges.map(canonical_spec).collect::<Option<_>>()?;
    (!ranges.is_empty()).then(|| format!("bytes={}", ranges.join(",")))
}

fn canonical_spec(spec: &str) -> Option<String> {
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", last) => Some(format!("-{}", number(last)?)),
        (first, "") => Some(format!("{}-", number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| format!("{first}-{last}"))
        }
    }
}

/// Parses a decimal number of any size, capped at [`MAX_POSITION`].
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(MAX_POSITION).min(MAX_POSITION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ranges_are_normalised() {
        for (range, expected) in [
            ("bytes=0-499", "bytes=0-499"),
            ("Bytes=500-", "bytes=500-"),
            ("bytes=-5", "bytes=-5"),
            ("bytes= 0-0 , ,-1", "bytes=0-0,-1"),
            (
                "bytes=0-99999999999999999999999",
                "bytes=0-4611686018427387904",
            ),
            (
                "bytes=99999999999999999999999-",
                "bytes=4611686018427387904-",
            ),
            ("bytes=0007-8", "bytes=7-8"),
        ] {
            assert_eq!(canonical(range).as_deref(), Some(expected), "{range}");
        }
    }

    #[test]
    fn invalid_range_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=1",
            "bytes=--1",
            "bytes=0-1,x",
            "bytes=+1-2",
            "bytes=1 - 2",
            "items=0-1",
            "bytes=0-1-2",
            "bytes=0x0-1",
        ] {
            assert_eq!(canonical(range), None, "{range}");
        }
    }
}
