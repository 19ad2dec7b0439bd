//! Examines a source before it is decoded: its first bytes, its headers and, where these are doubtful,
//! its packets and the tags of its first picture.

use std::path::Path;

use anyhow::Context;
use tokio::io::AsyncReadExt;

use super::{
    Error, JobReport,
    fault::{is_beyond_pixel_limit, message},
    input::{
        probe::{Probe, Video},
        rejection::Rejection,
        rules::{Rules, check, decodable},
        sniff::{SNIFF_BYTES, sniff},
        timing::Timeline,
    },
    run::{command::ResourceUsage, scratch::Scratch},
    transcode::Transcoder,
};

/// `ffprobe`'s complaint about a file that ends before its last sample.
const TRUNCATED: &str = "partial file";

impl Transcoder {
    /// Returns the accepted video stream of a source, and fills in `report`.
    pub async fn examine(
        &self,
        source: &Path,
        rules: Rules,
        scratch: &Scratch,
        report: &mut JobReport,
    ) -> Result<Video, Error> {
        check_head(source).await?;
        let args = Probe::args(source);
        let probed = self.tools.ffprobe(source, &args, &mut report.probing).await;
        let (json, complaints) = match probed {
            Ok(probed) => probed,
            Err(error) => {
                report.cause = Some(message(&error));
                return Err(self.judge(scratch).probe_failure(error).await);
            }
        };
        report.probe = serde_json::from_slice(&json).context("read ffprobe's JSON")?;
        let mut video = decodable(Probe::parse(&json)?).map_err(|rejection| match rejection {
            // Above the limit `ffprobe` merely omits the size of some codecs.
            Rejection::Corrupt if is_beyond_pixel_limit(&complaints) => Rejection::TooComplex,
            rejection => rejection,
        })?;
        self.correct(&mut video, source, &mut report.probing)
            .await?;
        check(&video, rules)?;
        Ok(video)
    }

    /// Looks closer where the headers of a stream are doubtful. What cannot be read there stays as
    /// the headers say.
    async fn correct(
        &self,
        video: &mut Video,
        source: &Path,
        usage: &mut ResourceUsage,
    ) -> anyhow::Result<()> {
        if video.tags.are_doubtful() {
            let args = Probe::tag_args(source, video.index);
            if let Ok((json, _)) = self.tools.ffprobe(source, &args, usage).await {
                for tags in Probe::parse_tags(&json)? {
                    video.tags = video.tags.clone().or(tags);
                }
            }
        }
        if video.is_timing_doubtful() {
            let args = Timeline::args(source, video.index);
            if let Ok((csv, complaints)) = self.tools.ffprobe(source, &args, usage).await
                && let Some(timeline) = Timeline::parse(&csv)
            {
                video.correct_timing(timeline, !complaints.contains(TRUNCATED));
            }
        }
        Ok(())
    }
}

async fn check_head(source: &Path) -> Result<(), Error> {
    let file = tokio::fs::File::open(source).await.context("open source")?;
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    let limit = u64::try_from(SNIFF_BYTES).unwrap_or(u64::MAX);
    let mut file = file.take(limit);
    file.read_to_end(&mut head).await.context("read source")?;
    sniff(&head).map_err(|_not_an_mp4| Rejection::NotAnMp4.into())
}
