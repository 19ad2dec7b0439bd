//! Which build this is.

use std::sync::{LazyLock, OnceLock};

static COMMIT: OnceLock<&str> = OnceLock::new();

/// Version and, where the executable named it, the commit.
pub static VERSION: LazyLock<String> = LazyLock::new(|| match COMMIT.get() {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

/// Names the commit, before [`VERSION`] is read for the first time. Only the executable knows it: the library is
/// not compiled again for each commit.
pub fn name_commit(commit: &'static str) {
    COMMIT.get_or_init(|| commit);
}
