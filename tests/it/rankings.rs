//! The ranking and the public list of videos.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Seed, TestApp, eventually};

fn voted(title: &str, votes: i64) -> Seed<'_> {
    Seed {
        title,
        votes,
        ..Seed::PUBLIC
    }
}

/// Returns one member of each entry of a list.
fn column<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    let entries = list.as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry[name].as_str().unwrap())
        .collect()
}

/// Returns position, title and votes of each place.
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

/// Ana of Bogotá has 5 + 4 votes, Luis of Cali 6, Eva of Medellín 9 but later; hidden ones have more.
async fn season() -> TestApp {
    let app = TestApp::spawn().await;
    let ana = app.member("Ana", "Bogotá D.C.").await;
    let luis = app.member("Luis", "Santiago de Cali").await;
    let eva = app.member("Eva", "Medellín").await;
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
    // Ana and Eva tie with 9: Ana uploaded earlier. Each row names the player's most voted video.
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
async fn videos_are_ranked_one_by_one() {
    let app = season().await;
    let teo = app.member("Teo", "Cali").await;
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
async fn positions_go_on_across_pages() {
    let app = season().await;
    let first = app.get("/api/public/rankings?by=video&limit=2").await;
    assert_eq!(
        first.header("link"),
        "</api/public/rankings?page=2&by=video&limit=2>; rel=\"next\""
    );
    let second = app
        .get("/api/public/rankings?by=video&limit=2&page=2")
        .await;
    assert_eq!(places(&second.body), [(3, "Ana dos", 5), (4, "Ana uno", 4)]);
    assert_eq!(
        second.header("link"),
        "</api/public/rankings?page=1&by=video&limit=2>; rel=\"prev\""
    );
    let third = app
        .get("/api/public/rankings?by=video&limit=2&page=3")
        .await;
    assert_eq!(third.ok(), json!([]));
}

#[tokio::test]
async fn a_city_is_found_in_any_spelling_and_by_its_first_words() {
    let app = season().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        for (city, name) in [
            ("Bogotá D.C.", "Ana Prueba"),
            ("BOGOTA,%20D.C", "Ana Prueba"),
            ("bogot%C3%A1", "Ana Prueba"),
            // The accent as a letter of its own.
            ("bogota%CC%81", "Ana Prueba"),
            ("medellin", "Eva Prueba"),
            ("santiago-de", "Luis Prueba"),
        ] {
            let found = app.get(&format!("{path}?city={city}")).await.ok();
            assert_eq!(column(&found, "username")[0], name, "{path} {city}");
            assert!(
                column(&found, "username")
                    .iter()
                    .all(|other| *other == name)
            );
        }
        // No part of a word, no word in the middle, no wildcard.
        for city in ["bogo", "cali", "%25", "_edell%C3%ADn", "x"] {
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
async fn a_city_without_letters_is_refused() {
    let app = TestApp::spawn().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        let answer = app.get(&format!("{path}?city=!!!")).await;
        assert_eq!(answer.fields(), [("city", "invalid")], "{path}");
    }
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
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
async fn nobody_has_played_yet() {
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
async fn who_has_a_list_already_is_told_so() {
    let app = season().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        let first = app.get(path).await;
        let caching = first.header("cache-control");
        let max_age = caching.strip_prefix("public, max-age=").unwrap();
        assert!(max_age.parse::<u32>().unwrap() <= 5);
        let known = |tag: &str| {
            let request = app.request(Method::GET, path).header("if-none-match", tag);
            Answer::of(request)
        };
        let again = known(&first.header("etag")).await;
        assert_eq!((again.status.as_u16(), &again.body), (304, &Value::Null));
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(known("\"another\"").await.status, 200);
    }
}

#[tokio::test]
async fn the_ranking_changes_within_a_moment() {
    let app = season().await;
    app.get("/api/public/rankings").await.ok();
    app.execute("UPDATE videos SET votes = 50 WHERE title = 'Luis uno'")
        .await;
    eventually("Luis leads", 3, async || {
        let ranking = app.get("/api/public/rankings").await.ok();
        places(&ranking)[0] == (1, "Luis uno", 50)
    })
    .await;
}

#[tokio::test]
async fn public_reads_name_no_email_address_and_no_original() {
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
async fn public_videos_are_listed_most_voted_first_and_by_pages() {
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
            "poster_url",
            "processed_at",
            "processed_url",
            "title",
            "uploaded_at",
            "username",
            "video_id",
            "votes"
        ]
    );
}

#[tokio::test]
async fn a_search_takes_every_sign_literally() {
    let app = TestApp::spawn().await;
    let ana = app.member("Ana", "Cali").await;
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
        ("100%25", &["100% canasta"][..]),
        ("o_l", &["tiro_libre"]),
        ("%5C", &[r"tiro\libre"]),
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

#[tokio::test]
async fn lists_are_compressed_and_still_compared_by_their_tag() {
    let app = season().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        let plain = app.get(path).await;
        let request = app.request(Method::GET, path);
        let packed = Answer::of(request.header("accept-encoding", "gzip")).await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert!(packed.header("vary").contains("accept-encoding"), "{path}");
        assert_eq!(packed.header("etag"), plain.header("etag"), "{path}");
        let request = app.request(Method::HEAD, path);
        let head = Answer::of(request).await;
        assert_eq!(
            (head.status.as_u16(), head.header("etag")),
            (200, plain.header("etag"))
        );
    }
}
