//! The contest: when it takes videos and votes, its rules, and its result. The statements that
//! insert a vote (`votes/queries.rs`) or let an upload enter (`videos/queries/entry.rs`) judge its
//! windows by the database's clock. Without a contest, both are always open
//! (`docs/decisions/0030-the-database-closes-the-contest.md`).

mod current;
mod figures;
pub mod handlers;
mod model;
mod plan;
mod queries;
mod results;
pub mod words;

use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection as _;
use futures_util::future::BoxFuture;

pub use self::{
    current::{CurrentContest, Reading},
    figures::{CityFigures, city_figures},
    model::{Contest, Dates, Phase, Rules},
    plan::{Moment, Plan, PlanBody},
    queries::{
        Figures,
        results::{CityResult, ResultRow, VoteHour},
    },
    results::{CityFilter, cities, digest, json, page, table},
};
use crate::{
    audit::{self, Act, By, Entry, Subject},
    db::{self, Connection, Db},
    ids::ContestId,
    validate::{FieldError, Problem},
};

/// A contest after a change, and how many videos the change brought into it.
#[derive(Debug, Clone)]
pub struct Changed {
    pub contest: Contest,
    pub entered: usize,
}

impl From<Contest> for Changed {
    fn from(contest: Contest) -> Self {
        Self {
            contest,
            entered: 0,
        }
    }
}

/// Why a contest is not changed.
#[derive(Debug)]
pub enum Refusal {
    /// Fields of the plan are invalid.
    Invalid(Vec<FieldError>),
    /// The change affects a contest that is running, in these fields, so it needs `force`.
    ForceRequired(Vec<FieldError>),
    NotFound,
    /// Another contest is current, and not frozen.
    Running,
    /// Its voting has not ended.
    NotOver,
    Frozen,
    NotFrozen,
    Published,
    /// A failure of the system.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        Self::Broken(error.into())
    }
}

type Result<T> = std::result::Result<T, Refusal>;

/// Returns the current contest.
pub async fn current(db: &Db) -> anyhow::Result<Option<Contest>> {
    let mut connection = db.connection().await?;
    queries::current(&mut connection).await
}

/// Returns the contest with this slug.
pub async fn find(db: &Db, slug: &str) -> anyhow::Result<Option<Contest>> {
    let mut connection = db.connection().await?;
    queries::find(&mut connection, slug).await
}

/// Returns all contests, the latest first.
pub async fn list(db: &Db) -> anyhow::Result<Vec<Contest>> {
    let mut connection = db.connection().await?;
    queries::list(&mut connection).await
}

/// Returns how much takes part in a contest. Reads all its videos, so callers cache the result.
pub async fn figures(db: &Db, contest: ContestId) -> anyhow::Result<Figures> {
    let mut connection = db.connection().await?;
    queries::figures(&mut connection, contest).await
}

/// Returns the hours of a contest's voting in which votes were cast, in their order.
pub async fn vote_hours(db: &Db, contest: &Contest) -> anyhow::Result<Vec<VoteHour>> {
    let mut connection = db.connection().await?;
    let (from, until) = (contest.voting_open_at, contest.voting_close_at);
    queries::results::vote_hours(&mut connection, from, until).await
}

/// Creates a contest, which becomes the current one in place of a frozen one. Videos that were
/// uploaded since its submissions opened and belong to no contest take part. Of concurrent calls,
/// one succeeds.
pub async fn create(db: &Db, by: &By, slug: &str, plan: &Plan) -> Result<Changed> {
    let draft = plan.complete(slug).map_err(Refusal::Invalid)?;
    let mut connection = db.connection().await?;
    connection
        .transaction(async |connection| {
            queries::allow_long_statements(connection).await?;
            if let Some(running) = queries::lock_current(connection).await? {
                if running.frozen_at.is_none() {
                    return Err(Refusal::Running);
                }
                queries::retire(connection, running.id).await?;
            }
            let draft = resolve(connection, draft).await?;
            check_order(&draft.dates)?;
            if queries::find(connection, &draft.slug).await?.is_some() {
                return Err(invalid("slug", Problem::Taken));
            }
            // Another one may have been created since.
            let contest = queries::insert(connection, &draft).await?;
            let contest = contest.ok_or(Refusal::Running)?;
            let entered = queries::enter_videos(connection, contest.id).await?;
            queries::rank_everybody(connection).await?;
            record(connection, by, Act::ContestCreated, None, Some(&contest)).await?;
            tracing::info!(contest = contest.slug, entered, "contest created");
            Ok(Changed { contest, entered })
        })
        .await
}

/// Changes dates and rules of a contest that is not frozen, those that the plan has. Submissions
/// close with the voting at the latest. A date that moves into the past, and a rule that changes
/// while voting is open, need `force`.
pub async fn schedule(db: &Db, by: &By, slug: &str, plan: &Plan, force: bool) -> Result<Changed> {
    let plan = plan.clone();
    let changed = Change(db, by, slug, Act::ContestScheduled).make(move |connection, before| {
        Box::pin(async move {
            if before.frozen_at.is_some() {
                return Err(Refusal::Frozen);
            }
            let draft = plan.over(before).map_err(Refusal::Invalid)?;
            let mut draft = resolve(connection, draft).await?;
            if plan.submissions_close_at.is_none() {
                let dates = &mut draft.dates;
                dates.submissions_close_at = dates.submissions_close_at.min(dates.voting_close_at);
            }
            check_order(&draft.dates)?;
            let affected = affected(before, &draft);
            if !force && !affected.is_empty() {
                return Err(Refusal::ForceRequired(affected));
            }
            let contest = queries::update(connection, before.id, &draft).await?;
            let entered = queries::enter_videos(connection, contest.id).await?;
            if entered > 0 {
                queries::rank_everybody(connection).await?;
            }
            Ok(Changed { contest, entered })
        })
    });
    let Changed { contest, entered } = changed.await?;
    tracing::info!(contest = contest.slug, entered, "contest scheduled");
    Ok(Changed { contest, entered })
}

/// Counts the votes and writes the result, once the voting has ended. A frozen result that is not
/// published is written again with `force`, for example without a clip that was hidden since.
pub async fn freeze(db: &Db, by: &By, slug: &str, force: bool) -> Result<Contest> {
    let frozen = Change(db, by, slug, Act::ContestFrozen).make(move |connection, before| {
        Box::pin(async move {
            if before.published_at.is_some() {
                return Err(Refusal::Published);
            }
            if before.frozen_at.is_some() && !force {
                return Err(Refusal::Frozen);
            }
            if before.now < before.voting_close_at {
                return Err(Refusal::NotOver);
            }
            // From here on no vote is accepted, and all accepted ones are committed.
            queries::results::wait_for_votes(connection).await?;
            queries::results::write(connection, before.id).await?;
            let contest = queries::results::note_frozen(connection, before.id, "").await?;
            let digest = results::digest_within(connection, &contest).await?;
            let contest = queries::results::note_frozen(connection, before.id, &digest).await?;
            Ok(contest.into())
        })
    });
    let contest = frozen.await?.contest;
    tracing::info!(
        contest = contest.slug,
        digest = contest.digest,
        "contest frozen"
    );
    Ok(contest)
}

/// Makes a frozen result public.
pub async fn publish(db: &Db, by: &By, slug: &str) -> Result<Contest> {
    let published = Change(db, by, slug, Act::ContestPublished).make(|connection, before| {
        Box::pin(async move {
            if before.published_at.is_some() {
                return Err(Refusal::Published);
            }
            if before.frozen_at.is_none() {
                return Err(Refusal::NotFrozen);
            }
            let contest = queries::results::note_published(connection, before.id).await?;
            Ok(contest.into())
        })
    });
    let contest = published.await?.contest;
    tracing::info!(contest = contest.slug, "result published");
    Ok(contest)
}

/// Removes a contest that is not frozen. Its videos and their votes stay, outside any contest. Once
/// it has votes, this needs `force`.
pub async fn remove(db: &Db, by: &By, slug: &str, force: bool) -> Result<()> {
    let removed = Change(db, by, slug, Act::ContestRemoved).make(move |connection, before| {
        Box::pin(async move {
            if before.frozen_at.is_some() {
                return Err(Refusal::Frozen);
            }
            if !force && queries::has_votes(connection, before.id).await? {
                return Err(Refusal::ForceRequired(Vec::new()));
            }
            queries::remove(connection, before.id).await?;
            queries::rank_everybody(connection).await?;
            Ok(before.clone().into())
        })
    });
    let contest = removed.await?.contest;
    tracing::info!(contest = contest.slug, "contest removed");
    Ok(())
}

/// An act on a contest that exists: who acts, on which one, and what is done.
struct Change<'a>(&'a Db, &'a By, &'a str, Act);

impl Change<'_> {
    /// Locks the contest, refuses or makes the change, and records the act, in one transaction.
    async fn make(
        self,
        change: impl for<'a> FnOnce(&'a mut Connection, &'a Contest) -> BoxFuture<'a, Result<Changed>>
        + Send,
    ) -> Result<Changed> {
        let Self(db, by, slug, act) = self;
        let mut connection = db.connection().await?;
        connection
            .transaction(async |connection| {
                queries::allow_long_statements(connection).await?;
                let before = queries::lock(connection, slug).await?;
                let before = before.ok_or(Refusal::NotFound)?;
                let changed = change(connection, &before).await?;
                let after = (act != Act::ContestRemoved).then_some(&changed.contest);
                record(connection, by, act, Some(&before), after).await?;
                Ok(changed)
            })
            .await
    }
}

/// Records an act in the same transaction.
async fn record(
    connection: &mut Connection,
    by: &By,
    act: Act,
    before: Option<&Contest>,
    after: Option<&Contest>,
) -> anyhow::Result<()> {
    let slug = before.or(after).map(|contest| contest.slug.clone());
    let entry = Entry {
        by,
        act,
        subject: Subject::Contest(slug.unwrap_or_default()),
        before: before.map(Contest::recorded),
        after: after.map(Contest::recorded),
    };
    audit::record(connection, &entry).await
}

/// Converts the moments of a draft, which may be in the contest's time zone.
async fn resolve(
    connection: &mut Connection,
    draft: plan::Draft<Moment>,
) -> Result<plan::Draft<DateTime<Utc>>> {
    let Some(time_zone) = queries::find_time_zone(connection, &draft.time_zone).await? else {
        return Err(invalid("time_zone", Problem::Invalid));
    };
    let mut resolved = Vec::new();
    for (field, moment) in draft.dates.with_fields() {
        resolved.push(match moment {
            Moment::Now => db::time(connection).await?,
            Moment::Absolute(at) => at,
            Moment::Local(local) => queries::in_zone(connection, local, &time_zone)
                .await?
                .ok_or_else(|| invalid(field, Problem::Invalid))?,
        });
    }
    let dates = Dates::from_list(&resolved).ok_or_else(|| anyhow::anyhow!("four dates"))?;
    Ok(plan::Draft {
        slug: draft.slug,
        name: draft.name,
        time_zone,
        dates,
        rules: draft.rules,
    })
}

fn invalid(field: &'static str, problem: Problem) -> Refusal {
    Refusal::Invalid(vec![FieldError { field, problem }])
}

/// Refuses windows that end before they begin, and videos after the end of the voting.
fn check_order(dates: &Dates<DateTime<Utc>>) -> Result<()> {
    let pairs = [
        (
            "submissions_open_at",
            dates.submissions_open_at,
            "submissions_close_at",
            dates.submissions_close_at,
            false,
        ),
        (
            "voting_open_at",
            dates.voting_open_at,
            "voting_close_at",
            dates.voting_close_at,
            false,
        ),
        (
            "submissions_close_at",
            dates.submissions_close_at,
            "voting_close_at",
            dates.voting_close_at,
            true,
        ),
    ];
    let errors: Vec<FieldError> = pairs
        .into_iter()
        .filter(|(_, earlier, _, later, may_equal)| {
            later < earlier || (later == earlier && !may_equal)
        })
        .map(|(other, _, field, _, _)| FieldError {
            field,
            problem: Problem::NotAfter { other },
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Invalid(errors))
    }
}

/// Returns the fields in which a change affects a contest that is running.
fn affected(before: &Contest, draft: &plan::Draft<DateTime<Utc>>) -> Vec<FieldError> {
    let dates = before.dates();
    let moved = dates.with_fields().into_iter().zip(draft.dates.list());
    let into_past = moved
        .filter(|((_, old), new)| old != new && *new < before.now)
        .map(|((field, _), _)| FieldError {
            field,
            problem: Problem::InThePast,
        });
    let is_voting = before.phase(before.now) == Phase::Voting;
    let rules = before.rules.with_fields().into_iter();
    let changed = rules
        .zip(draft.rules.with_fields())
        .filter(|(old, new)| is_voting && old != new)
        .map(|((field, _), _)| FieldError {
            field,
            problem: Problem::WhileVoting,
        });
    into_past.chain(changed).collect()
}
