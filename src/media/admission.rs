//! Whose turn it is: jobs that run together never need more memory than this machine has for them.
//!
//! A light job passes at once; a heavy one waits for its turn, first come, first served. So as many jobs
//! run as fit: on 2 GiB four of 1080 lines, or one of 4K in 10 bits beside two or three of those.

use std::fs;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    command::memory,
    probe::{Transfer, Video},
};

const MEBIBYTE: u64 = 1024 * 1024;

/// Memory of an encoding run but for the pictures of its source: programs, encoder, the frames ahead.
const BASE: u64 = 180 * MEBIBYTE;

/// What tone mapping adds, for it works with three floats a pixel.
const TONE_MAPPING: u64 = 70 * MEBIBYTE;

/// Pictures of the source in memory at once: sixteen that a stream may refer to, and those on their way.
const PICTURES: u64 = 24;

/// Most memory that the encoding of a source needs (`docs/media.md` has the measurements).
pub fn need(video: &Video, threads: usize) -> u64 {
    let bits = u64::from(video.width) * u64::from(video.height) * u64::from(video.pixel_bits);
    // Each thread decodes a picture of its own.
    let more = u64::try_from(threads).unwrap_or(1).saturating_sub(1) * 2;
    let tone_mapping = match video.colour.transfer {
        Transfer::Sdr => 0,
        Transfer::Hlg | Transfer::Pq => TONE_MAPPING,
    };
    BASE + tone_mapping + (PICTURES + more) * bits / 8
}

/// Memory for all running jobs, in units of a mebibyte.
#[derive(Debug)]
pub struct Admission {
    budget: u32,
    room: Semaphore,
}

impl Admission {
    /// Three quarters of this machine's memory, or of what its container may use of it: the rest is for
    /// everybody else, and for the files that are read and written.
    pub fn of_this_machine() -> Self {
        let machine = fs::read_to_string("/proc/meminfo").ok();
        let machine = machine.and_then(|text| memory(&text, "MemTotal:"));
        let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let container = container.and_then(|text| text.trim().parse().ok());
        let bytes = machine.into_iter().chain(container).min();
        Self::of(bytes.unwrap_or(2048 * MEBIBYTE) / 4 * 3)
    }

    fn of(bytes: u64) -> Self {
        let budget = u32::try_from(bytes / MEBIBYTE).unwrap_or(u32::MAX).max(1);
        // A semaphore counts no further than this.
        let budget = budget.min(1 << 24);
        let permits = usize::try_from(budget).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            budget,
            room: Semaphore::new(permits),
        }
    }

    /// Waits until a job that needs `bytes` fits beside those that run. One that needs more than there
    /// is runs alone.
    pub async fn enter(&self, bytes: u64) -> anyhow::Result<SemaphorePermit<'_>> {
        let need = u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX);
        Ok(self.room.acquire_many(need.min(self.budget)).await?)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LIGHT: u64 = 250 * MEBIBYTE;
    const HEAVY: u64 = 800 * MEBIBYTE;

    #[tokio::test]
    async fn four_light_jobs_fit_on_a_small_machine_or_one_heavy_beside_two() {
        let small = Admission::of(1500 * MEBIBYTE);
        let mut light = Vec::new();
        for _ in 0..4 {
            light.push(small.enter(LIGHT).now_or_never().unwrap().unwrap());
        }
        assert!(small.enter(HEAVY).now_or_never().is_none());
        light.truncate(2);
        let heavy = small.enter(HEAVY).now_or_never().unwrap().unwrap();
        assert!(small.enter(HEAVY).now_or_never().is_none());
        drop((light, heavy));
        assert!(small.enter(HEAVY).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_job_that_needs_more_than_there_is_runs_alone() {
        let tiny = Admission::of(400 * MEBIBYTE);
        let heavy = tiny.enter(HEAVY).now_or_never().unwrap().unwrap();
        assert!(tiny.enter(1).now_or_never().is_none());
        drop(heavy);
        assert!(tiny.enter(1).now_or_never().is_some());
    }

    #[test]
    fn the_machine_says_how_much_it_has() {
        let text = "MemTotal:        1962416 kB\nMemFree:          100000 kB\n";
        assert_eq!(memory(text, "MemTotal:"), Some(1_962_416 * 1024));
        assert!(Admission::of_this_machine().budget > 100);
    }
}
