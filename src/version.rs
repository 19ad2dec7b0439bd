//! The version of this build.

use std::sync::{LazyLock, OnceLock};

static COMMIT: OnceLock<&str> = OnceLock::new();

/// Version and, if the executable set it, the commit.
pub static VERSION: LazyLock<String> = LazyLock::new(|| match COMMIT.get() {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

/// Sets the commit. Call it before the first use of [`VERSION`]. Only the executable knows the
/// commit, so that the library is not recompiled for each one.
pub fn name_commit(commit: &'static str) {
    COMMIT.get_or_init(|| commit);
}
