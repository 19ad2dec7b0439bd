//! Which build this is.

use std::sync::LazyLock;

/// Version and, where the build knew it (`ANB_COMMIT`), the commit.
pub static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("ANB_COMMIT") {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});
