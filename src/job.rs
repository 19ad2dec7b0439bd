//! The payload of the queue.

use serde::{Deserialize, Serialize};

use crate::ids::VideoId;

/// Version of the wire format that this program writes.
const VERSION: u32 = 1;

/// A job in the queue. It contains only ids; the row holds everything else. A worker that receives
/// one runs the next job in order, which may be a different one.
///
/// The wire format is tagged, versioned JSON:
/// `{"kind":"process_video","v":1,"video_id":"…","trace":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Process one video.
    ProcessVideo {
        v: u32,
        /// The video that is waiting, or that failed in the dead-letter queue.
        video_id: VideoId,
        /// Id of the request that caused the job, to correlate logs across processes.
        trace: String,
    },
}

/// The payload is not a job known to this version of the program.
#[derive(Debug, thiserror::Error)]
pub enum UnknownJob {
    /// Another kind, or invalid JSON.
    #[error("not a known kind of job")]
    Kind(#[source] serde_json::Error),
    /// A known kind in a newer format.
    #[error("version {0} of the job is newer than this program")]
    Version(u32),
}

impl Job {
    pub fn process_video(video_id: VideoId, trace: String) -> Self {
        Self::ProcessVideo {
            v: VERSION,
            video_id,
            trace,
        }
    }

    /// Returns the video that the job names, if it names one.
    pub fn video(&self) -> Option<VideoId> {
        match self {
            Self::ProcessVideo { video_id, .. } => Some(*video_id),
        }
    }

    pub fn from_payload(payload: &str) -> Result<Self, UnknownJob> {
        let job: Self = serde_json::from_str(payload).map_err(UnknownJob::Kind)?;
        match job {
            Self::ProcessVideo { v, .. } if v > VERSION => Err(UnknownJob::Version(v)),
            Self::ProcessVideo { .. } => Ok(job),
        }
    }

    pub fn to_payload(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_format_is_stable() {
        let id = VideoId::parse("018f3c1e-0000-7000-8000-000000000000").unwrap();
        let job = Job::process_video(id, "t".to_owned());
        let payload = job.to_payload().unwrap();
        assert_eq!(
            payload,
            r#"{"kind":"process_video","v":1,"video_id":"018f3c1e-0000-7000-8000-000000000000","trace":"t"}"#
        );
        assert_eq!(Job::from_payload(&payload).unwrap(), job);
    }

    #[test]
    fn unknown_kind_and_newer_version_are_distinguished() {
        let newer = r#"{"kind":"process_video","v":2,"video_id":"018f3c1e-0000-7000-8000-000000000000","trace":""}"#;
        assert!(matches!(
            Job::from_payload(newer),
            Err(UnknownJob::Version(2))
        ));
        for other in [r#"{"kind":"send_mail","v":1}"#, "", "7"] {
            assert!(
                matches!(Job::from_payload(other), Err(UnknownJob::Kind(_))),
                "{other}"
            );
        }
    }
}
