//! `POST /api/videos/upload`: reads the form as a stream, with its fields in any order.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::{Authenticated, RequestId, content_length, reject_encoded},
        multipart::{Field, Form},
        rate::Limits,
        respond::Message,
    },
    ids::{UserId, VideoId},
    language::Language,
    validate::Problem,
    videos::{
        check_title,
        upload::{Receiving, UploadError},
    },
};

/// Maximum size of a text field. A title of 100 characters is smaller in any encoding (bytes).
const MAX_TEXT_BYTES: usize = 4096;

#[derive(Serialize)]
struct Accepted {
    #[serde(flatten)]
    message: Message,
    task_id: VideoId,
}

#[derive(Default)]
struct Received {
    file: Option<Receiving>,
    title: Option<String>,
    is_public: Option<bool>,
}

/// `POST /api/videos/upload`
pub async fn upload(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    id: RequestId,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let task_id = receive(&app, &limits, caller, id, &request, payload).await?;
    Ok(HttpResponse::Created().json(Accepted {
        message: Message::new(
            language,
            "Video subido correctamente. Procesamiento en curso.",
            "Video uploaded. It is being processed.",
        ),
        task_id,
    }))
}

/// Receives a video by form. Returns its id.
pub async fn receive(
    app: &App,
    limits: &Limits,
    caller: Authenticated,
    id: RequestId,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<VideoId> {
    limits.write.take(&caller.user())?;
    reject_encoded(request)?;
    if content_length(request).is_some_and(|length| length > app.upload.max_bytes()) {
        return Err(Code::FileTooLarge.into());
    }
    let mut received = Received::default();
    let form = Form::new(request, payload)?;
    let reading = read_form(app, caller.user(), form, &mut received);
    let read = match timeout(app.upload.upload_timeout, reading).await {
        Ok(read) => read.and_then(|()| complete(&mut received)),
        Err(_) => Err(Code::BodyTooSlow.into()),
    };
    let (file, title) = match read {
        Ok(complete) => complete,
        Err(error) => {
            if let Some(file) = received.file {
                file.abandon(app).await;
            }
            return Err(error);
        }
    };
    let is_public = received.is_public.unwrap_or(false);
    Ok(file
        .accept(app, &title, is_public, id.0.to_string())
        .await?)
}

/// Reads all fields. After an error the caller must abandon the file left in `received`.
async fn read_form(app: &App, user: UserId, mut form: Form, received: &mut Received) -> Result<()> {
    while let Some(mut field) = form.next_field().await? {
        match field.name() {
            "video_file" | "file" if received.file.is_none() => {
                let file = received.file.insert(Receiving::begin(app, user).await?);
                read_file(&mut form, &mut field, file).await?;
            }
            "title" if received.title.is_none() => {
                let title = form.text(&mut field, MAX_TEXT_BYTES).await?;
                // An invalid title that comes first is rejected before 100 MiB of video arrive.
                received.title = Some(check_title(&title)?);
            }
            "is_public" if received.is_public.is_none() => {
                let text = form.text(&mut field, MAX_TEXT_BYTES).await?;
                received.is_public = Some(parse_flag(&text)?);
            }
            "video_file" | "file" | "title" | "is_public" => return Err(Code::InvalidForm.into()),
            _ => {
                form.text(&mut field, MAX_TEXT_BYTES).await?;
            }
        }
    }
    Ok(())
}

async fn read_file(form: &mut Form, field: &mut Field, file: &mut Receiving) -> Result<()> {
    while let Some(chunk) = form.chunk(field).await? {
        file.write(chunk).await?;
    }
    Ok(file.sniff()?)
}

/// Parses `is_public`.
pub fn parse_flag(text: &str) -> Result<bool> {
    match text.trim() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(Error::field("is_public", Problem::Invalid)),
    }
}

/// Returns file and title, or an error if one is missing.
fn complete(received: &mut Received) -> Result<(Receiving, String)> {
    let title = received.title.take();
    let title = title.ok_or(Error::field("title", Problem::Required))?;
    let file = received.file.take().ok_or(Code::MissingFile)?;
    Ok((file, title))
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLarge => Code::FileTooLarge.into(),
            UploadError::NotAnMp4 => Code::NotAnMp4.into(),
            UploadError::TooSlow => Code::BodyTooSlow.into(),
            UploadError::TooManyOpen => Code::TooManyOpenUploads.into(),
            UploadError::TooManyWaiting => Code::TooManyWaitingVideos.into(),
            UploadError::TooManyEntries => Code::EntryLimit.into(),
            UploadError::SubmissionsClosed {
                opens_at,
                closes_at,
            } => Self::closed(Code::SubmissionsClosed, opens_at, closes_at),
            UploadError::Broken(error) => error.into(),
        }
    }
}
