//! What each role may do, as one table.

use super::Role;

/// Something that only some members of staff may do, as the type of an extractor's parameter: see
/// `http::extract::May` and `web::visit::Staff`.
pub trait Permit: 'static {
    const PERMISSION: Permission;
}

/// Declares the permissions, each with a type of the same name.
macro_rules! permissions {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
        /// A permission of some roles.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Permission {
            $($(#[$meta])* $name,)+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }

        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Permit for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )+
    };
}

permissions! {
    /// Finds clips, hides and shows them, and answers reports.
    ModerateClips,
    /// Sees the dashboard: queue, running jobs, failures.
    SeeQueue,
    /// Processes failed videos again.
    Redrive,
    /// Creates, schedules, freezes and publishes contests.
    RunContest,
    /// Downloads rankings and results.
    ExportResults,
    /// Gives accounts their roles.
    GrantRoles,
    /// Reads who did what.
    ReadAudit,
}

/// Returns whether moderators, organisers and operators have a permission.
#[expect(
    clippy::match_same_arms,
    reason = "a table with a row for each permission"
)]
const fn row(permission: Permission) -> (bool, bool, bool) {
    match permission {
        //                            moderator organiser operator
        Permission::ModerateClips => (true, true, false),
        Permission::SeeQueue => (false, true, true),
        Permission::Redrive => (false, true, true),
        Permission::RunContest => (false, true, false),
        Permission::ExportResults => (false, true, false),
        Permission::GrantRoles => (false, true, false),
        Permission::ReadAudit => (false, true, false),
    }
}

/// Returns whether a role has a permission.
pub const fn allows(role: Role, permission: Permission) -> bool {
    let (moderator, organiser, operator) = row(permission);
    match role {
        Role::Player => false,
        Role::Moderator => moderator,
        Role::Organiser => organiser,
        Role::Operator => operator,
    }
}

impl Role {
    /// Returns whether this role has a permission.
    pub const fn may(self, permission: Permission) -> bool {
        allows(self, permission)
    }

    /// Returns whether this role has any permission.
    pub fn is_staff(self) -> bool {
        let mut all = Permission::ALL.iter();
        all.any(|permission| self.may(*permission))
    }
}
