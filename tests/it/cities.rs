//! Cities are places: how texts resolve, and that lists, rankings and pages follow the place.

use std::collections::BTreeMap;

use anb::{
    cities::{self, Wanted},
    city,
    config::database::Settings,
    db::{self, Connection, migrations},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::RunQueryDsl as _;
use serde_json::{Value, json};

use crate::{
    pages::visitor::Visitor,
    support::{Place, Seed, TestApp},
};

/// Marks a text that means no place.
const NONE: &str = "";

/// Texts that players write, each with the label of the place that it means.
const SPELLINGS: [(&str, &str); 77] = [
    ("Bogotá", "Bogotá"),
    ("bogota", "Bogotá"),
    ("BOGOTÁ", "Bogotá"),
    ("bogotá dc", "Bogotá"),
    ("Bogotá, D.C.", "Bogotá"),
    ("Bogota  d. c", "Bogotá"),
    // The accent as a combining character.
    ("Bogota\u{301}", "Bogotá"),
    ("Bogotá, Distrito Capital", "Bogotá"),
    ("Bogotá, Cundinamarca", "Bogotá"),
    ("Bogotá - Colombia", "Bogotá"),
    ("Bogotá D.C., Colombia", "Bogotá"),
    ("Santafé de Bogotá", "Bogotá"),
    ("santa fe de bogota d.c.", "Bogotá"),
    ("Medellín", "Medellín"),
    ("medellin, antioquia", "Medellín"),
    ("Medellín (Antioquia), Colombia", "Medellín"),
    ("Cali", "Cali"),
    ("Santiago de Cali", "Cali"),
    ("Cali, Valle", "Cali"),
    ("Cali - Valle del Cauca", "Cali"),
    ("Barranquilla D.E.I.P.", "Barranquilla"),
    ("Cartagena", "Cartagena"),
    ("Cartagena de Indias", "Cartagena"),
    ("Cartagena, Bolívar", "Cartagena"),
    ("Cartagena de Indias D.T. y C.", "Cartagena"),
    ("Cartagena del Chairá", "Cartagena del Chairá"),
    ("cartagena del chaira, caqueta", "Cartagena del Chairá"),
    ("Cúcuta", "Cúcuta"),
    ("San José de Cúcuta", "Cúcuta"),
    ("Cucuta, Norte de Santander", "Cúcuta"),
    ("San Juan de Pasto", "Pasto"),
    ("Santa Marta D.T.C.H.", "Santa Marta"),
    ("Valle de Upar", "Valledupar"),
    ("Puerto Inírida", "Inírida"),
    ("Riohacha, Guajira", "Riohacha"),
    ("Buga", "Guadalajara de Buga"),
    ("San Juan de Girón", "Girón"),
    ("San Andrés de Tumaco", "Tumaco"),
    ("Mompox", "Mompós"),
    ("El Santuario", "Santuario, Antioquia"),
    ("ITAGUI", "Itagüí"),
    ("Girardot", "Girardot"),
    ("Puerto Colombia", "Puerto Colombia"),
    ("Puerto Colombia, Colombia", "Puerto Colombia"),
    // A place in Huila.
    ("Colombia", "Colombia"),
    // The name alone means a place with ten times the population of the next one.
    ("Armenia", "Armenia"),
    ("Armenia, Quindío", "Armenia"),
    ("Armenia, Antioquia", "Armenia, Antioquia"),
    ("Florencia", "Florencia"),
    ("Florencia (Cauca)", "Florencia, Cauca"),
    ("San Andrés", "San Andrés"),
    ("San Andrés Isla", "San Andrés"),
    ("San Andrés, Santander", "San Andrés, Santander"),
    // Of Rionegro in Santander the population is unknown.
    ("Rionegro", "Rionegro"),
    ("rionegro santander", "Rionegro, Santander"),
    ("La Unión", NONE),
    ("La Unión, Nariño", "La Unión, Nariño"),
    ("la union valle", "La Unión, Valle del Cauca"),
    ("La Unión, Antioquia", "La Unión, Antioquia"),
    ("La Unión, Sucre", "La Unión, Sucre"),
    ("Mosquera", NONE),
    ("Mosquera, Cundinamarca", "Mosquera, Cundinamarca"),
    ("San Luis", NONE),
    ("San Luis, Antioquia", "San Luis, Antioquia"),
    ("Villanueva", NONE),
    ("Providencia", NONE),
    (
        "Providencia, San Andrés y Providencia",
        "Providencia, San Andrés y Providencia",
    ),
    // Parts of names, and what is no place.
    ("Bogo", NONE),
    ("Bogotá Norte", NONE),
    ("Santiago de", NONE),
    ("Cartagena del", NONE),
    ("D.C.", NONE),
    ("Valle", NONE),
    ("Medellín Cali", NONE),
    ("Villa Nada", NONE),
    ("%", NONE),
    ("Москва", NONE),
];

/// City, country, and what lists show.
const ABROAD: [(&str, &str, &str); 8] = [
    ("Cali", "COLOMBIA", "Cali"),
    ("Santiago de Cali", "República de Colombia", "Cali"),
    ("Cali", "co", "Cali"),
    // Namesakes of places.
    ("Cartagena", "España", "Cartagena, España"),
    ("Bogotá", "Perú", "Bogotá, Perú"),
    ("Santiago de Cali", "Perú", "Santiago de Cali, Perú"),
    ("Miami", "Estados Unidos", "Miami"),
    // A department in place of the country.
    ("La Unión", "Nariño", "La Unión, Nariño"),
];

#[derive(Debug, PartialEq, Eq, QueryableByName)]
struct Located {
    #[diesel(sql_type = Nullable<BigInt>, column_name = city_id)]
    place: Option<i64>,
    #[diesel(sql_type = Text, column_name = city_name)]
    name: String,
    #[diesel(sql_type = Text, column_name = city_key)]
    key: String,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// Inserts a player as the version before does: without the columns that this version added.
async fn insert(connection: &mut Connection, email: &str, city: &str, country: &str) -> Located {
    sql_query(
        "INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
         VALUES ('Ana', 'Prueba', $1, '', $2, $3, $4) RETURNING *",
    )
    .bind::<Text, _>(email)
    .bind::<Text, _>(city)
    .bind::<Text, _>(city::fold(city))
    .bind::<Text, _>(country)
    .get_result(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn spellings_mean_places() {
    let app = TestApp::spawn().await;
    let mut connection = app.db.connection().await.unwrap();
    for (number, (text, label)) in SPELLINGS.into_iter().enumerate() {
        let email = format!("{number}@example.com");
        let located = insert(&mut connection, &email, text, "Colombia").await;
        let folded = city::fold(text);
        let wanted = cities::wanted(&app.db, &folded).await.unwrap();
        assert_eq!(wanted.key, located.key, "{text}");
        if label == NONE {
            let own = (located.place, located.name.as_str());
            assert_eq!(own, (None, text));
            assert_eq!((wanted.key, wanted.label), (folded, None), "{text}");
        } else {
            assert!(located.place.is_some(), "{text}");
            assert_eq!(located.name, label, "{text}");
            assert_eq!(located.key, city::fold(label));
            assert_eq!(wanted.label.as_deref(), Some(label));
        }
    }
    for (number, (text, country, shown)) in ABROAD.into_iter().enumerate() {
        let email = format!("abroad{number}@example.com");
        let located = insert(&mut connection, &email, text, country).await;
        assert_eq!(located.name, shown, "{text}, {country}");
        assert_eq!(located.key, city::fold(shown), "{text}, {country}");
        let found = cities::wanted(&app.db, &city::fold(shown)).await.unwrap();
        assert_eq!(found.key, located.key);
        assert_eq!(found.label.is_some(), located.place.is_some());
    }
}

#[tokio::test]
async fn every_place_is_found_by_its_label_and_by_name_and_department() {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        label: String,
        #[diesel(sql_type = Text)]
        full: String,
        #[diesel(sql_type = Text)]
        key: String,
    }
    let app = TestApp::spawn().await;
    let mut connection = app.db.connection().await.unwrap();
    let rows = "SELECT label, name || ', ' || department AS full, key FROM cities";
    let rows: Vec<Row> = sql_query(rows).load(&mut connection).await.unwrap();
    assert_eq!(rows.len(), 1126);
    for row in rows {
        // The program and the database fold names of places alike.
        assert_eq!(city::fold(&row.label), row.key);
        for text in [&row.label, &row.full] {
            let found = cities::wanted(&app.db, &city::fold(text)).await.unwrap();
            let place = Wanted {
                key: row.key.clone(),
                label: Some(row.label.clone()),
            };
            assert_eq!(found, place, "{text}");
        }
    }
}

/// A contest with cities in several spellings.
async fn contest() -> TestApp {
    let app = TestApp::spawn().await;
    for (number, city) in [
        "bogotá dc",
        "Bogotá, D.C.",
        "Cartagena",
        "Cartagena de Indias",
        "Cartagena del Chairá",
        "La Unión",
        "la union",
        "La Unión, Nariño",
        "La Unión (Valle)",
        "Armenia",
        "Armenia, Antioquia",
        "Villa Nada",
    ]
    .into_iter()
    .enumerate()
    {
        let player = app.insert_user(&format!("Ana{number}"), city).await;
        app.add(&player, Seed::PUBLIC).await;
    }
    let spaniard = app.insert_user("Eva", "Cartagena").await;
    app.add(&spaniard, Seed::PUBLIC).await;
    let abroad = "UPDATE users SET country = 'España' WHERE first_name = 'Eva'";
    TestApp::execute(&app, abroad).await;
    app
}

/// Returns the players of each shown city, folded.
fn by_city(list: &Value) -> BTreeMap<String, Vec<String>> {
    let mut cities: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in list.as_array().unwrap() {
        let shown = city::fold(row["city"].as_str().unwrap());
        let players = cities.entry(shown).or_default();
        players.push(row["username"].as_str().unwrap().to_owned());
    }
    cities
}

#[tokio::test]
async fn grouping_by_city_never_splits_a_place() {
    let app = contest().await;
    for path in [
        "/api/public/rankings?",
        "/api/public/videos?",
        "/api/public/videos?q=prueba&",
    ] {
        let all = app.get(&format!("{path}limit=100")).await.ok();
        let cities = by_city(&all);
        let sizes: Vec<(&str, usize)> = cities
            .iter()
            .map(|(city, players)| (city.as_str(), players.len()))
            .collect();
        assert_eq!(
            sizes,
            [
                ("armenia", 1),
                ("armenia antioquia", 1),
                ("bogota", 2),
                ("cartagena", 2),
                ("cartagena del chaira", 1),
                ("cartagena espana", 1),
                ("la union", 2),
                ("la union narino", 1),
                ("la union valle del cauca", 1),
                ("villa nada", 1),
            ],
            "{path}"
        );
        // The city that a row shows finds exactly the rows of that city.
        for (city, players) in cities {
            let found = app.get(&format!("{path}city={city}")).await.ok();
            let alone = BTreeMap::from([(city, players)]);
            assert_eq!(by_city(&found), alone, "{path}");
        }
    }
    let split = "SELECT count(*) FROM (
        SELECT FROM users GROUP BY city_id HAVING city_id IS NOT NULL AND count(DISTINCT city_key) > 1) AS place";
    assert_eq!(app.number(split).await, 0);
}

#[tokio::test]
async fn places_are_suggested_while_a_name_is_typed() {
    let app = TestApp::spawn().await;
    let find = async |text: &str| {
        let found = app.get(&format!("/api/public/cities?q={text}")).await.ok();
        let places = found.as_array().unwrap().iter().map(|place| {
            let part = |name: &str| place[name].as_str().unwrap().to_owned();
            format!("{}, {}", part("name"), part("department"))
        });
        places.collect::<Vec<_>>()
    };
    let bogota = json!({"id": 3_688_689, "name": "Bogotá", "department": "Distrito Capital"});
    let found = app.get("/api/public/cities?q=BOGOT").await.ok();
    assert_eq!(found[0], bogota);
    assert_eq!(
        find("bogot").await,
        ["Bogotá, Distrito Capital", "Puerto Bogotá, Cundinamarca"]
    );
    assert_eq!(
        find("la uni%C3%B3n").await,
        [
            "La Unión, Valle del Cauca",
            "La Unión, Nariño",
            "La Unión, Antioquia",
            "La Unión, Sucre"
        ]
    );
    assert_eq!(find("union narino").await, ["La Unión, Nariño"]);
    assert_eq!(find("santafe de b").await, ["Bogotá, Distrito Capital"]);
    // Names that begin with the text come first.
    assert_eq!(
        find("buga").await[..2],
        [
            "Bugalagrande, Valle del Cauca",
            "Guadalajara de Buga, Valle del Cauca"
        ]
    );
    assert_eq!(find("atlantis").await, [""; 0]);
    for text in ["", "a", "...", "%25"] {
        let places = find(text).await;
        assert_eq!(places.len(), 20, "{text}");
    }
    let all = app.get("/api/public/cities").await;
    assert!(all.header("cache-control").starts_with("public, max-age="));
    assert_eq!(all.ok()[0]["name"], "Bogotá");
}

#[tokio::test]
async fn pages_name_the_place_and_its_department() {
    let app = contest().await;
    let page = async |path: &str| Visitor::of(&app).get(path).await.ok().html;
    for text in ["la+union+narino", "La+Uni%C3%B3n,+Nari%C3%B1o"] {
        let ranking = page(&format!("/clasificacion?ciudad={text}")).await;
        assert!(
            ranking.contains("Ranking de La Unión, Nariño<"),
            "{ranking}"
        );
        assert!(
            ranking.contains(
                "<option value=\"la union narino\" selected>La Unión, Nariño (1)</option>"
            )
        );
        assert!(ranking.contains("<option value=\"bogota\">Bogotá, Distrito Capital (2)</option>"));
        assert!(
            ranking.contains("<option value=\"cartagena espana\">Cartagena, España (1)</option>")
        );
    }
    // A place without clips, by another name.
    let gallery = page("/?ciudad=Santiago+de+Cali").await;
    assert!(gallery.contains("Videos de Cali<"), "{gallery}");
    assert!(gallery.contains("<option value=\"cali\" selected>Cali</option>"));
    // The address is the same for all spellings.
    assert!(
        page("/clasificacion?ciudad=Bogot%C3%A1+DC&por=video")
            .await
            .contains("?por=jugador&#38;ciudad=bogota\"")
    );

    let sign_up = page("/registro").await;
    assert!(sign_up.contains("<option value=\"Medellín, Antioquia\">"));
    let help = page("/ayuda").await;
    for source in [
        "https://www.geonames.org/",
        "https://creativecommons.org/licenses/by/4.0/",
    ] {
        assert!(help.contains(source));
    }
}

/// The migration finds the places of players, videos and standings that were there before.
#[tokio::test(flavor = "multi_thread")]
async fn players_from_before_are_located() {
    let place = Place::make_bare().await;
    let connect = async || {
        db::connect(&Settings::at(&place.database_url))
            .await
            .unwrap()
    };
    migrations::run(connect().await).await.unwrap();
    while let Some(version) = migrations::revert(connect().await).await.unwrap() {
        if version.ends_with("000023") {
            break;
        }
    }
    let mut connection = connect().await;
    let before = "
        INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
            SELECT 'Ana', 'Prueba', key, '', name, key, country FROM (VALUES
                ('bogotá dc', 'bogota dc', 'Colombia'), ('Bogotá, D.C.', 'bogota d c', 'Colombia'),
                ('Cali', 'cali', 'Colombia'), ('La Unión', 'la union', 'Colombia'),
                ('Cartagena', 'cartagena', 'España')) AS city (name, key, country);
        INSERT INTO videos (id, user_id, title, status, is_public, original_bytes, attempt, processed_at)
            SELECT gen_random_uuid(), id, 'Jugada', 'processed', true, 1, 1, now()
            FROM users, generate_series(1, 2)";
    diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, before)
        .await
        .unwrap();
    migrations::run(connect().await).await.unwrap();

    let located = "
        SELECT users.city_id, users.city_name, users.city_key FROM users
        JOIN standings ON standings.user_id = users.id AND standings.city_key = users.city_key
        JOIN videos ON videos.user_id = users.id AND videos.city_key = users.city_key
        ORDER BY users.id";
    let located: Vec<Located> = sql_query(located).load(&mut connection).await.unwrap();
    let of = |place: Option<i64>, name: &str, key: &str| Located {
        place,
        name: name.to_owned(),
        key: key.to_owned(),
    };
    let places = [
        of(Some(3_688_689), "Bogotá", "bogota"),
        of(Some(3_688_689), "Bogotá", "bogota"),
        of(Some(3_687_925), "Cali", "cali"),
        of(None, "La Unión", "la union"),
        of(None, "Cartagena, España", "cartagena espana"),
    ];
    // Two videos each.
    let expected: Vec<&Located> = places.iter().flat_map(|place| [place, place]).collect();
    assert_eq!(located.iter().collect::<Vec<_>>(), expected);

    // Reverting restores the folded texts.
    while let Some(version) = migrations::revert(connect().await).await.unwrap() {
        if version.ends_with("000023") {
            break;
        }
    }
    let keys = "SELECT DISTINCT videos.city_key AS key FROM videos ORDER BY 1";
    let keys: Vec<Key> = sql_query(keys).load(&mut connection).await.unwrap();
    let keys: Vec<&str> = keys.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(
        keys,
        ["bogota d c", "bogota dc", "cali", "cartagena", "la union"]
    );
}
