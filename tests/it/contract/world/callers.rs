//! The users who send the requests, with valid and invalid tokens.

use std::time::Duration;

use anb::ids::UserId;
use reqwest::Method;
use secrecy::ExposeSecret as _;

use super::{Setting, World};
use crate::{
    contract::{
        case::{BadToken, Upload, Who},
        resumable::LENGTH,
    },
    support::{Response, UNSIGNED_HEAD, seconds, sign},
};

/// A user who sends requests.
pub struct Caller {
    pub(super) user: UserId,
    pub token: Option<String>,
}

impl World {
    /// Returns a token for the session cookie of a caller.
    pub fn page_token(&self, caller: &Caller) -> String {
        let lifetime = Duration::from_mins(1);
        self.tokens.issue_for_page(caller.user, lifetime).unwrap()
    }

    pub async fn caller(&self, who: Who) -> Caller {
        let with = |user, token| Caller { user, token };
        let player = |user| with(user, Some(self.tokens.issue(user).unwrap()));
        match who {
            Who::Nobody => with(self.third, None),
            Who::InvalidToken(token) => with(self.third, Some(self.bad_token(token).await)),
            Who::Owner => player(self.owner),
            Who::Fan => player(self.fan),
            Who::Organiser => player(self.organiser),
            Who::Newcomer => self.newcomer().await,
            Who::Uploader => player(self.uploader().await),
            Who::BusyReporter => {
                let user = self.uploader().await;
                self.add_reports(user).await;
                player(user)
            }
            Who::BusyUploader => {
                let user = self.uploader().await;
                for _ in 0..self.app.serve.quota.max_resumable_uploads {
                    self.add_upload(user, Upload::Open(LENGTH)).await;
                }
                player(user)
            }
        }
    }

    /// Returns a new player, whose quota and rate limit no other row uses up.
    async fn uploader(&self) -> UserId {
        if !self.has_tables() {
            return self.owner;
        }
        let name = format!("Sube{}", self.next());
        let player = self.app.insert_user(&name, "Cali").await;
        self.app.user_id(&player).await
    }

    async fn bad_token(&self, token: BadToken) -> String {
        let good = self.tokens.issue(self.owner).unwrap();
        let [head, claims, signature]: [&str; 3] =
            good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let secret = self.app.serve.auth.jwt_secret.expose_secret();
        match token {
            BadToken::Garbage => "e30.e30.e30".to_owned(),
            BadToken::Foreign => sign(self.owner, "another secret", seconds() + 60),
            BadToken::Unsigned => format!("{UNSIGNED_HEAD}.{claims}."),
            BadToken::Tampered => {
                let others = self.tokens.issue(self.fan).unwrap();
                let claims = others.split('.').nth(1).unwrap();
                format!("{head}.{claims}.{signature}")
            }
            BadToken::Expired => sign(self.owner, secret, seconds() - 1),
            BadToken::LoggedOut => {
                let logout = self.app.request(Method::POST, "/api/auth/logout");
                Response::of(logout.bearer_auth(&good)).await.ok();
                good
            }
        }
    }

    async fn newcomer(&self) -> Caller {
        // Here sign-ups fail or exceed their limit.
        if !self.has_tables() || matches!(self.setting, Setting::Crowded | Setting::Limited) {
            let token = self.tokens.issue(self.owner).unwrap();
            return Caller {
                user: self.owner,
                token: Some(token),
            };
        }
        let name = format!("Nuevo{}", self.next());
        let player = self.app.sign_up(&name, "Cali").await;
        Caller {
            user: self.app.user_id(&player).await,
            token: Some(player.token),
        }
    }
}
