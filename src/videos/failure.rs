//! Reasons why a video failed, stored in its row and shown to its player. Each has a stable code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{language::Language, media::Rejection};

/// Why a video failed. Stored in the row as JSON, `{"code": …}` with the details of the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Failure {
    /// Every attempt ended with a system failure.
    ProcessingFailed,
    /// Its workers died repeatedly.
    WorkerLost,
    /// The contest does not accept the file. Permanent.
    #[serde(untagged)]
    Rejected(Rejection),
}

impl Failure {
    /// Codes of the system failures, for which a retry may succeed.
    pub const RETRYABLE: &[&str] = &["processing_failed", "worker_lost"];

    /// Parses a row's value. Returns none if this version of the program does not know it.
    pub fn from_row(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    pub fn to_row(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::ProcessingFailed => "processing_failed",
            Self::WorkerLost => "worker_lost",
            Self::Rejected(rejection) => rejection.code(),
        }
    }

    /// Returns the reason as a message for the player.
    pub fn message(&self, language: Language) -> String {
        match self {
            Self::ProcessingFailed | Self::WorkerLost => {
                let message = language.select(
                    "No pudimos procesar el video por un problema nuestro. Súbelo de nuevo.",
                    "We could not process the video, and it is our fault. Upload it again.",
                );
                message.to_owned()
            }
            Self::Rejected(rejection) => rejection.message(language),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_failures_are_retryable() {
        let system = [Failure::ProcessingFailed, Failure::WorkerLost];
        assert_eq!(system.map(|failure| failure.code()), Failure::RETRYABLE);
    }

    #[test]
    fn failure_round_trips_through_row() {
        for failure in [
            Failure::ProcessingFailed,
            Failure::WorkerLost,
            Failure::Rejected(Rejection::Corrupt),
            Failure::Rejected(Rejection::UnsupportedCodec {
                codec: "theora".to_owned(),
            }),
        ] {
            let row = failure.to_row().unwrap();
            assert_eq!(
                row.get("code").and_then(Value::as_str),
                Some(failure.code())
            );
            assert_eq!(Failure::from_row(&row), Some(failure));
        }
        assert_eq!(
            Failure::from_row(&serde_json::json!({"code": "of_the_future"})),
            None
        );
    }
}
