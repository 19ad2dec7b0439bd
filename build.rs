//! Sets a linker option, and writes compressed files into `OUT_DIR`: the OpenAPI document, the
//! script and the style sheet of Swagger UI, and the assets of the pages with a table of them.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo passes variables to build scripts"
)]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// The archive has one folder, named after the version.
const NAMES: [&str; 2] = ["dist/swagger-ui-bundle.js", "dist/swagger-ui.css"];

const DOCUMENT: &str = "api/openapi.json";

const ASSETS: &str = "web/assets";

/// The media types of assets by extension, and whether files of the type are worth compressing.
const MEDIA_TYPES: [(&str, &str, bool); 7] = [
    ("css", "text/css; charset=utf-8", true),
    ("js", "text/javascript; charset=utf-8", true),
    ("png", "image/png", false),
    ("svg", "image/svg+xml", true),
    ("txt", "text/plain; charset=utf-8", true),
    ("webmanifest", "application/manifest+json", true),
    ("woff2", "font/woff2", false),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DOCUMENT}");
    println!("cargo::rerun-if-changed={ASSETS}");
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        // Relocations take 0.1 MB in place of 1.8. Needs glibc 2.36; distributions with an older one
        // have neither the ffmpeg nor the PostgreSQL that we need.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let folder = env::var("OUT_DIR")?;
    let folder = Path::new(&folder);
    fs::write(folder.join("openapi.json.gz"), gzip(&fs::read(DOCUMENT)?)?)?;
    unpack_swagger(folder)?;
    pack_assets(folder)
}

fn unpack_swagger(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let mut file = archive.by_index_raw(index)?;
        let name = file.name()?.into_owned();
        let (_, path) = name.split_once('/').unwrap_or_default();
        if !NAMES.contains(&path) {
            continue;
        }
        if file.compression() != CompressionMethod::DEFLATE {
            return Err(format!("{path} is not deflated").into());
        }
        let target = folder.join(format!("{}.gz", path.trim_start_matches("dist/")));
        // The same compressed data, between the header and the trailer of gzip (RFC 1952 §2.3).
        let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        file.read_to_end(&mut gzip)?;
        gzip.extend(file.crc32().to_le_bytes());
        gzip.extend(u32::try_from(file.size())?.to_le_bytes());
        fs::write(target, gzip)?;
        unpacked += 1;
    }
    if unpacked < NAMES.len() {
        return Err("the archive lacks a file of Swagger UI".into());
    }
    Ok(())
}

/// Compresses the assets, and writes `assets.rs` with their table. All of them share one hash, which
/// names their folder: so an asset refers to another by a relative address.
fn pack_assets(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(ASSETS)? {
        let name = entry?.file_name();
        names.push(
            name.into_string()
                .map_err(|name| format!("{} is not UTF-8", name.display()))?,
        );
    }
    names.sort();
    let packed = folder.join("assets");
    fs::create_dir_all(&packed)?;
    let mut hasher = DefaultHasher::new();
    let mut table = String::new();
    for name in names {
        let path = Path::new(ASSETS).join(&name);
        let extension = path.extension().and_then(|extension| extension.to_str());
        let kind = MEDIA_TYPES
            .iter()
            .find(|(known, ..)| Some(*known) == extension);
        let (_, media_type, is_compressible) = kind.ok_or(format!("media type of {name}"))?;
        let bytes = fs::read(&path)?;
        (&name, &bytes).hash(&mut hasher);
        let body = if *is_compressible {
            fs::write(packed.join(format!("{name}.br")), brotli(&bytes)?)?;
            fs::write(packed.join(format!("{name}.gz")), gzip(&bytes)?)?;
            format!(
                "Body::Compressed {{ brotli: {}, gzip: {} }}",
                include(&format!("{name}.br")),
                include(&format!("{name}.gz"))
            )
        } else {
            fs::write(packed.join(&name), &bytes)?;
            format!("Body::Plain({})", include(&name))
        };
        writeln!(
            table,
            "    Asset {{ name: {name:?}, media_type: {media_type:?}, body: {body} }},"
        )?;
    }
    let build = format!("{:016x}", hasher.finish());
    let source =
        format!("pub const BUILD: &str = {build:?};\nstatic FILES: &[Asset] = &[\n{table}];\n");
    fs::write(folder.join("assets.rs"), source)?;
    Ok(())
}

/// Returns the expression of a packed file's bytes.
fn include(name: &str) -> String {
    format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/assets/{name}\"))")
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let parameters = BrotliEncoderParams {
        quality: 11,
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut Cursor::new(bytes), &mut compressed, &parameters)?;
    Ok(compressed)
}
