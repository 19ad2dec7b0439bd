//! The paths of requests.

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Uri, uri::PathAndQuery},
    middleware::Next,
};

use super::respond::PROBES;

/// Middleware that removes one trailing slash from the paths of the API and the probes; elsewhere
/// it can be significant. Unlike Actix's `NormalizePath`, it does not merge repeated slashes:
/// `/api//videos` is an unknown path.
pub async fn trim_slash(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(uri) = without_trailing_slash(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    if !path.starts_with("/api/") && !PROBES.contains(&path) {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_slash_is_removed() {
        for (uri, trimmed) in [
            ("/api/videos/", Some("/api/videos")),
            ("/api/videos/?page=2&q=/", Some("/api/videos?page=2&q=/")),
            ("/api/videos//", Some("/api/videos/")),
            ("/api/videos", None),
            ("/api/videos?q=/", None),
            ("/ready/", Some("/ready")),
            ("/swagger/", None),
            ("/", None),
        ] {
            let trimmed = trimmed.map(|uri| Uri::try_from(uri).unwrap());
            assert_eq!(
                without_trailing_slash(&Uri::try_from(uri).unwrap()),
                trimmed
            );
        }
    }
}
