//! `anb migrate`: applies pending migrations, or reverts the last one.

use std::io::{self, Write as _};

use crate::{
    cli::{Direction, Migrate},
    db::{self, migrations},
};

pub async fn run(arguments: Migrate) -> anyhow::Result<()> {
    arguments.database.validate()?;
    db::pooler::reject_shared_sessions(&arguments.database).await?;
    let connection = db::connect(&arguments.database).await?;
    let (done, migrations) = match (arguments.direction, arguments.dry_run) {
        (None, true) => ("pending", migrations::pending(connection).await?),
        (None, false) => ("applied", migrations::run(connection).await?),
        (Some(Direction::Revert), false) => (
            "reverted",
            migrations::revert(connection).await?.into_iter().collect(),
        ),
        (Some(Direction::Revert), true) => {
            anyhow::bail!("--dry-run lists pending migrations and cannot be combined with revert")
        }
    };
    let mut out = io::stdout().lock();
    if migrations.is_empty() {
        writeln!(out, "nothing {done}")?;
    }
    for migration in migrations {
        writeln!(out, "{done} {migration}")?;
    }
    Ok(())
}
