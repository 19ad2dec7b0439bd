//! Writes gzip files into `OUT_DIR`: the OpenAPI document, and the script and the style sheet of
//! Swagger UI.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo passes variables to build scripts"
)]

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// The archive has one folder, named after the version.
const NAMES: [&str; 2] = ["dist/swagger-ui-bundle.js", "dist/swagger-ui.css"];

const DOCUMENT: &str = "api/openapi.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DOCUMENT}");
    let folder = env::var("OUT_DIR")?;
    let mut document = GzEncoder::new(Vec::new(), Compression::best());
    document.write_all(&fs::read(DOCUMENT)?)?;
    fs::write(
        Path::new(&folder).join("openapi.json.gz"),
        document.finish()?,
    )?;
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
        let target = Path::new(&folder).join(format!("{}.gz", path.trim_start_matches("dist/")));
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
