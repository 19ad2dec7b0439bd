//! `GET /api/rules`: what a video must be like, so that clients can check it before they send it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::{
    app::App,
    contests::CurrentContest,
    http::{
        Result,
        representation::{STATIC_CACHE_CONTROL, begin_response, tag_of},
    },
};

/// Rules that the contest does not have are absent.
#[derive(Serialize)]
struct RulesBody {
    max_file_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_duration_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration_seconds: Option<u32>,
    /// Counted on the shorter side of the upright picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_lines: Option<u32>,
}

/// `GET /api/rules`
pub async fn rules(
    app: web::Data<App>,
    contest: web::Data<CurrentContest>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let setting = app.upload.max_file_size;
    let (rules, max_file_bytes) = contest.video_rules(app.rules, setting).await?;
    let [min_duration_seconds, max_duration_seconds, min_lines] = rules.limits();
    let body = serde_json::to_vec(&RulesBody {
        max_file_bytes,
        min_duration_seconds,
        max_duration_seconds,
        min_lines,
    })
    .map_err(anyhow::Error::from)?;
    let (mut response, is_current) = begin_response(&request, &tag_of(&body), STATIC_CACHE_CONTROL);
    if is_current {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(body))
}
