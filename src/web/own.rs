//! From a player's own videos to what their pages show.

use std::collections::HashMap;

use chrono::Utc;

use super::{
    clips,
    text::ago,
    view::{
        Clip,
        mine::{Advice, MyVideo, OpenUpload, State},
    },
};
use crate::{
    app::App,
    ids::VideoId,
    language::Language,
    storage::{MediaUrls, StorageKey},
    users::Profile,
    videos::{
        Failure, Readers, Video, VideoStatus,
        board::{self, Progress},
        resumable::{self, Upload},
        seconds_until,
    },
};

/// Returns videos as their player sees them, in the same order.
pub async fn my_videos(
    app: &App,
    videos: &[Video],
    language: Language,
) -> anyhow::Result<Vec<MyVideo>> {
    let waiting: Vec<VideoId> = videos
        .iter()
        .filter(|video| video.status == VideoStatus::Uploaded)
        .map(|video| video.id)
        .collect();
    let progress = if waiting.is_empty() {
        Vec::new()
    } else {
        board::progress(&app.backends.db, &waiting).await?
    };
    let before: HashMap<VideoId, i64> = progress
        .iter()
        .map(|progress| (progress.id, progress.before))
        .collect();
    let mut shown = Vec::with_capacity(videos.len());
    for video in videos {
        let progress = Progress {
            id: video.id,
            status: video.status,
            progress: video.progress,
            ready_at: video.ready_at,
            before: before.get(&video.id).copied().unwrap_or_default(),
        };
        let thumb = picture(video, &app.media_urls);
        shown.push(MyVideo {
            id: video.id.to_string(),
            title: video.title.clone(),
            state: state(&progress, video.failure().as_ref(), language),
            is_public: video.is_public,
            hidden: video.hidden_reason.clone(),
            answer: video.answer.clone(),
            votes: video.votes,
            uploaded: ago(language, seconds_since(video.uploaded_at)),
            thumb,
            colour: video.renditions.colour.clone(),
        });
    }
    Ok(shown)
}

/// Returns the state of a video.
pub fn state(progress: &Progress, failure: Option<&Failure>, language: Language) -> State {
    match progress.status {
        VideoStatus::Uploaded => State::InLine {
            before: progress.before,
        },
        VideoStatus::Processing => State::Processing {
            percent: u8::try_from(progress.progress).unwrap_or_default(),
            seconds_left: progress.ready_at.map(seconds_until),
        },
        VideoStatus::Processed => State::Ready,
        VideoStatus::Failed => {
            let failure = failure.unwrap_or(&Failure::ProcessingFailed);
            State::Failed {
                reason: failure.message(language),
                advice: match failure {
                    Failure::ProcessingFailed | Failure::WorkerLost => Advice::UploadAgain,
                    Failure::Rejected(_) => Advice::ChooseOther,
                },
            }
        }
    }
}

/// Returns the time since `moment`, or zero if it is in the future (s).
pub fn seconds_since(moment: chrono::DateTime<Utc>) -> u64 {
    u64::try_from((Utc::now() - moment).num_seconds()).unwrap_or_default()
}

/// Returns the address at which the owner can read an output: a signed one unless all may.
pub fn address(video: &Video, urls: &MediaUrls, key: StorageKey) -> String {
    let readers = if video.is_watchable() {
        Readers::Public
    } else {
        Readers::Holder
    };
    readers.url(urls, key)
}

/// Returns the address of a video's small picture, once it exists; an old video has only the large
/// one.
pub fn picture(video: &Video, urls: &MediaUrls) -> Option<String> {
    let (_, poster) = video.outputs()?;
    let thumb = video.renditions.thumb(video.id, video.attempt);
    Some(address(video, urls, thumb.unwrap_or(poster)))
}

/// Returns the clip of a video, once it exists.
pub fn clip(video: &Video, player: String, city: String, urls: &MediaUrls) -> Option<Clip> {
    video.outputs()?;
    let address = |key| address(video, urls, key);
    Some(Clip {
        title: video.title.clone(),
        player,
        city,
        votes: video.votes,
        ..clips::files(video.id, video.attempt, &video.renditions, address)
    })
}

pub fn name(profile: &Profile) -> String {
    format!("{} {}", profile.first_name, profile.last_name)
}

/// Returns the uploads that the player can continue.
pub async fn open_uploads(app: &App, user: crate::ids::UserId) -> anyhow::Result<Vec<OpenUpload>> {
    let open = resumable::list(app, user).await?;
    Ok(open.into_iter().map(open_upload).collect())
}

fn open_upload(upload: Upload) -> OpenUpload {
    let percent = (upload.offset * 100)
        .checked_div(upload.length)
        .and_then(|percent| u8::try_from(percent).ok());
    OpenUpload {
        id: upload.video.to_string(),
        file: upload.title,
        percent: percent.unwrap_or_default(),
    }
}
