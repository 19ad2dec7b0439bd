//! Generated hostile and unusual files, with the expected outcome of each.

use super::{
    atoms::{Kind, atom, edit, poke, replace},
    canary::Canary,
    strangers,
};
use crate::support::draw;

/// A file, and the code of its rejection or `clip`.
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    pub verdict: &'static str,
}

#[derive(Default)]
pub struct Cases(pub Vec<Case>);

impl Cases {
    pub fn add(&mut self, verdict: &'static str, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push(Case {
            name: name.to_owned(),
            bytes: bytes.into(),
            verdict,
        });
    }
}

const STBL: [&Kind; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];

/// Makes the bytes that follow it pass for an MP4 file.
pub const HEAD: &[u8] = b"\0\0\0\x14ftypisom\0\0\x02\0mp42";

/// Returns a short film with one H.264 track and its index at the end.
pub async fn film() -> Vec<u8> {
    drawn("-c:v libx264").await
}

pub async fn all(canary: &Canary) -> Vec<Case> {
    let film = film().await;
    let mut cases = Cases(strangers::all(canary, &film).await);
    bombs(&mut cases, &film).await;
    times(&mut cases, &film).await;
    counts(&mut cases, &film).await;
    damages(&mut cases, &film).await;
    unusual_films(&mut cases, film).await;
    cases.0
}

async fn drawn(options: &str) -> Vec<u8> {
    shot("testsrc2=s=128x96:r=15:d=1.2", options).await
}

async fn shot(source: &str, options: &str) -> Vec<u8> {
    let args = format!("-f lavfi -i {source} -preset ultrafast -pix_fmt yuv420p {options}");
    draw(&args, "film.mov").await
}

/// Adds small files that demand much memory, time or disk space.
async fn bombs(cases: &mut Cases, film: &[u8]) {
    let mjpeg = drawn("-c:v mjpeg").await;
    for (name, size) in [("16k", 16_000_u16), ("64k", 65_500)] {
        let [high, low] = size.to_be_bytes();
        let mut bomb = mjpeg.clone();
        while let Some(at) = find(&bomb, b"\xff\xc0\0\x11\x08\0\x60\0\x80") {
            bomb[at + 5..at + 9].copy_from_slice(&[high, low, high, low]);
        }
        cases.add("corrupt", &format!("pictures of {name} by {name}"), bomb);
    }
    let still = shot("color=red:s=128x96:r=1:d=1", "-c:v mjpeg").await;
    cases.add("too_complex", "one picture of 16k by 16k", enlarged(&still));
    let wide = shot("color=red:s=5000x2000:r=15:d=1.2", "-c:v mpeg4");
    cases.add("too_complex", "MPEG-4 beyond 4K", wide.await);
    let wide = shot("color=red:s=5000x2000:r=15:d=0.1", "-c:v libx264 -f h264").await;
    let narrow = shot("testsrc2=s=128x96:r=15:d=1.2", "-c:v libx264 -f h264").await;
    let other = shot("testsrc2=s=96x128:r=15:d=0.1", "-c:v libx264 -f h264").await;
    cases.add("too_complex", "beyond 4K", wrapped(&wide).await);
    cases.add(
        "clip",
        "beyond 4K after a second",
        wrapped(&[&narrow[..], &wide].concat()).await,
    );
    let start = shot("testsrc2=s=128x96:r=15:d=0.1", "-c:v libx264 -f h264").await;
    let flicker = [&start[..], &other].concat().repeat(40);
    cases.add(
        "clip",
        "another size every picture",
        wrapped(&flicker).await,
    );

    let strips = [
        ("a strip", "4096x16"),
        ("a column", "16x4096"),
        ("a dot", "2x2"),
    ];
    for (name, size) in strips {
        let film = shot(&format!("testsrc2=s={size}:r=15:d=1.2"), "-c:v libx264").await;
        cases.add("clip", name, film);
    }
    for streams in [17, 120] {
        let options = "-c:v libx264 ".to_owned() + &"-map 0 ".repeat(streams);
        let name = format!("{streams} streams");
        cases.add(
            "too_complex",
            &name,
            shot("testsrc2=s=16x16:r=15:d=1.2", &options).await,
        );
    }
    let deep = (0..2000).fold(Vec::new(), |inside, _| atom(b"moov", &inside));
    cases.add(
        "corrupt",
        "2000 atoms in each other",
        [HEAD, &deep].concat(),
    );
    let many = atom(b"moov", &atom(b"free", b"").repeat(20_000));
    cases.add("not_a_video", "20000 empty atoms", [HEAD, &many].concat());
    let tags = atom(
        b"udta",
        &atom(
            b"\xa9nam",
            &[&[0xff, 0xf0, 0, 0][..], &b"x".repeat(0xfff0)].concat(),
        ),
    );
    let tagged = edit(film, &[b"moov"], &mut |moov| {
        [moov, &tags.repeat(40)].concat()
    });
    cases.add("clip", "40 titles of 64 KB", tagged);
    let zipped = [
        atom(b"dcom", b"zlib"),
        atom(b"cmvd", b"\x7f\xff\xff\xffx\x9c\0\0"),
    ]
    .concat();
    let packed = atom(b"moov", &atom(b"cmov", &zipped));
    cases.add(
        "too_complex",
        "an index that unpacks to 2 GB",
        [HEAD, &packed].concat(),
    );
    let noise = shot(
        "nullsrc=s=640x480:r=30:d=4,geq=random(1)*255:128:128",
        "-c:v libx264 -qp 0",
    );
    cases.add("clip", "pure noise", noise.await);
}

/// Declares one small JPEG picture to be 16,000 by 16,000 pixels, and pads it to the minimum length
/// of a picture of that size in one colour.
fn enlarged(film: &[u8]) -> Vec<u8> {
    let size = [0x3e, 0x80, 0x3e, 0x80];
    let mut picture = Vec::new();
    let film = edit(film, &[b"mdat"], &mut |data| {
        let (head, end) = data.split_at(data.len() - 2);
        picture = [head, &b"\x28".repeat(1_500_000), end].concat();
        let at = find(&picture, b"\xff\xc0").unwrap() + 5;
        picture[at..at + 4].copy_from_slice(&size);
        picture.clone()
    });
    let length = u32::try_from(picture.len()).unwrap();
    let film = poke(&film, &[&STBL[..], &[b"stsd"]].concat(), 40, &size);
    replace(
        &film,
        &[&STBL[..], &[b"stsz"]].concat(),
        &words(&[0, length, 1]),
    )
}

/// Wraps a raw H.264 stream in an MP4 file.
async fn wrapped(stream: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.h264");
    std::fs::write(&path, stream).unwrap();
    draw(
        &format!("-r 15 -f h264 -i {} -c copy", path.display()),
        "film.mp4",
    )
    .await
}

/// Encodes numbers as big-endian 32-bit words.
fn words(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Adds films with absurd timestamps.
async fn times(cases: &mut Cases, film: &[u8]) {
    let gap = "-c:v libx264 -vf setpts=PTS+gte(N\\,9)*3600/TB -fps_mode passthrough";
    cases.add("clip", "a gap of an hour", drawn(gap).await);
    let late = "-c:v libx264 -vf setpts=PTS+3600/TB -fps_mode passthrough";
    cases.add("clip", "a start after an hour", drawn(late).await);
    cases.add(
        "too_complex",
        "1000 pictures a second",
        shot("testsrc2=s=64x48:r=1000:d=1.2", "-c:v libx264").await,
    );
    let stts = [&STBL[..], &[b"stts"]].concat();
    let one = |count: u32, ticks: u32| words(&[0, 1, count, ticks]);
    cases.add(
        "clip",
        "each picture lasts a day",
        replace(film, &stts, &one(18, 15_360 * 86_400)),
    );
    cases.add(
        "clip",
        "no picture lasts",
        replace(film, &stts, &one(18, 0)),
    );
    cases.add(
        "too_complex",
        "pictures go backwards",
        replace(film, &stts, &one(18, 0xffff_ff00)),
    );
    let mdhd = [b"moov", b"trak", b"mdia", b"mdhd"];
    for (name, scale, verdict) in [
        ("a clock of no ticks", 0_u32, "clip"),
        ("a clock of one tick", 1, "clip"),
        ("a clock of 4 billion ticks", u32::MAX, "clip"),
    ] {
        cases.add(verdict, name, poke(film, &mdhd, 12, &scale.to_be_bytes()));
    }
    let elst = [b"moov", b"trak", b"edts", b"elst"];
    let edits = |count: u32, length: u32, start: u32| {
        replace(film, &elst, &words(&[0, count, length, start, 0x0001_0000]))
    };
    cases.add(
        "corrupt",
        "an empty edit of an hour",
        edits(1, 3_600_000, u32::MAX),
    );
    cases.add(
        "corrupt",
        "an edit after the end",
        edits(1, 1200, 0x7fff_ffff),
    );
    cases.add("clip", "a billion edits", edits(1_000_000_000, 1200, 0));
}

/// Adds films whose tables declare more entries than the file holds.
async fn counts(cases: &mut Cases, film: &[u8]) {
    let (damaged, greedy) = ("corrupt", "too_complex");
    for (table, at, verdicts) in [
        (b"stts", 4, [greedy, damaged, greedy, greedy]),
        (b"stss", 4, ["clip", damaged, greedy, damaged]),
        (b"stsc", 4, [damaged, damaged, damaged, damaged]),
        (b"stsz", 8, [damaged, damaged, damaged, damaged]),
        (b"stco", 4, [damaged, damaged, greedy, greedy]),
    ] {
        let path = [&STBL[..], &[table]].concat();
        let numbers = [0_u32, 0x00ff_ffff, 0x0fff_ffff, u32::MAX];
        for (count, verdict) in numbers.into_iter().zip(verdicts) {
            let name = format!("{} of {count}", String::from_utf8_lossy(table));
            cases.add(verdict, &name, poke(film, &path, at, &count.to_be_bytes()));
        }
    }
    let sizes = [&STBL[..], &[b"stsz"]].concat();
    let same = words(&[0, 1, 0x0fff_ffff]);
    cases.add(
        "corrupt",
        "250 million samples in 12 bytes",
        replace(film, &sizes, &same),
    );
    let parts = drawn("-c:v libx264 -movflags frag_keyframe+empty_moov").await;
    let trun = [b"moof", b"traf", b"trun"];
    for (count, verdict) in [(0x00ff_ffff_u32, greedy), (u32::MAX, damaged)] {
        let name = format!("a fragment of {count}");
        cases.add(verdict, &name, poke(&parts, &trun, 4, &count.to_be_bytes()));
    }
    cases.add("clip", "fragments", parts);
}

/// Adds damaged films.
async fn damages(cases: &mut Cases, film: &[u8]) {
    let streamed = drawn("-c:v libx264 -movflags +faststart").await;
    cases.add("corrupt", "no index", &film[..film.len() / 2]);
    cases.add(
        "corrupt",
        "an index without pictures",
        &streamed[..streamed.len() / 3],
    );
    for (name, size) in [("a small", 7_u32), ("a huge", u32::MAX), ("no", 0)] {
        let at = find(film, b"moov").unwrap() - 4;
        let mut broken = film.to_vec();
        broken[at..at + 4].copy_from_slice(&size.to_be_bytes());
        let verdict = if size == 7 { "corrupt" } else { "clip" };
        cases.add(verdict, &format!("{name} size of the index"), broken);
    }
    for (name, fill) in [("zeros", 0), ("ones", 0xff), ("letters", b'a')] {
        let data = edit(film, &[b"mdat"], &mut |data| vec![fill; data.len()]);
        cases.add("corrupt", &format!("pictures of {name}"), data);
    }
    let avcc = find(film, b"avcC").unwrap();
    let mut broken = film.to_vec();
    broken[avcc + 4..avcc + 30].fill(0xff);
    cases.add("corrupt", "parameter sets of ones", broken);
    // Bit-exact files have no random initialisation vector. With some, pictures of noise decode.
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key ffeeddccbbaa99887766554433221100 \
               -encryption_kid 00112233445566778899aabbccddeeff -fflags +bitexact";
    let args =
        format!("-f lavfi -i testsrc2=s=128x96:r=15:d=1.2 -c:v libx264 -preset ultrafast {key}");
    cases.add(
        "corrupt",
        "an encrypted film",
        draw(&args, "film.mp4").await,
    );
}

/// Adds unusual films that are accepted, and well-formed files that are rejected.
async fn unusual_films(cases: &mut Cases, film: Vec<u8>) {
    for (verdict, name, options) in [
        (
            "clip",
            "an index at the start",
            "-c:v libx264 -movflags +faststart",
        ),
        (
            "clip",
            "pixels 1000 times as wide as high",
            "-c:v libx264 -vf setsar=1000",
        ),
        ("clip", "many references", "-c:v libx264 -bf 16 -refs 16"),
        ("clip", "Motion JPEG", "-c:v mjpeg"),
        ("unsupported_codec", "PNG pictures", "-c:v png"),
        (
            "unsupported_codec",
            "raw pictures",
            "-c:v rawvideo -pix_fmt rgb24",
        ),
        ("too_short", "a single picture", "-c:v libx264 -frames:v 1"),
    ] {
        cases.add(verdict, name, drawn(options).await);
    }
    let tkhd = [b"moov", b"trak", b"tkhd"];
    cases.add(
        "clip",
        "a matrix of zeros",
        poke(&film, &tkhd, 40, &[0; 36]),
    );
    cases.add(
        "clip",
        "a matrix of ones",
        poke(&film, &tkhd, 40, &[0xff; 36]),
    );
    let sound = draw("-f lavfi -i sine=d=1.2 -c:a aac", "film.mp4").await;
    cases.add("not_a_video", "sound alone", sound);
    cases.add("clip", "an index at the end", film);
}
