//! Poolers in front of PostgreSQL that give a session's connection to others between transactions (pgbouncer in
//! transaction mode) do not work with this program: it prepares statements, limits its sessions and holds the
//! migration lock by its session. They are refused at the start, and not after half of the requests failed. RDS
//! Proxy keeps a session on its connection once it is used like that (its documentation says so; it was not tried).

use std::{convert::Infallible, time::Duration};

use anyhow::bail;
use tokio::time::timeout;
use tokio_postgres::{
    Client, Config, Error, NoTls, SimpleQueryMessage, Socket, error::SqlState, tls::MakeTlsConnect,
};
use uuid::Uuid;

use super::{session_endpoint, tls};
use crate::config::database::Settings;

/// Longest time for all of it. A database that does not answer by then is away, which stops no start.
const PATIENCE: Duration = Duration::from_secs(3);

/// What two connections showed.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Each has a session of its own, with the limits that were asked for.
    Sessions,
    /// What one set in its session the other has, or the one lost it.
    SharedSessions,
    /// The limits of sessions were dropped on the way.
    NoLimits,
}

/// Returns an error that names the variable if a pooler in front takes sessions apart. It is no error if the
/// database cannot be reached.
pub async fn refuse(settings: &Settings) -> anyhow::Result<()> {
    let endpoint = session_endpoint(settings)?;
    let variable = settings.variables();
    let looked = async {
        match tls::connector(&endpoint)? {
            None => anyhow::Ok(look(&endpoint.postgres, NoTls).await),
            Some(tls) => Ok(look(&endpoint.postgres, tls).await),
        }
    };
    let Ok(looked) = timeout(PATIENCE, looked).await else {
        return Ok(());
    };
    let advice = "use the address of PostgreSQL itself, or a pool in session mode that takes the startup \
                  parameter `options`";
    match looked? {
        Ok(Seen::SharedSessions) => {
            bail!("{variable}: a pooler in transaction mode is in front of PostgreSQL: {advice}")
        }
        Ok(Seen::NoLimits) => {
            bail!(
                "{variable}: a pooler drops the limits of sessions on the way to PostgreSQL: {advice}"
            )
        }
        Err(error) if is_unknown_parameter(&error) => {
            bail!("{variable}: a pooler in front of PostgreSQL refuses our sessions: {advice}")
        }
        Ok(Seen::Sessions) | Err(_) => Ok(()),
    }
}

/// Tells whether pgbouncer refuses a startup parameter. It has one code for all its refusals, also for a server
/// that is away; its messages are in English alone.
fn is_unknown_parameter(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::PROTOCOL_VIOLATION
            && error.message().contains("startup parameter")
    })
}

/// Marks the session of one connection, and looks for the mark on both, while the other is in a transaction: a
/// pooler gives it the connection that the first one just used, or keeps that busy.
async fn look<T>(postgres: &Config, tls: T) -> Result<Seen, Error>
where
    T: MakeTlsConnect<Socket> + Clone,
{
    let (one, mut running_one) = postgres.connect(tls.clone()).await?;
    let (other, mut running_other) = postgres.connect(tls).await?;
    let looked = async {
        let mark = Uuid::now_v7().to_string();
        one.simple_query(&format!(
            "SELECT set_config('anb.session', '{mark}', false)"
        ))
        .await?;
        other.simple_query("BEGIN").await?;
        if setting(&other, "anb.session").await?.as_ref() == Some(&mark) {
            return Ok(Seen::SharedSessions);
        }
        let kept = setting(&one, "anb.session").await?;
        let limit = setting(&one, "idle_in_transaction_session_timeout").await?;
        other.simple_query("ROLLBACK").await?;
        Ok(if kept.as_ref() != Some(&mark) {
            Seen::SharedSessions
        } else if limit.as_deref() == Some("0") {
            Seen::NoLimits
        } else {
            Seen::Sessions
        })
    };
    // A connection that ends fails the statement that waits for it.
    let running = async {
        let ended = tokio::join!(&mut running_one, &mut running_other);
        drop(ended);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        looked = looked => looked,
        never = running => match never {},
    }
}

async fn setting(client: &Client, name: &str) -> Result<Option<String>, Error> {
    let rows = client
        .simple_query(&format!("SELECT current_setting('{name}', true)"))
        .await?;
    let row = rows.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(row)
}
