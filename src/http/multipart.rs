//! `multipart/form-data` (RFC 7578) as a stream of fields, from clients that keep a floor rate. Small
//! fields are read whole; the file's chunks go where the handler sends them.

use std::time::{Duration, Instant};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{error::PayloadError, web::Bytes};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use super::{Code, Result};

/// Span over which the floor rate is judged, and longest silence: a tunnel is forgiven.
const WINDOW: Duration = Duration::from_secs(20);

/// Fewest bytes of a file in a [`WINDOW`]: 4 KiB/s. A phone on the slowest network sends twice that.
const FLOOR_BYTES: usize = 80 * 1024;

/// A form that is being received.
pub struct Form {
    multipart: Multipart,
    pace: Pace,
}

/// How fast a body arrives.
struct Pace {
    since: Instant,
    bytes: usize,
}

impl Form {
    /// Starts to read the body of a request.
    pub fn new(multipart: Multipart) -> Self {
        Self {
            multipart,
            pace: Pace::new(Instant::now()),
        }
    }

    /// Returns the next field, none after the last one. The field before must have been read.
    pub async fn next_field(&mut self) -> Result<Option<Field>> {
        next(&mut self.multipart).await
    }

    /// Returns the next piece of a field, none at its end. Returns 408 if the client is too slow.
    pub async fn chunk(&mut self, field: &mut Field) -> Result<Option<Bytes>> {
        let chunk = next(field).await?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        if !self.pace.keeps_up(length, Instant::now()) {
            return Err(Code::BodyTooSlow.into());
        }
        Ok(chunk)
    }

    /// Reads a small field whole. Returns 400 if it has more than `max_bytes` or is not UTF-8.
    pub async fn text(&mut self, field: &mut Field, max_bytes: usize) -> Result<String> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(field).await? {
            if bytes.len() + chunk.len() > max_bytes {
                return Err(Code::InvalidForm.into());
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).or(Err(Code::InvalidForm.into()))
    }
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
        }
    }

    /// Counts `bytes` that arrived, and tells whether the last full window had enough of them.
    fn keeps_up(&mut self, bytes: usize, now: Instant) -> bool {
        self.bytes += bytes;
        if now.duration_since(self.since) < WINDOW {
            return true;
        }
        let is_enough = self.bytes >= FLOOR_BYTES;
        *self = Self::new(now);
        is_enough
    }
}

async fn next<T>(
    stream: &mut (impl Stream<Item = std::result::Result<T, MultipartError>> + Unpin),
) -> Result<Option<T>> {
    match timeout(WINDOW, stream.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(item))) => Ok(Some(item)),
        Ok(Some(Err(MultipartError::Payload(PayloadError::Overflow)))) => {
            Err(Code::BodyTooLarge.into())
        }
        Ok(Some(Err(_))) => Err(Code::InvalidForm.into()),
        Err(_) => Err(Code::BodyTooSlow.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_less_than_the_floor_is_too_slow() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut slow = Pace::new(start);
        let mut steady = Pace::new(start);
        for step in 1..=20 {
            let now = start + step * second;
            assert!(steady.keeps_up(4200, now), "{step} s");
            assert_eq!(slow.keeps_up(1000, now), step < 20, "{step} s");
        }
    }
}
