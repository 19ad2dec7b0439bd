//! What travels through the queue, and how a job can end badly.

use serde::{Deserialize, Serialize};

use crate::ids::VideoId;

/// Version of the wire format that this program writes.
const VERSION: u32 = 1;

/// A job as the queue carries it: ids only; the row knows everything else. Whoever receives one does the job whose turn
/// it is, which need not be this one.
///
/// The wire format is tagged, versioned JSON:
/// `{"kind":"process_video","v":1,"video_id":"…","trace":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Makes the clip of one video.
    ProcessVideo {
        /// Version of the format.
        v: u32,
        /// The video that waits since this was pushed, or failed.
        video_id: VideoId,
        /// Id of the request that caused the job, so that logs can be followed across processes.
        trace: String,
    },
}

/// The payload is not a job that this version of the program knows.
#[derive(Debug, thiserror::Error)]
pub enum UnknownJob {
    /// Another kind, or not JSON at all.
    #[error("not a known kind of job")]
    Kind(#[source] serde_json::Error),
    /// A known kind in a newer format.
    #[error("version {0} of the job is newer than this program")]
    Version(u32),
}

impl Job {
    /// Makes a job to process `video_id`.
    pub fn process_video(video_id: VideoId, trace: String) -> Self {
        Self::ProcessVideo {
            v: VERSION,
            video_id,
            trace,
        }
    }

    /// Returns the video that the job is about.
    pub fn video(&self) -> VideoId {
        let Self::ProcessVideo { video_id, .. } = self;
        *video_id
    }

    /// Reads a payload.
    pub fn from_payload(payload: &str) -> Result<Self, UnknownJob> {
        let job: Self = serde_json::from_str(payload).map_err(UnknownJob::Kind)?;
        let Self::ProcessVideo { v, .. } = job;
        if v > VERSION {
            return Err(UnknownJob::Version(v));
        }
        Ok(job)
    }

    /// Writes the payload.
    pub fn to_payload(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Why a job did not succeed: whose fault that was.
#[derive(Debug)]
pub enum JobError<F> {
    /// The video's fault, and final: trying again cannot help. `F` says why, for the row and the player.
    Video(F),
    /// This job's failure, which is counted: after `JOB_MAX_ATTEMPTS` of them it is given up.
    Job(anyhow::Error),
    /// The fault of the surroundings: a disk that is full or gone, a storage or database that is away, a program that
    /// cannot be started. It is never counted; the job waits until they are well again.
    Surroundings(anyhow::Error),
    /// Somebody else killed a program of the job, perhaps the kernel for want of memory: twice that is the fault of the
    /// surroundings, then the job's.
    Killed(anyhow::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_format_is_stable() {
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
    fn other_kinds_and_newer_versions_are_told_apart() {
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
