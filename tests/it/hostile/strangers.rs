//! Files that are not films, and films whose pictures are in other files. They refer to the canary.

use super::{
    atoms::{Kind, atom, replace},
    canary::Canary,
    corpus::{Case, Cases, HEAD},
};
use crate::support::draw;

pub async fn all(canary: &Canary, film: &[u8]) -> Vec<Case> {
    let mut cases = Cases::default();
    disguises(&mut cases, canary).await;
    references(&mut cases, canary, film);
    cases.0
}

/// Adds playlists, scripts and other containers, bare and disguised as MP4.
async fn disguises(cases: &mut Cases, canary: &Canary) {
    let mut scripts = Vec::new();
    for url in canary.urls() {
        scripts.extend([
            format!("#EXTM3U\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n"),
            format!("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"{url}\"\n#EXTINF:1,\n{url}\n"),
            format!("#EXTM3U\n#EXTINF:1,\nconcat:{url}|subfile,,start,0,end,64,,:{url}\n"),
            format!("ffconcat version 1.0\nfile '{url}'\n"),
            format!("[playlist]\nFile1={url}\n"),
            format!("<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><BaseURL>{url}</BaseURL></MPD>"),
            format!("<svg xmlns:x=\"http://www.w3.org/1999/xlink\"><image x:href=\"{url}\"/></svg>"),
            format!("v=0\no=- 0 0 IN IP4 0\ns=x\nc=IN IP4 127.0.0.1\na=control:{url}\nm=video 9 RTP/AVP 96\n"),
        ]);
    }
    let mut files: Vec<(String, Vec<u8>)> = scripts
        .into_iter()
        .map(|script| (script.replace('\n', " "), script.into_bytes()))
        .collect();
    for (name, args) in [
        ("film.mkv", "-f lavfi -i testsrc2=s=64x48:d=1"),
        ("film.webm", "-f lavfi -i testsrc2=s=64x48:d=1 -c:v libvpx"),
        ("film.avi", "-f lavfi -i testsrc2=s=64x48:d=1"),
        ("film.ts", "-f lavfi -i testsrc2=s=64x48:d=1"),
        ("film.flv", "-f lavfi -i testsrc2=s=64x48:d=1"),
        ("moving.gif", "-f lavfi -i testsrc2=s=64x48:d=1"),
        ("photo.png", "-f lavfi -i testsrc2=s=64x48 -frames:v 1"),
    ] {
        files.push((name.to_owned(), draw(args, name).await));
    }
    files.push((
        "an AVI with a playlist as subtitle".into(),
        gab2(&canary.http()),
    ));
    files.push(("an archive".into(), b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()));
    files.push(("a program".into(), b"\x7fELF\x02\x01\x01\0".to_vec()));
    for (name, bytes) in files {
        cases.add(
            "corrupt",
            &format!("{name} behind a head"),
            [HEAD, &bytes].concat(),
        );
        cases.add("not_an_mp4", &name, bytes);
    }
    for (name, bytes) in [
        ("nothing", &b""[..]),
        ("a text", b"Hola, este es mi video.\n"),
        ("a page", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("zeros", &[0; 5000]),
        ("a HEIC picture", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("an AVIF picture", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"),
        ("a song", b"\0\0\0\x18ftypM4A \0\0\0\0isommp42"),
    ] {
        cases.add("not_an_mp4", name, bytes);
    }
}

/// Returns an AVI whose subtitle track is a playlist, as in the 2016 attack that read server files.
fn gab2(url: &str) -> Vec<u8> {
    let playlist =
        format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0\n{url}\n#EXT-X-ENDLIST\n");
    let chunk = |kind: &Kind, payload: &[u8]| {
        let size = u32::try_from(payload.len()).unwrap();
        [kind, &size.to_le_bytes()[..], payload].concat()
    };
    let subtitle = [b"GAB2\0\x02\0\x02\0\0\0x\0\x04\0", playlist.as_bytes()].concat();
    let movi = [b"movi", &chunk(b"00tx", &subtitle)[..]].concat();
    let header = [b"hdrl", &chunk(b"avih", &[0; 56])[..]].concat();
    let body = [
        b"AVI ",
        &chunk(b"LIST", &header)[..],
        &chunk(b"LIST", &movi),
    ]
    .concat();
    chunk(b"RIFF", &body)
}

/// Adds films that declare their pictures to be elsewhere.
fn references(cases: &mut Cases, canary: &Canary, film: &[u8]) {
    let path = canary.film().display().to_string();
    for (name, path) in [
        ("an alias to a file", path.as_str()),
        ("an alias to a file beside it", "canary.mp4"),
        ("an alias to an address", &canary.http()),
    ] {
        cases.add("corrupt", name, aliased(film, path));
    }
    for url in canary.urls() {
        let name = format!("a data reference to {url}");
        let bytes = referring(film, *b"url ", format!("{url}\0").as_bytes());
        cases.add("clip", &name, bytes);
    }
    let elsewhere = atom(
        b"rmra",
        &atom(b"rmda", &atom(b"rdrf", &redirection(&canary.http()))),
    );
    let movie = [HEAD, &atom(b"moov", &elsewhere)].concat();
    cases.add("not_a_video", "a reference movie", movie);
}

/// Returns a film whose pictures are in the file at an absolute path.
pub fn aliased(film: &[u8], path: &str) -> Vec<u8> {
    referring(film, *b"alis", &alias(path))
}

fn referring(film: &[u8], kind: Kind, payload: &[u8]) -> Vec<u8> {
    let dref = [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"];
    let entry = atom(&kind, &[&[0; 4], payload].concat());
    let table = [&[0, 0, 0, 0, 0, 0, 0, 1], &entry[..]].concat();
    replace(film, &dref, &table)
}

/// Returns a Macintosh alias record with an absolute path (type 2).
fn alias(path: &str) -> Vec<u8> {
    let length = u16::try_from(path.len()).unwrap().to_be_bytes();
    let mut record = vec![0; 6];
    record.extend([0; 4]);
    record.push(27);
    record.extend([b'v'; 27]);
    record.extend([0; 12]);
    record.push(8);
    record.extend([b'f'; 63]);
    record.extend([0; 16]);
    record.extend([0, 1, 0, 1]);
    record.extend([0; 16]);
    record.extend([0, 2]);
    record.extend(length);
    record.extend(path.as_bytes());
    // The path is padded to an even length.
    record.extend(vec![0; path.len() % 2]);
    record.extend([0xff, 0xff, 0, 0]);
    record
}

fn redirection(url: &str) -> Vec<u8> {
    let size = u32::try_from(url.len()).unwrap().to_be_bytes();
    [&[0; 4], b"url ", &size[..], url.as_bytes()].concat()
}
