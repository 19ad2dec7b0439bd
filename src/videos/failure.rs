//! Why a video failed, for its row and its player. Each reason has a stable code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{language::Language, media::Refusal};

/// Why a video failed. In the row it is JSON: `{"code": …}` with the facts of its sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Failure {
    /// Every attempt ended with an error of ours.
    ProcessingFailed,
    /// Its workers died, again and again.
    WorkerLost,
    /// The file is not what the contest accepts. Permanent.
    #[serde(untagged)]
    Refused(Refusal),
}

impl Failure {
    /// Codes of the failures that are ours: trying again may help.
    pub const RETRYABLE: &[&str] = &["processing_failed", "worker_lost"];

    /// Reads a row's value; none if this version of the program does not know it.
    pub fn from_row(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// Returns the row's value.
    pub fn to_row(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProcessingFailed => "processing_failed",
            Self::WorkerLost => "worker_lost",
            Self::Refused(refusal) => refusal.code(),
        }
    }

    /// Words the reason for its player.
    pub fn message(&self, language: Language) -> String {
        match (self, language) {
            (Self::ProcessingFailed | Self::WorkerLost, Language::Spanish) => {
                "No pudimos procesar el video por un problema nuestro. Súbelo de nuevo.".to_owned()
            }
            (Self::ProcessingFailed | Self::WorkerLost, Language::English) => {
                "We could not process the video, and it is our fault. Upload it again.".to_owned()
            }
            (Self::Refused(refusal), _) => refusal.message(language),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_ours_can_be_tried_again() {
        let ours = [Failure::ProcessingFailed, Failure::WorkerLost];
        assert_eq!(ours.map(|failure| failure.code()), Failure::RETRYABLE);
    }

    #[test]
    fn a_failure_survives_its_row() {
        for failure in [
            Failure::ProcessingFailed,
            Failure::WorkerLost,
            Failure::Refused(Refusal::Corrupt),
            Failure::Refused(Refusal::UnsupportedCodec {
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
