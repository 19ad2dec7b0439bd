//! Lists of videos, a page at a time and in a total order.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, PgTextExpressionMethods as _,
    QueryDsl as _, Queryable, Selectable, SelectableHelper as _, TextExpressionMethods as _,
};
use diesel_async::RunQueryDsl as _;

use super::Video;
use crate::{
    db::{
        Connection, like,
        schema::{users, videos},
        types::VideoStatus,
    },
    ids::{UserId, VideoId},
};

/// A video as the public knows it: no e-mail, no original.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = videos)]
pub struct PublicVideo {
    pub id: VideoId,
    pub title: String,
    pub votes: i64,
    pub attempt: i32,
    pub uploaded_at: DateTime<Utc>,
    pub processed_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    pub player: Player,
}

/// Who made a video.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Player {
    pub first_name: String,
    pub last_name: String,
    pub city: String,
}

/// What a public list is narrowed to.
#[derive(Debug, Default)]
pub struct Filter {
    /// A city, folded; also finds cities that go on after it (`bogota`: `bogota d c`).
    pub city: Option<String>,
    /// Words in title or name.
    pub text: Option<String>,
}

/// Returns a user's own videos, newest first.
pub async fn own(
    connection: &mut Connection,
    user: UserId,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<Video>> {
    let own = videos::table
        .filter(videos::user_id.eq(user))
        .order((videos::uploaded_at.desc(), videos::id.desc()))
        .limit(limit)
        .offset(offset)
        .select(Video::as_select())
        .load(connection)
        .await?;
    Ok(own)
}

/// Returns what the public may watch, most voted first; the earlier upload wins a tie.
pub async fn public(
    connection: &mut Connection,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<PublicVideo>> {
    let mut query = videos::table
        .inner_join(users::table)
        .filter(videos::is_public.and(videos::status.eq(VideoStatus::Processed)))
        .into_boxed();
    if let Some(city) = &filter.city {
        let longer = format!("{} %", like(city));
        query = query.filter(users::city_key.eq(city).or(users::city_key.like(longer)));
    }
    if let Some(text) = &filter.text {
        let pattern = format!("%{}%", like(text));
        let name = users::first_name.concat(" ").concat(users::last_name);
        query = query.filter(videos::title.ilike(pattern.clone()).or(name.ilike(pattern)));
    }
    let found = query
        .order((videos::votes.desc(), videos::uploaded_at, videos::id))
        .limit(limit)
        .offset(offset)
        .select(PublicVideo::as_select())
        .load(connection)
        .await?;
    Ok(found)
}
