//! `GET /organizacion/clasificacion.csv`: the ranking by city as a table (RFC 4180), with `;` and a
//! byte order mark, as Excel reads it in Colombia. It has no e-mail addresses.

use actix_web::{HttpResponse, http::header, web};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    app::App,
    auth::permissions::ExportResults,
    http::Result,
    listing::{self, TableRow},
    web::visit::{Staff, Visit},
};

const HEAD: &str = "\u{feff}ciudad;puesto;jugador;votos;video;titulo;enlace\r\n";

/// `GET /organizacion/clasificacion.csv`
pub async fn ranking_table(
    app: web::Data<App>,
    visit: Visit,
    _: Staff<ExportResults>,
) -> Result<HttpResponse> {
    let origin = visit.site.public_url.clone().unwrap_or_default();
    let rows = listing::table(app.backends.db.clone());
    let lines = rows.map_ok(move |rows| {
        let mut text = String::new();
        for row in &rows {
            write_row(&mut text, row, &origin);
        }
        web::Bytes::from(text)
    });
    let head = stream::iter([anyhow::Ok(web::Bytes::from_static(HEAD.as_bytes()))]);
    let body = head.chain(lines);
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"clasificacion.csv\"",
        ))
        .streaming(body.map_err(std::io::Error::other)))
}

fn write_row(text: &mut String, row: &TableRow, origin: &str) {
    let link = format!("{origin}/videos/{}", row.video);
    let cells = [
        row.city.clone(),
        row.place.to_string(),
        format!("{} {}", row.first_name, row.last_name),
        row.votes.to_string(),
        row.video.to_string(),
        row.title.clone(),
        link,
    ];
    for (index, value) in cells.iter().enumerate() {
        if index > 0 {
            text.push(';');
        }
        write_cell(text, value);
    }
    text.push_str("\r\n");
}

/// Writes a cell so that no program takes it for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn write_cell(text: &mut String, value: &str) {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let prefix = if is_formula { "'" } else { "" };
    // LibreOffice proposes to separate by commas and tabs as well.
    if value.contains([';', ',', '\t', '"', '\n', '\r']) {
        let quoted = value.replace('"', "\"\"");
        for part in ["\"", prefix, &quoted, "\""] {
            text.push_str(part);
        }
    } else {
        text.push_str(prefix);
        text.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        for (value, cell) in [
            ("Cali", "Cali"),
            ("Ana; \"la 10\"", "\"Ana; \"\"la 10\"\"\""),
            ("=1+1", "'=1+1"),
            ("+57", "'+57"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("Triple, desde lejos", "\"Triple, desde lejos\""),
            ("=\"x\";", "\"'=\"\"x\"\";\""),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            let mut text = String::new();
            write_cell(&mut text, value);
            assert_eq!(text, cell, "{value:?}");
        }
    }
}
