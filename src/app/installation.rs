//! Whether database and storage belong together: both carry the id of one installation. The storage gets it from
//! the first `serve` or `work` that uses it; tools that repair write none, and refuse to repair without it.

use std::fmt;

use anyhow::ensure;
use uuid::Uuid;

use super::queries;
use crate::{
    db::{self, Db},
    storage::Storage,
};

/// What the ids of database and storage say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// They belong together.
    Same,
    /// A place of the storage carries no id, or another one.
    Differs {
        database: Uuid,
        place: String,
        stored: Option<Uuid>,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => write!(f, "database and storage belong together"),
            Self::Differs {
                database,
                place,
                stored: None,
            } => write!(
                f,
                "the database is of installation {database}, and {place} is not there: check DATABASE_URL (or \
                 DB_NAME) and where the storage is; if both are right, start `anb serve` once, which writes it"
            ),
            Self::Differs {
                database,
                place,
                stored: Some(stored),
            } => write!(
                f,
                "the database is of installation {database}, but {place} says {stored}: check DATABASE_URL (or \
                 DB_NAME) and where the storage is; if both are right, remove {place} and start `anb serve`"
            ),
        }
    }
}

/// Compares the ids.
pub async fn compare(db: &Db, storage: &Storage) -> anyhow::Result<Identity> {
    let database = of_database(db).await?;
    for (place, stored) in storage.marks().await? {
        if stored != Some(database) {
            return Ok(Identity::Differs {
                database,
                place,
                stored,
            });
        }
    }
    Ok(Identity::Same)
}

/// Marks a storage that carries no id yet. Returns an error if it carries another one; of two who mark it at once
/// the second finds the mark of the first.
pub async fn establish(db: &Db, storage: &Storage) -> anyhow::Result<()> {
    storage.mark(of_database(db).await?).await?;
    let identity = compare(db, storage).await?;
    ensure!(identity == Identity::Same, "{identity}");
    Ok(())
}

async fn of_database(db: &Db) -> anyhow::Result<Uuid> {
    db::in_time(async {
        let mut connection = db.connection().await?;
        queries::installation(&mut connection).await
    })
    .await
}
