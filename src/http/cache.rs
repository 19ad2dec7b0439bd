//! Answers that browsers and CDNs may keep: an `ETag` over the body, a short `Cache-Control`, and 304
//! for who has it already (RFC 9110 §8.8.3, §13.1.2).

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, EntityTag, Header as _, IfNoneMatch},
};
use aws_lc_rs::digest;
use serde::Serialize;

use super::Result;

/// Answers a public read with JSON that may be kept for `max_age_secs`.
pub fn json<T: Serialize>(
    request: &HttpRequest,
    value: &T,
    max_age_secs: u32,
    link: Option<String>,
) -> Result<HttpResponse> {
    let body = serde_json::to_vec(value).map_err(anyhow::Error::from)?;
    // Weak, since compression changes the bytes and not the meaning.
    let tag = EntityTag::new_weak(hex::encode(digest::digest(&digest::SHA256, &body)));
    let is_known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((header::ETAG, tag.to_string()));
    response.insert_header((
        header::CACHE_CONTROL,
        format!("public, max-age={max_age_secs}"),
    ));
    if let Some(link) = link {
        response.insert_header((header::LINK, link));
    }
    if is_known {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(body))
}

#[cfg(test)]
mod tests {
    use actix_web::{http::StatusCode, test::TestRequest};

    use super::*;

    #[test]
    fn who_has_the_body_gets_304() {
        let request = TestRequest::default().to_http_request();
        let first = json(&request, &[1, 2], 5, None).unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers().get(header::ETAG).unwrap().clone();

        let again = TestRequest::default()
            .insert_header((header::IF_NONE_MATCH, tag))
            .to_http_request();
        assert_eq!(
            json(&again, &[1, 2], 5, None).unwrap().status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(
            json(&again, &[1, 3], 5, None).unwrap().status(),
            StatusCode::OK
        );
    }
}
