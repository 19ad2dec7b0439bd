//! Endpoints of the published contract. Nothing here depends on data or settings.

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::{self, Bytes},
};
use anyhow::Context as _;
use serde_json::json;

use crate::{
    http::{Code, Result, representation::StaticFile},
    language::Language,
};

/// The document: kept by hand, and compared with the program by `tests/it/contract`.
static DOCUMENT: LazyLock<StaticFile> = LazyLock::new(|| {
    let document = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));
    StaticFile::from_gzip("application/json", Bytes::from_static(document))
});

/// The content security policy of Swagger UI: it loads only files of this origin. Its styles are
/// partly inline.
const SWAGGER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
);

/// The files of Swagger UI by name. `build.rs` takes the large ones from the crate that vendors
/// them.
static SWAGGER: LazyLock<BTreeMap<&str, StaticFile>> = LazyLock::new(|| {
    let page = || {
        let body = include_bytes!("../../web/swagger/index.html");
        StaticFile::new("text/html; charset=utf-8", body)
    };
    let script = "text/javascript; charset=utf-8";
    let bundle = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"));
    let style = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"));
    BTreeMap::from([
        ("", page()),
        ("index.html", page()),
        (
            "init.js",
            StaticFile::new(script, include_bytes!("../../web/swagger/init.js")),
        ),
        (
            "swagger-ui-bundle.js",
            StaticFile::from_gzip(script, Bytes::from_static(bundle)),
        ),
        (
            "swagger-ui.css",
            StaticFile::from_gzip("text/css; charset=utf-8", Bytes::from_static(style)),
        ),
    ])
});

/// The explanations of the error codes, by code: status, and sentence by language tag.
static EXPLANATIONS: LazyLock<BTreeMap<&str, StaticFile>> = LazyLock::new(|| {
    let explanations = Code::ALL.iter().map(|code| {
        let languages = [Language::Spanish, Language::English];
        let messages = languages.map(|language| (language.tag(), code.message(language)));
        let body = json!({
            "code": code.name(),
            "status": code.status().as_u16(),
            "messages": BTreeMap::from(messages),
        });
        let file = StaticFile::new("application/json", body.to_string().as_bytes());
        (code.name(), file)
    });
    explanations.collect()
});

/// `GET /openapi.json`
pub async fn document(request: HttpRequest) -> Result<HttpResponse> {
    Ok(DOCUMENT.respond(&request).context("unpack the document")?)
}

/// `GET /swagger/{file}`
pub async fn swagger(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse> {
    let file = SWAGGER.get(file.as_str()).ok_or(Code::NotFound)?;
    let mut response = file.respond(&request).context("unpack Swagger UI")?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, SWAGGER_POLICY);
    Ok(response)
}

/// `GET /errors/{code}`
pub async fn explain_code(request: HttpRequest, code: web::Path<String>) -> Result<HttpResponse> {
    let explanation = EXPLANATIONS.get(code.as_str()).ok_or(Code::NotFound)?;
    let response = explanation.respond(&request);
    Ok(response.context("unpack an explanation")?)
}
