//! SQL on `users`.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, Insertable, OptionalExtension as _, QueryDsl as _, Queryable,
    Selectable, SelectableHelper as _, insert_into, update,
};
use diesel_async::RunQueryDsl as _;

use crate::{
    auth::Role,
    db::{Connection, schema::users},
    ids::UserId,
};

#[derive(Insertable)]
#[diesel(table_name = users)]
pub struct NewUser<'a> {
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub email: &'a str,
    pub password_hash: &'a str,
    pub city: &'a str,
    pub city_key: &'a str,
    pub country: &'a str,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Profile {
    pub id: UserId,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    /// The label of the place, or else as the user wrote it.
    #[diesel(column_name = city_name)]
    pub city: String,
    pub country: String,
    pub created_at: DateTime<Utc>,
}

/// Inserts a user. Returns none if the e-mail address is taken, even by a concurrent transaction.
pub async fn insert(
    connection: &mut Connection,
    user: &NewUser<'_>,
) -> anyhow::Result<Option<UserId>> {
    let id = insert_into(users::table)
        .values(user)
        .on_conflict_do_nothing()
        .returning(users::id)
        .get_result(connection)
        .await
        .optional()?;
    Ok(id)
}

/// Returns the id and password hash of the account with this e-mail address.
pub async fn find_credentials(
    connection: &mut Connection,
    email: &str,
) -> anyhow::Result<Option<(UserId, String)>> {
    let found = users::table
        .filter(users::email.eq(email))
        .select((users::id, users::password_hash))
        .first(connection)
        .await
        .optional()?;
    Ok(found)
}

pub async fn find_password_hash(
    connection: &mut Connection,
    user: UserId,
) -> anyhow::Result<Option<String>> {
    let found = users::table
        .find(user)
        .select(users::password_hash)
        .first(connection)
        .await
        .optional()?;
    Ok(found)
}

/// Replaces a password and revokes all tokens issued up to `now`, unless the password is no longer
/// the `old` one. Returns whether it did.
pub async fn replace_password(
    connection: &mut Connection,
    user: UserId,
    old: &str,
    new: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<bool> {
    let rows = update(users::table.find(user).filter(users::password_hash.eq(old)))
        .set((
            users::password_hash.eq(new),
            users::tokens_valid_after.eq(Some(now)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// Sets the password of the account with this e-mail address and revokes all tokens issued up to
/// `now`. Returns whether the account exists.
pub async fn reset_password(
    connection: &mut Connection,
    email: &str,
    new: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<bool> {
    let rows = update(users::table.filter(users::email.eq(email)))
        .set((
            users::password_hash.eq(new),
            users::tokens_valid_after.eq(Some(now)),
        ))
        .execute(connection)
        .await?;
    Ok(rows == 1)
}

/// A person with a role besides that of a player.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct StaffMember {
    pub id: UserId,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub role: String,
}

/// Locks all organisers and returns their ids, so that concurrent changes of roles see each other's.
/// Votes are not kept waiting.
pub async fn lock_organisers(connection: &mut Connection) -> anyhow::Result<Vec<UserId>> {
    let organisers = users::table
        .filter(users::role.eq(Role::Organiser))
        .order(users::id)
        .select(users::id)
        .for_no_key_update()
        .load(connection)
        .await?;
    Ok(organisers)
}

/// Locks the account with this e-mail address and returns its id and the name of its role.
pub async fn lock_role(
    connection: &mut Connection,
    email: &str,
) -> anyhow::Result<Option<(UserId, String)>> {
    let found = users::table
        .filter(users::email.eq(email))
        .select((users::id, users::role))
        .for_no_key_update()
        .first(connection)
        .await
        .optional()?;
    Ok(found)
}

pub async fn set_role(connection: &mut Connection, user: UserId, role: Role) -> anyhow::Result<()> {
    update(users::table.find(user))
        .set(users::role.eq(role))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns everybody who is not only a player: organisers first, then by name.
pub async fn staff(connection: &mut Connection) -> anyhow::Result<Vec<StaffMember>> {
    let staff = users::table
        .filter(users::role.ne(Role::Player))
        .order((
            users::role.ne(Role::Organiser),
            users::first_name,
            users::last_name,
            users::id,
        ))
        .select(StaffMember::as_select())
        .load(connection)
        .await?;
    Ok(staff)
}

pub async fn find_profile(
    connection: &mut Connection,
    user: UserId,
) -> anyhow::Result<Option<Profile>> {
    let found = users::table
        .filter(users::id.eq(user))
        .select(Profile::as_select())
        .first(connection)
        .await
        .optional()?;
    Ok(found)
}
