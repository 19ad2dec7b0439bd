//! `anb contest`: an operator runs the contest.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::{anyhow, bail};
use chrono::NaiveDateTime;

use super::operator;
use crate::{
    cli::{ContestAction, ContestTool},
    contests::{self, Changed, Contest, Figures, Refusal},
    db::Db,
    language::Language,
    validate::{FieldError, Problem},
};

pub async fn run(arguments: ContestTool) -> anyhow::Result<()> {
    let ContestTool {
        json,
        database,
        action,
    } = arguments;
    database.validate()?;
    let db = Db::new(&database)?;
    let by = operator("anb contest");
    let contest = match action {
        ContestAction::Create { slug, plan } => {
            let created = contests::create(&db, &by, &slug, &plan).await;
            entered(created.map_err(explain)?)
        }
        ContestAction::Show { slug: Some(slug) } => {
            let found = contests::find(&db, &slug).await?;
            found.ok_or_else(|| explain(Refusal::NotFound))?
        }
        ContestAction::Show { slug: None } => match contests::current(&db).await? {
            Some(contest) => contest,
            None => bail!("there is no contest: create one with `anb contest create`"),
        },
        ContestAction::Schedule { slug, force, plan } => {
            let scheduled = contests::schedule(&db, &by, &slug, &plan, force).await;
            entered(scheduled.map_err(explain)?)
        }
        ContestAction::Freeze { slug, force } => contests::freeze(&db, &by, &slug, force)
            .await
            .map_err(explain)?,
        ContestAction::Publish { slug } => {
            contests::publish(&db, &by, &slug).await.map_err(explain)?
        }
        ContestAction::Remove { slug, force } => {
            contests::remove(&db, &by, &slug, force)
                .await
                .map_err(explain)?;
            writeln!(io::stdout().lock(), "contest {slug} is removed")?;
            return Ok(());
        }
    };
    let figures = contests::figures(&db, contest.id).await?;
    let text = if json {
        serde_json::to_string_pretty(&contests::handlers::json(&contest, figures))?
    } else {
        describe(&contest, figures)?
    };
    writeln!(io::stdout().lock(), "{}", text.trim_end())?;
    Ok(())
}

/// Tells how many videos a change brought into the contest.
fn entered(changed: Changed) -> Contest {
    if changed.entered > 0 {
        tracing::info!(
            videos = changed.entered,
            "videos that were there before take part"
        );
    }
    changed.contest
}

/// Returns the error for people, which names what to change.
fn explain(refusal: Refusal) -> anyhow::Error {
    let list = |fields: &[FieldError]| {
        let lines = fields.iter().map(|error| {
            let flag = flag(error.field);
            format!("{flag}: {}", message(error))
        });
        lines.collect::<Vec<_>>().join("; ")
    };
    match refusal {
        Refusal::Invalid(fields) => anyhow!("{}", list(&fields)),
        Refusal::ForceRequired(fields) if fields.is_empty() => {
            anyhow!("the contest has votes: repeat the command with --force to remove it anyway")
        }
        Refusal::ForceRequired(fields) => anyhow!(
            "this affects a contest that is running: {}; repeat the command with --force",
            list(&fields)
        ),
        Refusal::NotFound => anyhow!("there is no contest of this name"),
        Refusal::Running => anyhow!(
            "another contest is running: freeze its result (`anb contest freeze`), or remove it"
        ),
        Refusal::NotOver => anyhow!("the voting of this contest is not over yet"),
        Refusal::Frozen => anyhow!("the result of this contest is frozen already"),
        Refusal::NotFrozen => {
            anyhow!("the result of this contest is not frozen yet: `anb contest freeze` first")
        }
        Refusal::Published => anyhow!("the result of this contest is published already"),
        Refusal::Broken(error) => error,
    }
}

/// Returns what is wrong with a field. Another field in it is named by its flag, too.
fn message(error: &FieldError) -> String {
    if let Problem::NotAfter { other } = error.problem {
        return format!("Must be later than {}.", flag(other));
    }
    error.message(Language::English)
}

/// Returns the flag for a field of a plan.
fn flag(field: &str) -> String {
    match field {
        "slug" => "SLUG".to_owned(),
        field => format!("--{}", field.trim_end_matches("_at").replace('_', "-")),
    }
}

fn describe(contest: &Contest, figures: Figures) -> anyhow::Result<String> {
    let mut text = String::new();
    let local = &contest.local;
    let zone = &contest.time_zone;
    let time = |at: NaiveDateTime| at.format("%Y-%m-%d %H:%M:%S").to_string();
    writeln!(text, "{} · {}", contest.slug, contest.name)?;
    writeln!(text, "phase        {}", contest.phase(contest.now).name())?;
    writeln!(
        text,
        "submissions  {} until {} ({zone})",
        time(local.submissions_open),
        time(local.submissions_close)
    )?;
    writeln!(
        text,
        "voting       {} until {} ({zone})",
        time(local.voting_open),
        time(local.voting_close)
    )?;
    let rules = contest.rules.with_fields().into_iter();
    let rules: Vec<String> = rules
        .filter_map(|(field, rule)| Some(format!("{} {}", field.replace('_', " "), rule?)))
        .collect();
    let rules = if rules.is_empty() {
        "none".to_owned()
    } else {
        rules.join(", ")
    };
    writeln!(text, "rules        {rules}")?;
    writeln!(
        text,
        "videos       {} of {} players, {} public",
        figures.videos, figures.players, figures.public_videos
    )?;
    writeln!(text, "votes        {}", figures.votes)?;
    if let (Some(frozen), Some(digest)) = (local.frozen, &contest.digest) {
        writeln!(text, "frozen       {}, SHA-256 {digest}", time(frozen))?;
    }
    if let Some(published) = local.published {
        writeln!(text, "published    {}", time(published))?;
    }
    Ok(text)
}
