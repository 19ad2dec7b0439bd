//! Tells causes that pass by themselves from faults of ours.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;

use super::Code;
use crate::{aws, batch, db, storage};

/// Returns the code for an error that nobody expected.
pub fn classify(cause: &anyhow::Error) -> Code {
    if cause.is::<storage::Full>() {
        Code::StorageFull
    } else if cause.is::<storage::WrongInstallation>()
        || cause.is::<aws::Away>()
        || cause.chain().any(is_passing)
    {
        Code::Unavailable
    } else {
        Code::Internal
    }
}

/// Tells whether the database could not be reached, was lost underway, was too busy, or takes no writes. diesel
/// tells kinds apart by SQLSTATE. Of those without a kind of their own the ones that point at a place in the statement
/// are about the statement (class 42), and all others trouble of the server: it was shut down, ran into a time limit
/// or a deadlock, or has no room. Messages are in the server's language and decide nothing (`docs/decisions/0015`).
fn is_passing(cause: &(dyn std::error::Error + 'static)) -> bool {
    if cause.is::<PoolError>() || cause.is::<db::Silent>() || cause.is::<batch::Busy>() {
        return true;
    }
    match cause.downcast_ref() {
        Some(DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction
            | DatabaseErrorKind::SerializationFailure,
            _,
        )) => true,
        Some(DieselError::DatabaseError(DatabaseErrorKind::Unknown, information)) => {
            information.statement_position().is_none()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Error;

    #[test]
    fn transient_errors_are_unavailable_and_all_others_internal() {
        let code = |kind, message: &str| {
            let error = DieselError::DatabaseError(kind, Box::new(message.to_owned()));
            Error::from(anyhow::Error::new(error).context("cast a vote")).code
        };
        // In any language of the server.
        for message in ["deadlock detected", "se ha detectado un deadlock"] {
            let unknown = code(DatabaseErrorKind::Unknown, message);
            assert_eq!(unknown, Code::Unavailable);
        }
        for kind in [
            DatabaseErrorKind::ReadOnlyTransaction,
            DatabaseErrorKind::SerializationFailure,
            DatabaseErrorKind::ClosedConnection,
        ] {
            assert_eq!(code(kind, ""), Code::Unavailable);
        }
        for kind in [
            DatabaseErrorKind::CheckViolation,
            DatabaseErrorKind::NotNullViolation,
            DatabaseErrorKind::UniqueViolation,
        ] {
            assert_eq!(code(kind, "connection closed"), Code::Internal);
        }
        let other = anyhow::Error::new(DieselError::NotFound);
        assert_eq!(Error::from(other).code, Code::Internal);
    }
}
