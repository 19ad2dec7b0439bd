//! A player's own videos: `/mis-videos`, `/mis-videos/{id}` and the page that confirms a delete.

use askama::Template;

use super::{Clip, FieldProblem, Notice, Pager, Shell};
use crate::web::text::{modules, time_left};

#[derive(Debug, Template)]
#[template(path = "my_videos.html", config = ".config/askama.toml")]
pub struct MyVideosPage {
    pub shell: Shell,
    pub videos: Vec<MyVideo>,
    pub unfinished: Vec<OpenUpload>,
    pub pager: Pager,
    /// Whether a browser without JavaScript loads the page again.
    pub refresh: bool,
}

#[derive(Debug, Template)]
#[template(path = "my_video.html", config = ".config/askama.toml")]
pub struct MyVideoPage {
    pub shell: Shell,
    pub video: MyVideo,
    /// The clip, once it is ready.
    pub clip: Option<Clip>,
    /// `wa.me` address with the text to send, of a public clip.
    pub share: Option<String>,
    pub errors: Vec<FieldProblem>,
    pub notice: Option<Notice>,
    /// Whether a browser without JavaScript loads the page again.
    pub refresh: bool,
}

/// Asks whether to delete a video.
#[derive(Debug, Template)]
#[template(path = "delete.html", config = ".config/askama.toml")]
pub struct DeletePage {
    pub shell: Shell,
    pub video: MyVideo,
}

/// A video as its player sees it.
#[derive(Debug, Clone)]
pub struct MyVideo {
    pub id: String,
    pub title: String,
    pub state: State,
    pub is_public: bool,
    /// The organisers' reason, if they hid the video.
    pub hidden: Option<String>,
    /// What the player answered to that.
    pub answer: Option<String>,
    pub votes: i64,
    /// When it was uploaded, in words.
    pub uploaded: String,
    pub thumb: Option<String>,
    pub colour: Option<String>,
}

/// The state of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    InLine {
        /// Videos that are processed before it.
        before: i64,
    },
    Processing {
        percent: u8,
        seconds_left: Option<u64>,
    },
    Ready,
    Failed {
        reason: String,
        advice: Advice,
    },
}

/// What to do about a failed video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    ChooseOther,
    UploadAgain,
}

/// An upload that can be continued.
#[derive(Debug, Clone)]
pub struct OpenUpload {
    pub id: String,
    /// Name of the file.
    pub file: String,
    pub percent: u8,
}

impl State {
    /// Returns the short name, of a private video once it is ready.
    pub fn label(&self, shell: &Shell) -> &'static str {
        let t = shell.t;
        match self {
            Self::InLine { .. } => t.state_in_line,
            Self::Processing { .. } => t.state_processing,
            Self::Ready => t.state_private,
            Self::Failed { .. } => t.state_failed,
        }
    }

    /// Returns what it means for the player.
    pub fn sentence(&self, shell: &Shell) -> String {
        let t = shell.t;
        match self {
            Self::InLine { before: 0 } => t.next_in_line.to_owned(),
            Self::InLine { before: 1 } => t.one_in_line.to_owned(),
            Self::InLine { before } => (t.in_line)(&shell.count(before)),
            Self::Processing {
                seconds_left: Some(seconds),
                ..
            } => (t.about_left)(&time_left(*seconds)),
            Self::Processing { .. } => t.received.to_owned(),
            Self::Ready => t.clip_ready.to_owned(),
            Self::Failed { reason, .. } => reason.clone(),
        }
    }

    /// Returns the progress, which is 0 until a worker has begun.
    pub fn percent(&self) -> u8 {
        match self {
            Self::Processing { percent, .. } => *percent,
            Self::InLine { .. } | Self::Ready | Self::Failed { .. } => 0,
        }
    }
}

impl MyVideo {
    pub fn page(&self) -> String {
        format!("/mis-videos/{}", self.id)
    }

    /// Returns the state for modules and styles.
    pub fn key(&self) -> &'static str {
        match self.state {
            State::InLine { .. } => "waiting",
            State::Processing { .. } => "processing",
            State::Ready if self.hidden.is_some() => "hidden",
            State::Ready if self.is_public => "public",
            State::Ready => "ready",
            State::Failed { .. } => "failed",
        }
    }

    /// Returns the state's short name.
    pub fn label(&self, shell: &Shell) -> &'static str {
        match self.state {
            State::Ready if self.hidden.is_some() => shell.t.state_hidden,
            State::Ready if self.is_public => shell.t.state_public,
            State::InLine { .. }
            | State::Processing { .. }
            | State::Ready
            | State::Failed { .. } => self.state.label(shell),
        }
    }

    /// Returns the icon of the state.
    pub fn icon(&self) -> &'static str {
        match self.state {
            State::InLine { .. } => "clock",
            State::Processing { .. } => "reload",
            State::Ready if self.hidden.is_some() => "hidden",
            State::Ready if self.is_public => "check",
            State::Ready => "lock",
            State::Failed { .. } => "warning",
        }
    }

    /// Returns what the state means for the player.
    pub fn sentence(&self, shell: &Shell) -> String {
        let t = shell.t;
        match (&self.state, &self.hidden) {
            (State::Ready, Some(reason)) => (t.hidden_because)(reason.trim_end_matches('.')),
            (State::Ready, None) if self.is_public => t.published_hint.to_owned(),
            (state, _) => state.sentence(shell),
        }
    }

    /// Whether the state still changes by itself.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.state, State::InLine { .. } | State::Processing { .. })
    }

    /// Returns the progress, which is 0 until a worker has begun.
    pub fn percent(&self) -> u8 {
        self.state.percent()
    }

    pub fn shown_percent(&self, shell: &Shell) -> String {
        shell.percent(&self.percent())
    }

    /// Returns the words for the step after a failure.
    pub fn advice(&self, shell: &Shell) -> Option<&'static str> {
        match self.state {
            State::Failed { advice, .. } => Some(match advice {
                Advice::ChooseOther => shell.t.choose_other,
                Advice::UploadAgain => shell.t.upload_again,
            }),
            State::InLine { .. } | State::Processing { .. } | State::Ready => None,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    pub fn is_failed(&self) -> bool {
        matches!(self.state, State::Failed { .. })
    }
}

impl MyVideosPage {
    fn phrases(&self) -> String {
        modules::live(self.shell.t)
    }
}

impl MyVideoPage {
    fn phrases(&self) -> String {
        modules::live(self.shell.t)
    }
}
