//! Detects connection poolers that share sessions between clients (pgbouncer in transaction mode).
//!
//! This program needs real sessions for prepared statements, session limits and the migration lock.
//! Checking at startup avoids failures of individual requests later. RDS Proxy pins such sessions
//! to a connection (according to its documentation; not tested).

use std::{convert::Infallible, time::Duration};

use anyhow::bail;
use tokio::time::timeout;
use tokio_postgres::{
    Client, Config, Error, NoTls, SimpleQueryMessage, Socket, error::SqlState, tls::MakeTlsConnect,
};
use uuid::Uuid;

use super::{session_endpoint, tls};
use crate::config::database::Settings;

/// Maximum duration of the check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The result of probing with two connections.
#[derive(Debug, PartialEq, Eq)]
enum ProbeResult {
    /// Each connection has its own session, with the requested limits.
    Sessions,
    /// A session setting of one connection reached the other, or was lost.
    SharedSessions,
    /// The session limits were dropped.
    NoLimits,
}

/// Returns an error that names the variable if a pooler shares or restricts sessions. An
/// unreachable database is not an error, so it does not prevent the start.
pub async fn reject_shared_sessions(settings: &Settings) -> anyhow::Result<()> {
    let endpoint = session_endpoint(settings)?;
    let variable = settings.variables();
    let probed = async {
        match tls::connector(&endpoint)? {
            None => anyhow::Ok(probe(&endpoint.postgres, NoTls).await),
            Some(tls) => Ok(probe(&endpoint.postgres, tls).await),
        }
    };
    let Ok(probed) = timeout(CHECK_TIMEOUT, probed).await else {
        return Ok(());
    };
    let advice = "use the address of PostgreSQL itself, or a pool in session mode that takes the startup \
                  parameter `options`";
    match probed? {
        Ok(ProbeResult::SharedSessions) => {
            bail!("{variable}: a pooler in transaction mode is in front of PostgreSQL: {advice}")
        }
        Ok(ProbeResult::NoLimits) => {
            bail!("{variable}: a pooler in front of PostgreSQL drops the session limits: {advice}")
        }
        Err(error) if is_unknown_parameter(&error) => {
            bail!("{variable}: a pooler in front of PostgreSQL rejects our sessions: {advice}")
        }
        Ok(ProbeResult::Sessions) | Err(_) => Ok(()),
    }
}

/// Returns whether pgbouncer rejected a startup parameter. It uses one code for all its errors,
/// even for an unavailable server, so only the message, which is always English, tells them apart.
fn is_unknown_parameter(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::PROTOCOL_VIOLATION
            && error.message().contains("startup parameter")
    })
}

/// Sets a marker in the session of one connection and reads it from both while the other is in a
/// transaction. A pooler either assigns the server connection that the first one just used to the
/// other, or keeps it busy.
async fn probe<T>(postgres: &Config, tls: T) -> Result<ProbeResult, Error>
where
    T: MakeTlsConnect<Socket> + Clone,
{
    let (one, mut running_one) = postgres.connect(tls.clone()).await?;
    let (other, mut running_other) = postgres.connect(tls).await?;
    let probed = async {
        let marker = Uuid::now_v7().to_string();
        one.simple_query(&format!(
            "SELECT set_config('anb.session', '{marker}', false)"
        ))
        .await?;
        other.simple_query("BEGIN").await?;
        if setting(&other, "anb.session").await?.as_ref() == Some(&marker) {
            return Ok(ProbeResult::SharedSessions);
        }
        let kept = setting(&one, "anb.session").await?;
        let limit = setting(&one, "idle_in_transaction_session_timeout").await?;
        other.simple_query("ROLLBACK").await?;
        Ok(if kept.as_ref() != Some(&marker) {
            ProbeResult::SharedSessions
        } else if limit.as_deref() == Some("0") {
            ProbeResult::NoLimits
        } else {
            ProbeResult::Sessions
        })
    };
    // If a connection ends, the statement waiting on it fails.
    let running = async {
        let ended = tokio::join!(&mut running_one, &mut running_other);
        drop(ended);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        probed = probed => probed,
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
