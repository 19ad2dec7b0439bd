//! The contests of a world.

use anb::ids::VideoId;

use super::World;
use crate::{
    contract::case::{Stage, Video},
    support::Seed,
};

impl World {
    /// Creates the current contest, which takes videos and votes since `opens`.
    pub(super) async fn begin_contest(&self, opens: &str, rules: &str) {
        let create = format!(
            "INSERT INTO contests (slug, name, time_zone, submissions_open_at,
                 submissions_close_at, voting_open_at, voting_close_at)
             VALUES ('copa', 'Copa de prueba', 'America/Bogota', '{opens}', '2999-01-01',
                 '{opens}', '2999-01-01')"
        );
        self.app.execute(&create).await;
        let set = format!("UPDATE contests SET name = 'Copa Colombia'{rules}");
        self.app.execute(&set).await;
    }

    /// Returns the slug of a new contest.
    pub async fn contest(&self, stage: Stage) -> String {
        let slug = format!("copa-{}", VideoId::generate());
        if !self.has_tables() {
            return slug;
        }
        let (opens, closes) = match stage {
            Stage::Planned => ("2998-01-01", "2999-01-01"),
            Stage::Voting | Stage::Voted => ("2020-01-01", "2999-01-01"),
            Stage::Closed | Stage::Frozen | Stage::Published => ("2020-01-01", "2021-01-01"),
        };
        let is_frozen = matches!(stage, Stage::Frozen | Stage::Published);
        let create = format!(
            "INSERT INTO contests (slug, name, time_zone, submissions_open_at,
                 submissions_close_at, voting_open_at, voting_close_at, is_current, frozen_at,
                 digest, published_at)
             VALUES ('{slug}', 'Copa de prueba', 'America/Bogota', '{opens}', '{closes}',
                 '{opens}', '{closes}', false, CASE WHEN {is_frozen} THEN now() END,
                 CASE WHEN {is_frozen} THEN repeat('0', 64) END,
                 CASE WHEN {} THEN now() END)",
            stage == Stage::Published
        );
        self.app.execute(&create).await;
        if is_frozen {
            let result = format!(
                "INSERT INTO results (contest_id, position, city_key, city, city_position, is_tied,
                     user_id, player, votes, video_id, title)
                 SELECT id, 1, 'bogota', 'Bogotá', 1, false, 1, 'Ana Prueba', 3,
                     gen_random_uuid(), 'Mi mejor jugada' FROM contests WHERE slug = '{slug}'"
            );
            self.app.execute(&result).await;
        }
        if stage == Stage::Voted {
            let id = self.video(Video::Voted(Seed::PUBLIC)).await;
            let enter = "UPDATE videos SET contest_id = contests.id FROM contests";
            let enter = format!("{enter} WHERE slug = '{slug}' AND videos.id = '{id}'");
            self.app.execute(&enter).await;
        }
        slug
    }
}
