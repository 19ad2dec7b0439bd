//! The contest: windows and limits of votes and uploads, and the frozen result.

mod command;
mod entries;
mod plan;
mod result;
mod votes;

use anb::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Player, Response, Seed, TestApp};

const CONTEST: &str = "/api/contests";
const COPA: &str = "/api/contests/copa";

const CLOSE: &str = "UPDATE contests
    SET (submissions_close_at, voting_close_at) = (clock_timestamp(), clock_timestamp())";

/// An installation with an organiser, a player with a public video, and fans.
struct Scene {
    app: TestApp,
    organiser: Player,
    ana: Player,
    video: String,
    fans: Vec<Player>,
}

impl Scene {
    async fn open(fans: usize) -> Self {
        let app = TestApp::spawn().await;
        let organiser = app.insert_user("Nora", "Bogotá").await;
        app.grant(&organiser.email, Role::Organiser).await;
        let ana = app.insert_user("Ana", "Cali").await;
        let video = app.add(&ana, Seed::PUBLIC).await;
        let fans = app.insert_users(fans).await;
        Self {
            app,
            organiser,
            ana,
            video,
            fans,
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.app.as_player(&self.organiser, method, path);
        Response::of(request.json(body)).await
    }

    /// Creates a contest that all videos take part in, and whose voting is open, with changes.
    async fn create(&self, changes: Value) -> Response {
        let mut plan = json!({
            "slug": "copa", "name": "Copa de prueba", "submissions_open_at": "2020-01-01",
            "voting_open_at": "2020-01-01", "voting_close_at": "2999-01-01",
        });
        let plan_members = plan.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            plan_members.insert(name.clone(), value.clone());
        }
        self.send(Method::POST, CONTEST, &plan).await
    }

    async fn create_running(&self, changes: Value) {
        let created = self.create(changes).await;
        assert_eq!(created.status, 201, "{created:?}");
    }

    /// Changes the contest, even if it is running.
    async fn reschedule(&self, changes: &Value) {
        let answer = self
            .send(Method::PATCH, &format!("{COPA}?force=true"), changes)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn act(&self, act: &str) -> Response {
        self.send(Method::POST, &format!("{COPA}/{act}"), &json!({}))
            .await
    }

    async fn vote(&self, fan: usize, video: &str) -> Response {
        self.app.vote(&self.fans[fan], video).await
    }

    /// Ends the voting and publishes the result.
    async fn publish(&self) {
        self.reschedule(&json!({"voting_close_at": "now"})).await;
        for act in ["freeze", "publish"] {
            let done = self.act(act).await;
            assert_eq!(done.status, 200, "{act}: {done:?}");
        }
    }

    async fn results(&self, query: &str) -> Value {
        let path = format!("/api/public/contest/copa/results{query}");
        self.app.get(&path).await.ok()
    }
}
