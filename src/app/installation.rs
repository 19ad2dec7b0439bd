//! Verifies that database and storage belong together: both carry the id of one installation. The
//! first `serve` or `work` writes it into a new storage, and the database records that. If it is
//! missing later, the storage is wrong or not mounted. Repair tools require it and never write it.

mod queries;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::anyhow;
use uuid::Uuid;

use self::queries::Recorded;
use crate::{
    db::{self, Db},
    storage::{Storage, WrongInstallation},
};

/// Checks that database and storage belong together. Cheap to clone; clones share the last result.
#[derive(Clone)]
pub struct Installation {
    db: Db,
    storage: Storage,
    is_ours: Arc<AtomicBool>,
}

/// The result of comparing the ids of database and storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Same,
    /// A storage location carries no id.
    Unmarked {
        database: Uuid,
        place: String,
        /// The storage of this database carried the id before.
        was_marked: bool,
    },
    /// A storage location carries another id.
    Differs {
        database: Uuid,
        place: String,
        stored: Uuid,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHECK: &str = "check DATABASE_URL (or DB_NAME) and the storage location";
        match self {
            Self::Same => write!(f, "database and storage belong together"),
            Self::Unmarked {
                database,
                place,
                was_marked: false,
            } => write!(
                f,
                "the database belongs to installation {database}, but {place} does not exist: {CHECK}; if both are \
                 right, start `anb serve` once, which creates it"
            ),
            Self::Unmarked {
                database,
                place,
                was_marked: true,
            } => write!(
                f,
                "the database belongs to installation {database}, but {place}, which existed before, is missing: is a \
                 volume not mounted? {CHECK}; if both are right, write {database} into {place}"
            ),
            Self::Differs {
                database,
                place,
                stored,
            } => write!(
                f,
                "the database belongs to installation {database}, but {place} contains {stored}: {CHECK}; if both are \
                 right, write {database} into {place}"
            ),
        }
    }
}

impl Installation {
    /// Creates a check that has not run yet.
    pub fn new(db: &Db, storage: &Storage) -> Self {
        Self {
            db: db.clone(),
            storage: storage.clone(),
            is_ours: Arc::default(),
        }
    }

    /// Returns [`WrongInstallation`] if database and storage do not belong together, another error
    /// if this cannot be determined. Marks a new storage. Costs nothing after a successful check.
    pub async fn verify(&self) -> anyhow::Result<()> {
        if AtomicBool::load(&self.is_ours, Ordering::Relaxed) {
            return Ok(());
        }
        self.recheck().await
    }

    /// Verifies regardless of the last result, since a volume may be unmounted at any time.
    pub async fn recheck(&self) -> anyhow::Result<()> {
        let checked = establish(&self.db, &self.storage).await;
        match &checked {
            Ok(()) => self.is_ours.store(true, Ordering::Relaxed),
            Err(error) if error.is::<WrongInstallation>() => {
                self.is_ours.store(false, Ordering::Relaxed);
            }
            // The check was inconclusive, so the last result stands.
            Err(_) => {}
        }
        checked
    }
}

/// Compares the ids without writing one.
pub async fn compare(db: &Db, storage: &Storage) -> anyhow::Result<Identity> {
    compare_with(&recorded(db).await?, storage).await
}

async fn recorded(db: &Db) -> anyhow::Result<Recorded> {
    db::with_timeout(async {
        let mut connection = db.connection().await?;
        queries::recorded(&mut connection).await
    })
    .await
}

async fn compare_with(known: &Recorded, storage: &Storage) -> anyhow::Result<Identity> {
    let database = known.id;
    for (place, stored) in storage.markers().await? {
        match stored {
            Some(stored) if stored == database => {}
            Some(stored) => {
                return Ok(Identity::Differs {
                    database,
                    place,
                    stored,
                });
            }
            None => {
                return Ok(Identity::Unmarked {
                    database,
                    place,
                    was_marked: known.was_marked,
                });
            }
        }
    }
    Ok(Identity::Same)
}

/// Marks a new storage, and returns an error if the storage carries another id or lost its own. If
/// two processes mark one storage concurrently, the second finds the marker of the first.
async fn establish(db: &Db, storage: &Storage) -> anyhow::Result<()> {
    let known = recorded(db).await?;
    if !known.was_marked {
        storage.write_markers(known.id).await?;
    }
    let identity = compare_with(&known, storage).await?;
    if identity != Identity::Same {
        return Err(anyhow!(WrongInstallation(identity.to_string())));
    }
    if !known.was_marked {
        let marked = async {
            let mut connection = db.connection().await?;
            queries::set_marked(&mut connection).await
        };
        db::with_timeout(marked).await?;
    }
    Ok(())
}
