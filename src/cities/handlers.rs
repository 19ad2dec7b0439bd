//! `GET /api/public/cities`: places to choose from, while a name is typed.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::{
    app::App,
    http::{
        Result, filter,
        representation::{STATIC_CACHE_CONTROL, begin_response, tag_of},
    },
};

#[derive(Deserialize)]
pub struct PlaceQuery {
    q: Option<String>,
}

#[derive(Serialize)]
struct PlaceBody {
    id: i64,
    name: String,
    department: String,
}

impl From<Place> for PlaceBody {
    fn from(place: Place) -> Self {
        Self {
            id: place.id,
            name: place.name,
            department: place.department,
        }
    }
}

/// `GET /api/public/cities`
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<PlaceQuery>,
) -> Result<HttpResponse> {
    let text = filter::text(query.q.as_deref())?.unwrap_or_default();
    let places = super::find(&app, &text).await?;
    let places: Vec<PlaceBody> = places.into_iter().map(PlaceBody::from).collect();
    let body = serde_json::to_vec(&places).map_err(anyhow::Error::from)?;
    // Places change with migrations only.
    let (mut response, is_current) = begin_response(&request, &tag_of(&body), STATIC_CACHE_CONTROL);
    if is_current {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(body))
}
