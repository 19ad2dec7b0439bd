//! `GET /organizacion/clasificacion.csv`: the ranking by city as a table, with a byte order mark for
//! Excel. It has no e-mail addresses.

use actix_web::{HttpResponse, http::header, web};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    app::App,
    auth::permissions::ExportResults,
    csv,
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
    csv::write_row(text, &cells);
}
