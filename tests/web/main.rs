//! The pages in Chromium, against the real services.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod axe;
mod bench;
mod budgets;
mod contest;
mod failures;
mod films;
mod guard;
mod keyboard;
mod links;
mod narrow;
mod organiser;
mod outages;
mod player;
mod proxies;
mod reports;
mod shared;
mod sheets;
mod stage;
mod traffic;
mod visitor;
mod voter;
mod words;

/// The support of the integration tests.
#[path = "../it"]
#[expect(unused, reason = "only other tests use all of it")]
mod it {
    pub mod support;
    #[path = "browser"]
    pub mod browser {
        pub mod driver;
        pub mod site;
    }
    #[path = "processes"]
    pub mod processes {
        pub mod process;
    }
}

use it::support;
