//! `anb admin`: operator actions on accounts.

use std::io::{self, Write as _};

use anyhow::bail;

use super::operator;
use crate::{
    auth::Role,
    cli::{Admin, AdminAction},
    db::Db,
    users::staff::{self, GrantOutcome},
};

pub async fn run(arguments: Admin) -> anyhow::Result<()> {
    let db = Db::new(&arguments.database)?;
    let output = match arguments.action {
        AdminAction::Grant { role, email } => {
            let by = operator("anb admin grant");
            match staff::grant(&db, &by, &email, role).await? {
                GrantOutcome::Granted => {}
                GrantOutcome::NoAccount => {
                    bail!("no account has the e-mail address {email}: sign up first")
                }
                GrantOutcome::LastOrganiser => bail!("{email} is the last organiser"),
            }
            let role = match role {
                Role::Player => "a player",
                Role::Moderator => "a moderator",
                Role::Organiser => "an organiser",
                Role::Operator => "an operator",
            };
            format!("{email} is now {role}")
        }
        AdminAction::ResetPassword { email } => {
            let by = operator("anb admin reset-password");
            match staff::reset_password(&db, &by, &email).await? {
                Some(password) => password,
                None => bail!("no account has the e-mail address {email}"),
            }
        }
    };
    writeln!(io::stdout().lock(), "{output}")?;
    Ok(())
}
