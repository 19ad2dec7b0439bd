//! The ranking and the public list of videos.

mod caching;
mod pages;
mod searching;

use serde_json::{Value, json};

use crate::support::{Seed, TestApp};

fn voted(title: &str, votes: i64) -> Seed<'_> {
    Seed {
        title,
        votes,
        ..Seed::PUBLIC
    }
}

/// Returns one field of each entry of a list.
fn column<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    let entries = list.as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry[name].as_str().unwrap())
        .collect()
}

/// Returns position, title and votes of each entry.
fn places(list: &Value) -> Vec<(i64, &str, i64)> {
    let entries = list.as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            let number = |name: &str| entry[name].as_i64().unwrap();
            (
                number("position"),
                entry["title"].as_str().unwrap(),
                number("votes"),
            )
        })
        .collect()
}

/// Ana of Bogotá has 5 + 4 votes, Luis of Cali 6, Eva of Medellín 9 with a later upload. Unlisted
/// videos have more.
async fn season() -> TestApp {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Bogotá D.C.").await;
    let luis = app.insert_user("Luis", "Santiago de Cali").await;
    let eva = app.insert_user("Eva", "Medellín").await;
    app.add(&ana, voted("Ana uno", 4)).await;
    app.add(&luis, voted("Luis uno", 6)).await;
    app.add(&eva, voted("Eva uno", 9)).await;
    app.add(&ana, voted("Ana dos", 5)).await;
    app.add(
        &eva,
        Seed {
            is_public: false,
            ..voted("Eva oculta", 90)
        },
    )
    .await;
    app.add(&ana, voted("Ana pronto", 90).in_state("uploaded"))
        .await;
    app.add(&luis, voted("Luis roto", 90).in_state("failed"))
        .await;
    app
}

#[tokio::test]
async fn players_are_ranked_by_the_votes_of_all_their_public_videos() {
    let app = season().await;
    let ranking = app.get("/api/public/rankings").await.ok();
    // Ana and Eva tie at 9, and Ana uploaded earlier. Each row names the player's most voted video.
    assert_eq!(
        places(&ranking),
        [(1, "Ana dos", 9), (2, "Eva uno", 9), (3, "Luis uno", 6)]
    );
    assert_eq!(
        column(&ranking, "username"),
        ["Ana Prueba", "Eva Prueba", "Luis Prueba"]
    );
    assert_eq!(
        app.get("/api/public/rankings?by=player").await.ok(),
        ranking
    );
}

#[tokio::test]
async fn videos_are_ranked_individually() {
    let app = season().await;
    let teo = app.insert_user("Teo", "Cali").await;
    app.add(&teo, voted("Teo uno", 6)).await;
    let ranking = app.get("/api/public/rankings?by=video").await.ok();
    assert_eq!(
        places(&ranking),
        [
            (1, "Eva uno", 9),
            (2, "Luis uno", 6),
            (3, "Teo uno", 6),
            (4, "Ana dos", 5),
            (5, "Ana uno", 4)
        ]
    );
}

#[tokio::test]
async fn videos_of_a_player_who_moves_are_listed_in_the_new_city() {
    let app = season().await;
    app.execute("UPDATE users SET city = 'Tunja', city_key = 'tunja' WHERE first_name = 'Ana'")
        .await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        let here = app.get(&format!("{path}?city=tunja")).await.ok();
        assert_eq!(column(&here, "username")[0], "Ana Prueba");
        assert_eq!(
            app.get(&format!("{path}?city=bogota")).await.ok(),
            json!([])
        );
    }
}

#[tokio::test]
async fn standings_follow_every_change_of_a_video() {
    let app = season().await;
    assert_eq!(app.stale_standings().await, 0);
    for change in [
        "UPDATE videos SET votes = votes + 7 WHERE title IN ('Ana uno', 'Eva uno', 'Eva oculta')",
        "UPDATE videos SET is_public = NOT is_public",
        "UPDATE videos SET status = 'processed', failure = NULL, lease_until = NULL, processed_at = now()",
        "UPDATE videos SET votes = 0, uploaded_at = uploaded_at - interval '1 day' WHERE title LIKE 'Ana%'",
        "UPDATE videos SET is_public = true",
        "DELETE FROM videos WHERE title = 'Ana uno'",
        "DELETE FROM users WHERE first_name = 'Luis'",
        "DELETE FROM videos",
    ] {
        app.execute(change).await;
        assert_eq!(app.stale_standings().await, 0, "{change}");
    }
}

#[tokio::test]
async fn city_is_found_in_any_spelling() {
    let app = season().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        for (city, name) in [
            ("Bogotá D.C.", "Ana Prueba"),
            ("BOGOTA,%20D.C", "Ana Prueba"),
            ("bogot%C3%A1", "Ana Prueba"),
            // The accent as a combining character.
            ("bogota%CC%81", "Ana Prueba"),
            ("medellin", "Eva Prueba"),
            ("santiago-de-cali", "Luis Prueba"),
            ("cali", "Luis Prueba"),
        ] {
            let found = app.get(&format!("{path}?city={city}")).await.ok();
            assert_eq!(column(&found, "username")[0], name, "{path} {city}");
            assert!(
                column(&found, "username")
                    .iter()
                    .all(|other| *other == name)
            );
        }
        // Parts of names and wildcards do not match.
        for city in ["bogo", "santiago-de", "%25", "_edell%C3%ADn", "x"] {
            let found = app.get(&format!("{path}?city={city}")).await;
            assert!(
                found.body == json!([]) || found.status == 400,
                "{path} {city}: {found:?}"
            );
        }
        let all = app.get(&format!("{path}?city=")).await.ok();
        assert_eq!(all, app.get(path).await.ok());
    }
}

#[tokio::test]
async fn invalid_city_is_rejected() {
    let app = TestApp::spawn().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        // Rejected before the city is folded or becomes the key of a cached page.
        for length in [101, 4000] {
            let long = app
                .get(&format!("{path}?city={}", "a".repeat(length)))
                .await;
            assert_eq!(long.refusal(), (400, "validation_failed"));
            assert_eq!(long.fields(), [("city", "too_long")]);
        }
        let answer = app.get(&format!("{path}?city=!!!")).await;
        assert_eq!(answer.fields(), [("city", "invalid")], "{path}");
    }
}

#[tokio::test]
async fn invalid_parameters_are_reported_by_name() {
    let app = TestApp::spawn().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        for (name, value) in [
            ("page", "0"),
            ("page", "-1"),
            ("page", "x"),
            ("page", "1.5"),
            ("page", ""),
            ("page", "9223372036854775807"),
            ("limit", "0"),
            ("limit", "-5"),
            ("limit", "101"),
            ("limit", "x"),
        ] {
            let answer = app.get(&format!("{path}?{name}={value}")).await;
            assert_eq!(
                answer.refusal(),
                (400, "validation_failed"),
                "{name}={value}"
            );
            assert_eq!(answer.fields(), [(name, "out_of_range")], "{name}={value}");
        }
        let twice = app.get(&format!("{path}?page=1&page=2")).await;
        assert_eq!(twice.refusal(), (400, "validation_failed"));
    }
    let unknown = app.get("/api/public/rankings?by=city").await;
    assert_eq!(unknown.fields(), [("by", "invalid")]);
}

#[tokio::test]
async fn lists_without_videos_are_empty() {
    let app = TestApp::spawn().await;
    for path in [
        "/api/public/rankings",
        "/api/public/rankings?by=video",
        "/api/public/videos",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.ok(), json!([]), "{path}");
    }
}

#[tokio::test]
async fn public_lists_reveal_no_email_address_and_no_original() {
    let app = season().await;
    for path in [
        "/api/public/rankings",
        "/api/public/rankings?by=video",
        "/api/public/videos",
    ] {
        let text = app.get(path).await.ok().to_string();
        for secret in [
            "@",
            "example.com",
            "uploads/",
            "original",
            "oculta",
            "pronto",
            "roto",
        ] {
            assert!(!text.contains(secret), "{path}: {secret} in {text}");
        }
    }
}

#[tokio::test]
async fn public_videos_are_listed_most_voted_first_and_in_pages() {
    let app = season().await;
    let list = app.get("/api/public/videos?limit=3").await;
    assert_eq!(
        column(&list.body, "title"),
        ["Eva uno", "Luis uno", "Ana dos"]
    );
    assert_eq!(
        list.header("link"),
        "</api/public/videos?page=2&limit=3>; rel=\"next\""
    );
    let rest = app.get("/api/public/videos?limit=3&page=2").await.ok();
    assert_eq!(column(&rest, "title"), ["Ana uno"]);

    let mut names: Vec<_> = list.body[0].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "city",
            "clip_bytes",
            "light_bytes",
            "light_url",
            "poster_url",
            "processed_at",
            "processed_url",
            "thumb_url",
            "title",
            "uploaded_at",
            "username",
            "video_id",
            "votes"
        ]
    );
}

#[tokio::test]
async fn search_text_has_no_wildcards() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for title in [
        "100% canasta",
        "1000 canastas",
        "tiro_libre",
        "tiro libre",
        r"tiro\libre",
    ] {
        app.add(&ana, voted(title, 0)).await;
    }
    for (text, titles) in [
        ("100%25", &["100% canasta", "1000 canastas"][..]),
        ("o_l", &[]),
        ("tiro_l", &["tiro_libre", "tiro libre", r"tiro\libre"]),
        ("tir%25libre", &["tiro_libre", "tiro libre", r"tiro\libre"]),
        ("_iro", &[]),
        ("%25", &[]),
        ("%5C", &[]),
        ("CANASTAS", &["1000 canastas"]),
        (
            "ana%20prueba%00",
            &[
                "100% canasta",
                "1000 canastas",
                "tiro_libre",
                "tiro libre",
                r"tiro\libre",
            ],
        ),
        ("'", &[]),
        ("example.com", &[]),
    ] {
        let found = app.get(&format!("/api/public/videos?q={text}")).await.ok();
        assert_eq!(column(&found, "title"), titles, "{text}");
    }
}
