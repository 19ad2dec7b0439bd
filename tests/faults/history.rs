//! The history that all clients share: acknowledged operations, operations with an unknown outcome,
//! and breaches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use anb::ids::VideoId;

use crate::system::System;

/// State of an upload that was answered with 201.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Whether the file is a film. Other files must be rejected.
    pub is_film: bool,
    pub is_public: bool,
    pub is_deleted: bool,
}

/// A fan's vote for a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// Answered with 200, or with "already voted" after an attempt whose outcome is unknown.
    Counted,
    /// Sent but never answered, so it may count.
    Maybe,
}

#[derive(Default)]
struct Seen {
    uploads: BTreeMap<VideoId, Upload>,
    /// Uploads whose outcome is unknown to the client. Each may have created a video.
    unknown_uploads: usize,
    votes: HashMap<(String, VideoId), Vote>,
    requests: BTreeMap<&'static str, usize>,
    failures: BTreeMap<(&'static str, String), usize>,
    breaches: BTreeSet<String>,
}

#[derive(Default)]
pub struct History {
    seen: Mutex<Seen>,
}

impl History {
    /// Records a request and its failure, if any.
    pub fn request(&self, kind: &'static str, failure: Option<String>) {
        let mut seen = self.seen.lock().unwrap();
        *seen.requests.entry(kind).or_default() += 1;
        if let Some(failure) = failure {
            *seen.failures.entry((kind, failure)).or_default() += 1;
        }
    }

    pub fn upload(&self, video: VideoId, upload: Upload) {
        let mut seen = self.seen.lock().unwrap();
        if seen.uploads.insert(video, upload).is_some() {
            seen.breaches.insert(format!("{video}: accepted twice"));
        }
    }

    pub fn unknown_upload(&self) {
        self.seen.lock().unwrap().unknown_uploads += 1;
    }

    pub fn update(&self, video: VideoId, change: impl FnOnce(&mut Upload)) {
        change(self.seen.lock().unwrap().uploads.get_mut(&video).unwrap());
    }

    pub fn vote(&self, fan: &str, video: VideoId, vote: Vote) {
        let mut seen = self.seen.lock().unwrap();
        let before = seen.votes.insert((fan.to_owned(), video), vote);
        if before == Some(Vote::Counted) && vote == Vote::Counted {
            seen.breaches
                .insert(format!("{video}: a vote of {fan} counted twice"));
        }
    }

    /// Records the violation of a guarantee.
    pub fn breach(&self, what: String) {
        println!("BREACH {what}");
        self.seen.lock().unwrap().breaches.insert(what);
    }

    pub fn uploads(&self) -> BTreeMap<VideoId, Upload> {
        self.seen.lock().unwrap().uploads.clone()
    }

    pub fn unknown_uploads(&self) -> usize {
        self.seen.lock().unwrap().unknown_uploads
    }

    pub fn votes(&self) -> HashMap<(String, VideoId), Vote> {
        self.seen.lock().unwrap().votes.clone()
    }

    pub fn print(&self) {
        let seen = self.seen.lock().unwrap();
        println!("requests: {:?}", seen.requests);
        println!("failed: {:?}", seen.failures);
        println!(
            "{} uploads and {} votes acknowledged, {} uploads with an unknown outcome",
            seen.uploads.len(),
            seen.votes
                .values()
                .filter(|vote| **vote == Vote::Counted)
                .count(),
            seen.unknown_uploads,
        );
    }

    /// Panics after any breach, and prints the log lines about it.
    pub fn check(&self, system: &System) {
        let breaches = &self.seen.lock().unwrap().breaches;
        for breach in breaches {
            let video = breach.split(':').next().unwrap();
            for line in system.said_about(video) {
                println!("{line}");
            }
        }
        assert!(breaches.is_empty(), "{breaches:#?}");
    }
}
