//! What pages cost a visitor: bytes, requests, and movement while they arrive. `bench` has the times.

use serde_json::Value;

use crate::{
    sheets::{Contest, Who},
    traffic::Request,
    visitor::{LAPTOP, PHONE, Visitor},
};

/// Everything of a page but pictures and clips.
const PAGE_BYTES: u64 = 60_000;
const DOCUMENT_BYTES: u64 = 8_000;
const PAGE_REQUESTS: usize = 7;
/// Bytes of a page after another one.
const NEXT_PAGE_BYTES: u64 = 10_000;

fn is_media(request: &Request) -> bool {
    request.url.contains("/media/")
}

fn is_clip(request: &Request) -> bool {
    is_media(request) && request.url.contains(".mp4")
}

/// Opens a page. Returns the requests that it made, without those of the cache.
async fn costs(visitor: &mut Visitor, path: &str) -> Vec<Request> {
    let before = visitor.requests().await.len();
    visitor.open(path).await;
    visitor.judge().await;
    let requests = &visitor.requests().await[before..];
    let loaded = requests.iter().filter(|one| !one.is_cached);
    let loaded: Vec<_> = loaded.cloned().collect();
    for one in &loaded {
        let file = one.url.rsplit('/').next().unwrap();
        println!("    {:>6} B  {:<10} {file}", one.bytes, one.kind);
    }
    loaded
}

fn bytes(requests: &[Request]) -> u64 {
    let own = requests.iter().filter(|one| !is_media(one));
    own.map(|one| one.bytes).sum()
}

#[tokio::test]
async fn pages_keep_their_budgets() {
    let contest = Contest::hold().await;
    let mut visitor = contest.visitor(Who::Anybody).await;
    println!("/, cold:");
    let first = costs(&mut visitor, "/").await;
    let own: Vec<_> = first.iter().filter(|one| !is_media(one)).collect();
    println!("{} B in {} requests", bytes(&first), own.len());
    assert!(bytes(&first) <= PAGE_BYTES);
    assert!(own.len() <= PAGE_REQUESTS, "{own:#?}");
    let document = own.iter().find(|one| one.kind == "Document").unwrap();
    assert!(document.bytes <= DOCUMENT_BYTES, "{document:?}");

    for sheet in contest
        .sheets
        .iter()
        .filter(|sheet| sheet.who == Who::Anybody)
    {
        if sheet.status == 200 {
            println!("{}, after another page:", sheet.path);
            let next = costs(&mut visitor, &sheet.path).await;
            println!("{} B", bytes(&next));
            assert!(bytes(&next) <= NEXT_PAGE_BYTES, "{}", sheet.path);
        }
    }
    let requests = visitor.requests().await;
    let session = requests.iter().find(|one| one.url.contains("/sesion"));
    assert!(
        session.is_none(),
        "a visitor without a session was asked for"
    );
    let clip = requests.iter().find(|one| is_clip(one));
    assert!(clip.is_none(), "loaded before a tap: {clip:?}");

    // At most one clip loads at a time.
    visitor.open("/").await;
    for card in [1, 2] {
        visitor
            .click(&format!(".cell:nth-child({card}) a.play"))
            .await;
        visitor
            .until(&format!(".cell:nth-child({card}) video"))
            .await;
        let videos = "return document.querySelectorAll('video').length";
        assert_eq!(visitor.run(videos, Value::Null).await, 1);
    }
    assert!(visitor.requests().await.iter().any(is_clip));

    // The other size is one tap away, and remembered.
    let watch = contest.sheets.iter().find(|sheet| sheet.name == "watch");
    visitor.open(&watch.unwrap().path).await;
    assert_eq!(visitor.text("a.play [data-size]").await, "Ver · 8,7 MB");
    assert_eq!(visitor.text(".other-size").await, "Ver en ligero · 2,1 MB");
    visitor.click(".other-size a").await;
    visitor.until("video[src*='-l.mp4']").await;
    assert_eq!(visitor.text(".other-size").await, "Ver en HD · 8,7 MB");
    visitor.reload().await;
    assert_eq!(
        visitor.text("a.play [data-size]").await,
        "Ver en ligero · 2,1 MB"
    );
    visitor.end().await;
}

#[tokio::test]
async fn members_are_asked_for_once_a_page() {
    let contest = Contest::hold().await;
    let mut visitor = contest.visitor(Who::Player).await;
    visitor.open("/").await;
    visitor.until("[data-state=own]").await;
    let is_session = |one: &&Request| one.url.contains("/sesion");
    let asked: Vec<_> = visitor
        .requests()
        .await
        .iter()
        .filter(is_session)
        .cloned()
        .collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].bytes <= 1_500, "{asked:?}");
    visitor.open("/").await;
    visitor.judge().await;
    assert_eq!(
        visitor.requests().await.iter().filter(is_session).count(),
        1
    );
    visitor.end().await;
}

/// How far the heading of the board moves when its rows arrive after it, in pixels.
const SHIFT: &str = "
    const top = () => document.querySelector('.board-head').getBoundingClientRect().top;
    const list = document.querySelector('.board ol');
    const rows = [...list.children];
    const full = top();
    list.replaceChildren();
    const empty = top();
    list.replaceChildren(...rows);
    return full - empty;";

#[tokio::test]
async fn heading_of_the_board_stays_while_its_rows_arrive() {
    let contest = Contest::hold().await;
    for size in [PHONE, LAPTOP] {
        let mut visitor = contest.visitor(Who::Anybody).await;
        visitor.resize(size).await;
        visitor.open("/").await;
        assert_eq!(visitor.run(SHIFT, Value::Null).await, 0, "{size:?}");
        visitor.end().await;
    }
}
