//! The contest that visitors see: an API with worker, players, clips.

use std::{fs, path::PathBuf, time::Duration};

use anb::{auth::Tokens, city, ids::VideoId, shutdown::Shutdown};
use tokio::sync::OnceCell;

use crate::support::{Player, RUNTIME, Seed, TestApp, draw, film, free_port};

/// Rules for videos, so that small films can break them.
const RULES: [&str; 4] = [
    "--min-input-duration=2",
    "--max-input-duration=8",
    "--min-input-height=180",
    "--max-file-size=20000000",
];

/// Number of different posters.
const POSTERS: usize = 6;

/// Both colours of each poster.
const COLOURS: [&str; POSTERS] = [
    "0x123a6b:c1=0xf2751a",
    "0x0b1b3a:c1=0x1d9a6c",
    "0x5a1a4a:c1=0xffc42e",
    "0x1a4a5a:c1=0xb3d6ff",
    "0x7a2a1a:c1=0xffb07a",
    "0x2a2a5a:c1=0x9a6cd6",
];

pub struct Stage {
    pub app: TestApp,
    /// Ends the worker.
    worker: Option<Shutdown>,
}

impl Stage {
    /// Starts the API at an address that it knows.
    pub async fn set() -> Self {
        Self::set_with_rules(&RULES, &[]).await
    }

    /// Like [`Self::set`], with other rules and more flags of `anb serve`.
    pub async fn set_with_rules(rules: &[&str], serve: &[&str]) -> Self {
        let port = free_port();
        let own = [
            format!("--port={port}"),
            format!("--public-url=http://127.0.0.1:{port}"),
        ];
        let own = own.each_ref().map(String::as_str);
        let serve = [&own, rules, serve].concat();
        let app = TestApp::spawn_with(&serve, rules).await;
        Self { app, worker: None }
    }

    /// Starts a worker.
    pub async fn work(&mut self) {
        let (worker, shutdown) = self.app.worker().await;
        RUNTIME.spawn(async move { worker.run().await });
        self.worker = Some(shutdown);
    }

    /// Returns the token of a session of pages.
    pub async fn session(&self, player: &Player) -> String {
        let auth = &self.app.serve.auth;
        let tokens = Tokens::new(auth, self.app.db.clone(), &self.app.shutdown);
        let user = self.app.user_id(player).await;
        tokens
            .issue_for_page(user, Duration::from_hours(1))
            .unwrap()
    }

    /// Inserts a user with a full name.
    pub async fn player(&self, name: &str, last_name: &str, city: &str) -> Player {
        let id = VideoId::generate();
        let player = self.app.insert_user(&id.to_string(), city).await;
        let rename = format!(
            "UPDATE users SET first_name = '{name}', last_name = '{last_name}', city_key = '{}'
             WHERE email = '{}'",
            city::fold(city),
            player.email,
        );
        assert_eq!(self.app.execute(&rename).await, 1);
        player
    }

    pub async fn make_organiser(&self, player: &Player) {
        let grant = format!(
            "UPDATE users SET role = 'organiser' WHERE email = '{}'",
            player.email
        );
        assert_eq!(self.app.execute(&grant).await, 1);
    }

    /// Lets a failed video have failed through a system failure.
    pub async fn fail_by_our_fault(&self, id: &str) {
        let failure = r#"failure = '{"code": "processing_failed"}'"#;
        self.app.set(VideoId::parse(id).unwrap(), failure).await;
    }

    /// Adds a video with its files. Returns its id.
    pub async fn clip(&self, owner: &Player, seed: Seed<'_>) -> String {
        let id = self.app.add(owner, seed).await;
        let folder = self.app.processed().join(&id);
        fs::create_dir_all(&folder).unwrap();
        let posters = posters().await;
        let number = usize::from(*id.as_bytes().last().unwrap()) % POSTERS;
        let ([poster, thumb], film) = (&posters[number], film().await);
        for (file, bytes) in [
            ("1.jpg", poster),
            ("1-s.jpg", thumb),
            ("1.mp4", &film),
            ("1-l.mp4", &film),
        ] {
            fs::write(folder.join(file), bytes).unwrap();
        }
        let renditions =
            "clip_bytes = 9122611, light_bytes = 2202009, has_thumb = true, colour = '24416e'";
        let video = VideoId::parse(&id).unwrap();
        self.app.set(video, renditions).await;
        id
    }

    /// Adds the original of a video, so that a worker can process it.
    pub fn original(&self, id: &str, film: &[u8]) {
        let folder = self.app.folder.path().join("uploads");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{id}.mp4")), film).unwrap();
    }

    /// Writes a file that a player could choose.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.app.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.force();
        }
    }
}

/// Returns posters with their thumbs.
async fn posters() -> &'static Vec<[Vec<u8>; 2]> {
    static DRAWN: OnceCell<Vec<[Vec<u8>; 2]>> = OnceCell::const_new();
    DRAWN
        .get_or_init(async || {
            let mut posters = Vec::new();
            for (number, colours) in COLOURS.into_iter().enumerate() {
                let picture = async |size| {
                    let source = format!(
                        "-f lavfi -i gradients=s={size}:n=2:c0={colours}:seed={number}:type=linear \
                         -vf drawgrid=w=iw/4:h=ih/4:t=2:c=white@0.1 -frames:v 1 -q:v 6"
                    );
                    draw(&source, "poster.jpg").await
                };
                posters.push([picture("1280x720").await, picture("480x270").await]);
            }
            posters
        })
        .await
}
