//! The origin of the site, as visitors see it.

use actix_web::HttpRequest;

/// Origin for absolute URLs, without which they are relative to the root.
#[derive(Debug, Clone)]
pub struct PublicUrl(pub Option<String>);

impl PublicUrl {
    /// Returns the origin, or none if it is unknown.
    pub fn of(request: &HttpRequest) -> Option<&str> {
        request.app_data::<Self>()?.0.as_deref()
    }
}
