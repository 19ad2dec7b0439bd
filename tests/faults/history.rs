//! What the clients saw: what was acknowledged to them, what may or may not have happened, and what must
//! never be. Shared by all of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use anb::ids::VideoId;

use crate::town::Town;

/// What became of an upload that was answered 201.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Else it is no film, and must be refused.
    pub is_film: bool,
    pub is_public: bool,
    pub is_deleted: bool,
}

/// A fan's vote for a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// Answered 200, or after an unknown end "already voted".
    Counted,
    /// Asked for, and never answered: it may count.
    Maybe,
}

#[derive(Default)]
struct Seen {
    uploads: BTreeMap<VideoId, Upload>,
    /// Uploads whose end is unknown to the client: each may be a video.
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
    /// Notes a request and, if it went wrong, how.
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

    /// Changes what is known of an upload.
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

    /// Notes that a promise was broken.
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
            "{} uploads and {} votes acknowledged, {} uploads with an unknown end",
            seen.uploads.len(),
            seen.votes
                .values()
                .filter(|vote| **vote == Vote::Counted)
                .count(),
            seen.unknown_uploads,
        );
    }

    /// Panics if a promise was broken, with what the logs say about it.
    pub fn check(&self, town: &Town) {
        let breaches = &self.seen.lock().unwrap().breaches;
        for breach in breaches {
            let video = breach.split(':').next().unwrap();
            for line in town.said_about(video) {
                println!("{line}");
            }
        }
        assert!(breaches.is_empty(), "{breaches:#?}");
    }
}
