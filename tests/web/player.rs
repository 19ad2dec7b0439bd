//! A player: registration, a refused file, an upload that survives, the clip in the gallery.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    sheets::photograph,
    stage::Stage,
    support::{draw, film},
    visitor::Visitor,
    voter::fill_registration,
};

/// Speed of a link on which an upload takes half a minute, in bytes per second.
const SLOW: i64 = 200_000;

/// Megabytes that take a few seconds on the throttled link.
async fn large_film() -> Vec<u8> {
    let args = "-f lavfi -i testsrc2=size=640x360:rate=30:duration=4 -vf noise=alls=80:allf=t \
                -c:v libx264 -preset ultrafast -b:v 12M -minrate 12M -maxrate 12M -bufsize 12M \
                -pix_fmt yuv420p";
    draw(args, "film.mp4").await
}

async fn short_film() -> Vec<u8> {
    let args = "-f lavfi -i testsrc2=size=320x180:rate=30:duration=1 -c:v libx264 -preset ultrafast \
                -pix_fmt yuv420p";
    draw(args, "film.mp4").await
}

/// Registers, and opens the page of uploads.
async fn register(player: &mut Visitor) {
    player.open("/subir").await;
    assert_eq!(player.path().await, "/entrar?volver=%2Fsubir");
    player.follow(".other-way a").await;
    fill_registration(player, "Yeison", "yeison@example.com").await;
    player.follow("form.panel button.action").await;
    assert_eq!(player.path().await, "/subir");
}

/// Returns whether the gallery shows the clip as soon as it is fresh.
async fn assert_in_gallery(player: &mut Visitor, title: &str) {
    for _ in 0..20 {
        player.open("/").await;
        if player.text(".cards").await.contains(title) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{title} is not in the gallery");
}

const STATE: &str = "[data-estado]:not([hidden])";

fn state(name: &str) -> String {
    format!("[data-estado={name}]")
}

#[tokio::test]
async fn player_uploads_over_a_broken_link_and_publishes() {
    let mut stage = Stage::set().await;
    stage.work().await;
    let short = stage.file("corta.mp4", &short_film().await);
    let good = stage.file("jugada.mp4", &large_film().await);
    let mut player = Visitor::of(&stage).await;
    register(&mut player).await;

    player.choose("[data-file]", &short).await;
    player.until(&state("fallo")).await;
    let reason = player.text("[data-reason]").await;
    assert!(reason.contains("debe durar al menos 2 s"), "{reason}");
    assert!(player.sees("[data-rule=duration][data-state=broken]").await);
    player
        .click(&format!("{} [data-do=choose]", state("fallo")))
        .await;
    player.until(&state("elegir")).await;
    let requests = player.requests().await;
    let sent = requests.iter().filter(|request| request.method != "GET");
    let sent: Vec<_> = sent.map(|request| &request.url).collect();
    assert!(!sent.iter().any(|url| url.contains("/api/")), "{sent:?}");

    // The link is slow, breaks, and comes back.
    player.choose("[data-file]", &good).await;
    player.until(&state("listo")).await;
    player
        .fill("[data-estado=listo] [data-title]", "Mi gran clavada")
        .await;
    let later = format!("{} input[value=false]", state("listo"));
    player.click(&later).await;
    player.throttle(20, -1, SLOW).await;
    player
        .click(&format!("{} [data-do=start]", state("listo")))
        .await;
    player.until(&state("subiendo")).await;
    player
        .until_text(&format!("{} [data-sent]", state("subiendo")), "MB")
        .await;
    player.set_offline(true).await;
    player.until(&state("sin-conexion")).await;
    assert!(player.sees("[data-offline]").await);
    player.throttle(20, -1, SLOW).await;
    player.until(&state("subiendo")).await;

    // The page is loaded again, and the player chooses the same file.
    tokio::time::sleep(Duration::from_secs(1)).await;
    player.reload().await;
    player.until("[data-open-uploads] [data-do=resume]").await;
    let listed = player.text("[data-open-uploads] [data-name]").await;
    assert_eq!(listed, "Continuar subida: elige otra vez «jugada.mp4»");
    player.click("[data-open-uploads] [data-do=resume]").await;
    player.choose("[data-file]", &short).await;
    player.until(&state("fallo")).await;
    assert_eq!(
        player.text("[data-reason]").await,
        "Ese no es el mismo archivo."
    );
    player.click("[data-open-uploads] [data-do=resume]").await;
    player.throttle(0, -1, -1).await;
    player.choose("[data-file]", &good).await;

    player.until(&state("listo-clip")).await;
    assert!(
        player
            .text(STATE)
            .await
            .contains("Publícalo para recibir votos.")
    );
    let uploads = "SELECT count(*) FROM uploads WHERE length IS NOT NULL";
    assert_eq!(stage.app.number(uploads).await, 0);
    assert_eq!(stage.app.number("SELECT count(*) FROM videos").await, 1);
    player.click("[data-do=publish]").await;
    player
        .until(&format!("{} [data-share]", state("listo-clip")))
        .await;
    assert_in_gallery(&mut player, "Mi gran clavada").await;

    // The gallery plays it in its box, which costs no byte before the tap.
    let is_video =
        |request: &crate::traffic::Request| request.url.contains(".mp4") && request.kind == "Media";
    let before = player
        .requests()
        .await
        .iter()
        .filter(|one| is_video(one))
        .count();
    player.click(".card a.play").await;
    player.until(".card video").await;
    let playing = "return document.querySelector('.card video').currentTime > 0";
    crate::support::eventually("the clip plays", 60, async || {
        player.run(playing, Value::Null).await == true
    })
    .await;
    assert!(
        player
            .requests()
            .await
            .iter()
            .filter(|one| is_video(one))
            .count()
            > before
    );
    assert_continues_at_a_new_address(&player).await;
    player.end().await;
}

/// Lets the clip that plays fail, as if the address to which it was redirected had expired. It
/// continues at a new one; if that fails at once, the page says so.
async fn assert_continues_at_a_new_address(player: &Visitor) {
    let fail_twice = "const playing = () => document.querySelector('.card video');
        const first = playing();
        first.dispatchEvent(new Event('error'));
        const second = playing();
        second?.dispatchEvent(new Event('error'));
        return [second !== null && second !== first, playing() !== null];";
    let continued = player.run(fail_twice, Value::Null).await;
    assert_eq!(continued, json!([true, false]));
    let said = player.text(".card a.play [data-size]").await;
    assert_eq!(said, "El video no cargó. Toca para intentarlo de nuevo.");
}

#[tokio::test]
async fn mobile_data_is_asked_for_once_a_session() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", &large_film().await);
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let mut player = Visitor::of(&stage).await;
    player.be(&stage, &ana).await;
    let saver = json!({ "dataSaverEnabled": true });
    player
        .devtools("Emulation.setDataSaverOverride", saver)
        .await;
    let choose = async |player: &Visitor| {
        player.choose("[data-file]", &file).await;
        player.until(&state("listo")).await;
        let title = format!("{} [data-title]", state("listo"));
        player.fill(&title, "Mi gran clavada").await;
        let start = format!("{} [data-do=start]", state("listo"));
        player.click(&start).await;
    };
    player.open("/subir").await;
    choose(&player).await;
    player.until("#mobile-data[open]").await;
    let question = player.text("#mobile-data h2").await;
    assert!(question.contains("MB de tus datos móviles"), "{question}");
    assert_eq!(player.text(":focus").await, "Esperar al wifi");
    assert!(player.violations().await.is_empty());
    photograph(&player, "mobile-data-360").await;
    player.click("#mobile-data [value=no]").await;
    assert!(player.sees(&state("listo")).await);
    assert_eq!(stage.app.number("SELECT count(*) FROM uploads").await, 0);

    player
        .click(&format!("{} [data-do=start]", state("listo")))
        .await;
    player.until("#mobile-data[open]").await;
    player.click("#mobile-data [value=yes]").await;
    player.until(&state("en-fila")).await;
    player.reload().await;
    choose(&player).await;
    player.until(&state("en-fila")).await;
    player.end().await;
}

#[tokio::test]
async fn player_without_javascript_uploads_by_form() {
    let mut stage = Stage::set().await;
    let short = stage.file("corta.mp4", &short_film().await);
    let text = stage.file("nota.mp4", b"hola");
    let good = stage.file("jugada.mp4", &film().await);
    let mut player = Visitor::of(&stage).await;
    player.disable_script().await;
    register(&mut player).await;

    player.expect(400, "/subir");
    player.choose("#video_file", &text).await;
    player
        .fill("[data-upload-form] [name=title]", "Mi gran clavada")
        .await;
    player.follow("[data-upload-form] button").await;
    assert!(
        player
            .text("main")
            .await
            .contains("El archivo no es un video MP4.")
    );

    // A worker refuses the next one, and says why.
    stage.work().await;
    player.choose("#video_file", &short).await;
    player
        .fill("[data-upload-form] [name=title]", "Mi gran clavada")
        .await;
    player.follow("[data-upload-form] button").await;
    let path = player.path().await;
    assert!(path.starts_with("/mis-videos/"), "{path}");
    until_page_says(&mut player, "debe durar al menos 2").await;
    player.follow("a.button.action").await;
    assert_eq!(player.path().await, "/subir");

    player.choose("#video_file", &good).await;
    player
        .fill("[data-upload-form] [name=title]", "Mi otra clavada")
        .await;
    player.click("[data-upload-form] input[value=false]").await;
    player.follow("[data-upload-form] button").await;
    until_page_says(&mut player, "Tu clip está listo.").await;
    player.follow("form[action$=publicar] button").await;
    until_page_says(&mut player, "Publicado").await;
    assert_in_gallery(&mut player, "Mi otra clavada").await;
    player.end().await;
}

/// Waits until the page, which loads itself again, says something.
async fn until_page_says(player: &mut Visitor, words: &str) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !player.text("main").await.contains(words) {
        assert!(std::time::Instant::now() < deadline, "no {words:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
