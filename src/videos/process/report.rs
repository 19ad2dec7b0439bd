//! The report of a job, stored in the row.

use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use crate::media::{self, Clip};

/// Details of how the clip was made, or why the original was rejected.
#[derive(Serialize)]
pub struct ReportRow<'a> {
    /// Time from the fetch to the stored outputs, or to the rejection.
    took_ms: u64,
    #[serde(flatten)]
    job: &'a media::JobReport,
    #[serde(flatten)]
    clip: Option<&'a Clip>,
}

impl<'a> ReportRow<'a> {
    /// Serializes the report of a job that began at `start` and has just ended.
    pub fn to_row(
        start: Instant,
        job: &'a media::JobReport,
        clip: Option<&'a Clip>,
    ) -> anyhow::Result<Value> {
        let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        serde_json::to_value(Self { took_ms, job, clip }).context("serialize the report")
    }
}
