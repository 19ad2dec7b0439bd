//! A contest season, inserted by set-based SQL: one player per five videos, thirty cities of
//! unequal size, about ten votes per video (few for most, many for some), and fans, who have no
//! videos and have not voted.

/// The folded city name of the fans.
pub const FANS: &str = "tribuna";

/// The folded city name of the witnesses, the videos that only [`super::shown`] votes for.
pub const WITNESS_CITY: &str = "testigos";

pub const WITNESSES: u32 = 16;

/// Number of fans, each a possible voter.
pub const FAN_COUNT: u32 = 100_000;

/// Votes of a video among `players`.
const VOTES: &str = "floor(-10 * ln(1 - random()))";

/// Returns statements that fill an empty database in the middle of a season.
pub fn all(videos: u32) -> String {
    let players = (videos / 5).max(20);
    fill(videos, players, &format!("least({VOTES}, {players})"))
}

/// Returns statements that fill an empty database before the voting: each player has a video.
pub fn without_votes(players: u32) -> String {
    fill(players, players, "0")
}

/// For speed, row triggers and the foreign keys of `votes` are disabled, and its indexes are
/// created last.
fn fill(videos: u32, players: u32, votes: &str) -> String {
    let fans = FAN_COUNT.min(videos * 20);
    format!(
        "SELECT setseed(0.5);
         CREATE TEMP TABLE homes AS SELECT * FROM (VALUES
             (0, 'Bogotá D.C.', 'bogota d c'), (1, 'Medellín', 'medellin'), (2, 'Cali', 'cali'),
             (3, 'Barranquilla', 'barranquilla'), (4, 'Santiago de Tolú', 'santiago de tolu')
         ) AS home (number, name, key);
         INSERT INTO homes
             SELECT n, 'Ciudad ' || n, 'ciudad ' || n FROM generate_series(5, 29) AS n;
         INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
             SELECT 'Jugadora' || n, 'Prueba', 'player' || n || '@example.com', '', name, key, 'Colombia'
             FROM generate_series(1, {players}) AS n
             JOIN homes ON number = floor(30 * power((n * 7919 % 1000) / 1000.0, 2));
         INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
             SELECT 'Fan' || n, 'Prueba', 'fan' || n || '@example.com', '', 'Tribuna', '{FANS}', 'Colombia'
             FROM generate_series(1, {fans}) AS n;
         ALTER TABLE videos DISABLE TRIGGER USER;
         INSERT INTO videos (id, user_id, title, status, is_public, votes, original_bytes, attempt,
                 uploaded_at, processed_at, city_key)
             SELECT gen_random_uuid(), users.id, 'Mi mejor jugada número ' || n, 'processed', true,
                 {votes}, 50000000, 1, moment, moment, city_key
             FROM generate_series(1, {videos}) AS n
             JOIN users ON users.id = n % {players} + 1,
                 LATERAL (SELECT now() - make_interval(secs => n) AS moment) AS uploaded;
         UPDATE videos SET search_key = ' ' || array_to_string(
                 fold_words(title || ' ' || first_name || ' ' || last_name), ' ')
             FROM users WHERE users.id = user_id;
         INSERT INTO search_words
             SELECT word, id FROM videos, unnest(string_to_array(ltrim(search_key), ' ')) AS word;
         ALTER TABLE videos ENABLE TRIGGER USER;
         SELECT rank_everybody();
         ALTER TABLE votes DISABLE TRIGGER ALL;
         ALTER TABLE votes DROP CONSTRAINT votes_pkey;
         DROP INDEX votes_video_id;
         INSERT INTO votes (user_id, video_id)
             SELECT (user_id + n) % {players} + 1, id FROM videos, generate_series(1, votes) AS n;
         ALTER TABLE votes ADD PRIMARY KEY (user_id, video_id);
         CREATE INDEX votes_video_id ON votes (video_id);
         ALTER TABLE votes ENABLE TRIGGER ALL;
         INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
             VALUES ('Testigo', 'Prueba', 'witness@example.com', '', 'Testigos', '{WITNESS_CITY}', 'Colombia');
         INSERT INTO videos (id, user_id, title, status, is_public, original_bytes, attempt, processed_at)
             SELECT gen_random_uuid(), id, 'Testigo ' || n, 'processed', true, 50000000, 1, now()
             FROM users, generate_series(1, {WITNESSES}) AS n WHERE city_key = '{WITNESS_CITY}'"
    )
}
