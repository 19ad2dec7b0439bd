//! Users and videos inserted directly into the database, which saves hashing and encoding.

use anb::{
    audit::By,
    auth::{Role, Tokens},
    city,
    ids::{UserId, VideoId},
    users::staff::{self, GrantOutcome},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl as _;

use super::{Player, TestApp, files_below, outputs_of};

/// A cheap hash that matches no password.
const DUMMY_HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$q83vEjRWeJCrze8SNFZ4kA";

/// A video to insert into the database.
#[derive(Debug, Clone, Copy)]
pub struct Seed<'a> {
    pub title: &'a str,
    pub status: &'a str,
    pub is_public: bool,
    /// Whether an organiser hid it.
    pub is_hidden: bool,
    pub votes: i64,
}

impl<'a> Seed<'a> {
    /// A public, processed video.
    pub const PUBLIC: Self = Self {
        title: "Mi mejor jugada",
        status: "processed",
        is_public: true,
        is_hidden: false,
        votes: 0,
    };
    /// A private, processed video.
    pub const PRIVATE: Self = Self {
        is_public: false,
        ..Self::PUBLIC
    };
    /// A video that was public until an organiser hid it.
    pub const HIDDEN: Self = Self {
        is_hidden: true,
        ..Self::PRIVATE
    };

    /// Returns the same video in another state.
    pub fn in_state(self, status: &'a str) -> Self {
        Self { status, ..self }
    }
}

/// Returns an operator, as commands name theirs.
pub fn operator() -> By {
    By::command("anb test")
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl TestApp {
    /// Runs a statement. Returns the number of changed rows.
    pub async fn execute(&self, statement: &str) -> usize {
        self.try_execute(statement).await.unwrap()
    }

    /// Runs a statement that may be refused. Returns the number of changed rows.
    pub async fn try_execute(&self, statement: &str) -> diesel::QueryResult<usize> {
        let mut connection = self.db.connection().await.unwrap();
        sql_query(statement).execute(&mut connection).await
    }

    /// Returns the value of a numeric expression, such as `SELECT count(*) FROM videos`.
    pub async fn number(&self, expression: &str) -> i64 {
        let mut connection = self.db.connection().await.unwrap();
        let query = sql_query(format!("SELECT ({expression})::bigint AS number"));
        let row: Number = query.get_result(&mut connection).await.unwrap();
        row.number
    }

    /// Grants a role, as an operator's command does.
    pub async fn grant(&self, email: &str, role: Role) {
        let granted = staff::grant(&self.db, &operator(), email, role).await;
        assert_eq!(granted.unwrap(), GrantOutcome::Granted);
    }

    pub async fn user_id(&self, player: &Player) -> UserId {
        let id = format!("SELECT id FROM users WHERE email = '{}'", player.email);
        UserId(self.number(&id).await)
    }

    /// Inserts a user with a token and an unknown password.
    pub async fn insert_user(&self, name: &str, city: &str) -> Player {
        let email = format!("{}@example.com", name.to_lowercase());
        let mut connection = self.db.connection().await.unwrap();
        let insert = sql_query(
            "INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
             VALUES ($1, 'Prueba', $2, $5, $3, $4, 'Colombia') RETURNING id AS number",
        );
        let row: Number = insert
            .bind::<Text, _>(name)
            .bind::<Text, _>(&email)
            .bind::<Text, _>(city)
            .bind::<Text, _>(city::fold(city))
            .bind::<Text, _>(DUMMY_HASH)
            .get_result(&mut connection)
            .await
            .unwrap();
        let tokens = Tokens::new(&self.serve.auth, self.db.clone(), &self.shutdown);
        let token = tokens.issue(UserId(row.number)).unwrap();
        Player { email, token }
    }

    pub async fn insert_users(&self, count: usize) -> Vec<Player> {
        let mut members = Vec::new();
        for number in 0..count {
            members.push(self.insert_user(&format!("Fan{number}"), "Tunja").await);
        }
        members
    }

    /// Adds a video of `owner` without files, newer than all others. Returns its id.
    pub async fn add(&self, owner: &Player, seed: Seed<'_>) -> String {
        let id = VideoId::generate().to_string();
        let mut connection = self.db.connection().await.unwrap();
        let insert = sql_query(format!(
            "INSERT INTO videos (id, user_id, title, status, is_public, votes, original_bytes, attempt,
                 lease_until, failure, processed_at, clip_bytes, light_bytes, has_thumb, colour,
                 hidden_reason, public_when_shown)
             SELECT '{id}', id, $1, '{status}', {is_public}, {votes}, 1, 1,
                 CASE '{status}' WHEN 'processing' THEN now() END,
                 CASE '{status}' WHEN 'failed' THEN '{{\"code\": \"corrupt\"}}'::jsonb END,
                 CASE '{status}' WHEN 'processed' THEN now() END,
                 CASE '{status}' WHEN 'processed' THEN 10 END,
                 CASE '{status}' WHEN 'processed' THEN 10 END,
                 '{status}' = 'processed',
                 CASE '{status}' WHEN 'processed' THEN '7f7f7f' END,
                 CASE WHEN {is_hidden} THEN 'Un motivo de prueba' END, {is_hidden}
             FROM users WHERE email = $2",
            status = seed.status,
            is_public = seed.is_public,
            is_hidden = seed.is_hidden,
            votes = seed.votes,
        ));
        let added = insert
            .bind::<Text, _>(seed.title)
            .bind::<Text, _>(&owner.email)
            .execute(&mut connection)
            .await;
        assert_eq!(added.unwrap(), 1);
        if seed.is_hidden {
            let log = format!(
                "INSERT INTO moderations (video_id, title, is_hidden, reason)
                 SELECT id, title, true, hidden_reason FROM videos WHERE id = '{id}'"
            );
            assert_eq!(sql_query(log).execute(&mut connection).await.unwrap(), 1);
        }
        id
    }

    /// Stores a file under `name`.
    pub fn plant(&self, name: &str) {
        if let Some(bucket) = &self.bucket {
            return bucket.plant(name);
        }
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "planted").unwrap();
    }

    /// Removes a file from the storage.
    pub fn remove(&self, name: &str) {
        match &self.bucket {
            Some(bucket) => bucket.remove(name),
            None => std::fs::remove_file(self.folder.path().join(name)).unwrap(),
        }
    }

    /// Stores an original and all outputs for a video, each of ten bytes.
    pub fn add_files(&self, id: &str) {
        let outputs = self.folder.path().join("processed").join(id);
        std::fs::create_dir_all(&outputs).unwrap();
        let original = self.folder.path().join(format!("uploads/{id}.mp4"));
        let outputs = outputs_of(1).map(|name| outputs.join(name));
        for file in [&[original], &outputs[..]].concat() {
            std::fs::write(file, b"0123456789").unwrap();
        }
    }

    /// Lists the files in storage: `uploads/…` and `processed/…`.
    pub fn files(&self) -> Vec<String> {
        if let Some(bucket) = &self.bucket {
            let mut objects = bucket.objects();
            objects.retain(|name| !is_marker(name));
            return objects;
        }
        let mut files = Vec::new();
        for folder in ["processed", "uploads"] {
            let below = files_below(&self.folder.path().join(folder));
            files.extend(below.iter().map(|file| format!("{folder}/{file}")));
        }
        files.retain(|name| !is_marker(name));
        files
    }
}

/// Returns whether a file is a storage marker, possibly unfinished.
fn is_marker(name: &str) -> bool {
    name.contains("/.anb-installation")
}
