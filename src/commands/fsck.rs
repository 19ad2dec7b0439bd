//! `anb fsck`: checks that rows, files and queue agree, and lines inconsistencies. It repairs
//! only if database and storage belong together, and deletes files only with a separate flag.

use std::io::{self, Write as _};

use anyhow::bail;
use serde::Serialize;

use crate::{
    app::{
        Backends,
        installation::{self, Identity},
    },
    aws,
    cli::{Fsck, Repair},
    videos::fsck::{self, Advice, Comparison, Finding},
};

#[derive(Serialize)]
struct FindingLine<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    is_repaired: bool,
    /// Set only in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_repair: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

pub async fn run(arguments: Fsck) -> anyhow::Result<()> {
    arguments.backends.validate()?;
    let aws = aws::load_for(&arguments.backends).await;
    let backends = Backends::inspect(&arguments.backends, &aws).await?;
    let settings = &arguments.upload;
    let identity = installation::compare(&backends.db, &backends.storage).await?;
    let found = fsck::check(&backends, settings).await?;
    let refusal = refusal(&identity, &found, arguments.repair);
    let mut lines = Vec::new();
    for finding in &found.findings {
        let advice = found.advise(finding);
        let is_wanted = refusal.is_none() && is_wanted(advice, arguments.repair);
        let is_repaired = is_wanted && !arguments.repair.dry_run;
        if is_repaired {
            Box::pin(fsck::repair(&backends, settings, finding)).await?;
        }
        lines.push(FindingLine {
            finding,
            is_repaired,
            would_repair: arguments.repair.dry_run.then_some(is_wanted),
            note: note(advice),
        });
    }
    print(&lines, arguments.json)?;
    if let Some(refusal) = refusal {
        bail!("nothing was repaired: {refusal}");
    }
    match lines.len() {
        0 => Ok(()),
        1 => bail!("1 finding"),
        count => bail!("{count} findings"),
    }
}

/// Returns the reason why the requested repair is refused, if there is one.
fn refusal(identity: &Identity, found: &Comparison, repair: Repair) -> Option<String> {
    if !repair.fix {
        return None;
    }
    if *identity != Identity::Same {
        return Some(identity.to_string());
    }
    if !repair.delete_orphans {
        return None;
    }
    let count = found.deletions();
    let is_confirmed = repair.yes_delete == Some(count);
    let must_confirm = found.is_suspicious() || repair.yes_delete.is_some();
    (must_confirm && !is_confirmed).then(|| {
        format!(
            "{count} of {} files would be deleted: if the database is the right one and not an older copy, add \
             --yes-delete {count}",
            found.files
        )
    })
}

fn is_wanted(advice: Advice, repair: Repair) -> bool {
    match advice {
        Advice::Repair => repair.fix,
        Advice::Delete => repair.delete_orphans,
        Advice::TooNew | Advice::NoOriginal | Advice::Nothing => false,
    }
}

fn note(advice: Advice) -> Option<&'static str> {
    match advice {
        Advice::Repair | Advice::Nothing => None,
        Advice::Delete => Some("--fix --delete-orphans deletes it"),
        Advice::TooNew => Some("newer than the newest video: is the database an older copy?"),
        Advice::NoOriginal => Some("its original is missing as well: it cannot be made again"),
    }
}

fn print(lines: &[FindingLine<'_>], json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string(lines)?)?);
    }
    for report in lines {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
    }
    Ok(())
}
