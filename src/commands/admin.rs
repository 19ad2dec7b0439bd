//! `anb admin`: operator actions on accounts.

use std::io::{self, Write as _};

use anyhow::bail;

use crate::{
    cli::{Admin, AdminAction},
    db::Db,
    users::{self, Role},
};

pub async fn run(arguments: Admin) -> anyhow::Result<()> {
    let db = Db::new(&arguments.database)?;
    let output = match arguments.action {
        AdminAction::Grant { role, email } => {
            if !users::grant(&db, &email, role).await? {
                bail!("no account has the e-mail address {email}: sign up first");
            }
            let role = match role {
                Role::Player => "a player",
                Role::Organiser => "an organiser",
            };
            format!("{email} is now {role}")
        }
        AdminAction::ResetPassword { email } => match users::reset_password(&db, &email).await? {
            Some(password) => password,
            None => bail!("no account has the e-mail address {email}"),
        },
    };
    writeln!(io::stdout().lock(), "{output}")?;
    Ok(())
}
