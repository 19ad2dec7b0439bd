//! `anb migrate`: applies pending migrations, or reverts the last one.

use std::io::{self, Write as _};

use anyhow::Context as _;

use crate::{
    cli::{Direction, Migrate},
    config::database::Settings,
    db::{self, login, migrations},
};

pub async fn run(arguments: Migrate) -> anyhow::Result<()> {
    arguments.database.validate()?;
    let owner = match &arguments.owner.db_owner_user {
        Some(user) => {
            let password = arguments.owner.db_owner_password.clone();
            &arguments.database.with_user(user, password)?
        }
        None => &arguments.database,
    };
    db::pooler::reject_shared_sessions(owner).await?;
    let connection = db::connect(owner).await?;
    let applies = arguments.direction.is_none() && !arguments.dry_run;
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
    drop(out);
    if applies && arguments.owner.db_owner_user.is_some() {
        admit(&arguments.database, owner, arguments.lock_earlier_users).await?;
    }
    Ok(())
}

/// Lets the program's user read and write the rows.
async fn admit(program: &Settings, owner: &Settings, locks_earlier: bool) -> anyhow::Result<()> {
    let user = &program.db_user;
    let password = program.db_password.as_ref();
    let password = password.context("DB_OWNER_USER: set DB_PASSWORD, the password of DB_USER")?;
    let mut connection = db::connect(owner).await?;
    login::allow(&mut connection, user, password).await?;
    writeln!(io::stdout(), "{user} may read and write the rows")?;
    if locks_earlier {
        login::lock_earlier(&mut connection, user).await?;
        writeln!(io::stdout(), "the users before {user} are locked")?;
    }
    Ok(())
}
