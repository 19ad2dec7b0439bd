//! Distinguishes transient failures of dependencies from defects of this program.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::PoolError;

use super::Code;
use crate::{aws, batch, db, storage};

/// Returns the code of an unexpected error.
pub fn classify(cause: &anyhow::Error) -> Code {
    if cause.is::<storage::Full>() {
        Code::StorageFull
    } else if cause.is::<storage::WrongInstallation>()
        || cause.is::<aws::Unavailable>()
        || cause.chain().any(is_transient)
    {
        Code::Unavailable
    } else {
        Code::Internal
    }
}

/// How PostgreSQL's message to a session begins that it terminates (class 57P) while the session
/// parses a statement. Such an error points into the statement, like a defect of it. A server with
/// messages in another language is not recognized in this rare case.
const SESSION_END: &str = "terminating connection";

/// Returns whether the database was unreachable, disconnected, overloaded or read-only. Diesel
/// classifies errors by SQLSTATE. Among the unclassified ones, those that point at a position in
/// the statement are defects of the statement (class 42). All others are failures of the server: a
/// shutdown, a time limit, a deadlock or lack of space. Messages are in the server's language and
/// must not be parsed (`docs/decisions/0015`).
fn is_transient(cause: &(dyn std::error::Error + 'static)) -> bool {
    if cause.is::<PoolError>()
        || cause.is::<db::DatabaseTimeout>()
        || cause.is::<batch::Overloaded>()
    {
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
                || information.message().starts_with(SESSION_END)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use diesel::result::DatabaseErrorInformation;

    use super::*;
    use crate::http::Error;

    /// An error that points into the statement.
    struct Positioned(&'static str);

    impl DatabaseErrorInformation for Positioned {
        fn message(&self) -> &str {
            self.0
        }

        fn details(&self) -> Option<&str> {
            None
        }

        fn hint(&self) -> Option<&str> {
            None
        }

        fn table_name(&self) -> Option<&str> {
            None
        }

        fn column_name(&self) -> Option<&str> {
            None
        }

        fn constraint_name(&self) -> Option<&str> {
            None
        }

        fn statement_position(&self) -> Option<i32> {
            Some(1)
        }
    }

    #[test]
    fn transient_errors_are_unavailable_and_all_others_internal() {
        let code = |kind, message: &str| {
            let error = DieselError::DatabaseError(kind, Box::new(message.to_owned()));
            Error::from(anyhow::Error::new(error).context("cast a vote")).code
        };
        // The language of the server does not matter.
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
        for (message, expected) in [
            ("relation \"videos\" does not exist", Code::Internal),
            (
                "terminating connection due to administrator command",
                Code::Unavailable,
            ),
        ] {
            let information = Box::new(Positioned(message));
            let error = DieselError::DatabaseError(DatabaseErrorKind::Unknown, information);
            assert_eq!(Error::from(anyhow::Error::new(error)).code, expected);
        }
        let other = anyhow::Error::new(DieselError::NotFound);
        assert_eq!(Error::from(other).code, Code::Internal);
    }
}
