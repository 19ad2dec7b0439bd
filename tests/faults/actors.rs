//! Carries out the plan. One actor per target injects its faults and repairs them.

use std::{fs, io, path::Path, sync::atomic::Ordering, time::Duration};

use anb::job::Job;
use deadpool_redis::redis::{Client, RedisResult, cmd};
use rustix::process::Signal;
use tokio::{process::Command, time::sleep};

use crate::{
    history::History,
    it::processes::process::Process,
    plan::{Fault, Part, Step, Target},
    support::{SqsBroker, Suspended, processes::signal_all, relay::Relay},
    system::{Slot, System, start_postgres, start_redis},
    watch::Watch,
};

/// Maximum time for a killed process to exit.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Injects the faults of one target.
pub async fn play(system: &System, watch: &Watch, history: &History, part: &Part) {
    for step in &part.steps {
        sleep(step.pause).await;
        match part.target {
            Target::Worker(number) => {
                let slot = &system.workers[number];
                let jobs = async |process: &Process| watch.jobs_of(process);
                break_process(system, history, part.target, slot, *step, async |process| {
                    let jobs = jobs(process).await;
                    kill(process).await;
                    watch.died(jobs);
                })
                .await;
            }
            Target::Api(number) => {
                let slot = &system.apis[number];
                break_process(system, history, part.target, slot, *step, kill).await;
            }
            Target::Database => break_database(system, *step).await,
            Target::Broker => break_broker(system, *step).await,
            Target::Storage => break_line(system.storage_line.as_ref().unwrap(), *step).await,
            Target::Disk => match step.fault {
                Fault::Slow => slow_disk(&system.disk, step.lasts).await,
                _ => fill_disk(&system.disk, step.lasts).await,
            },
            Target::Rows => disturb_rows(system, step.fault).await,
        }
        let done = system.faults.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(50) {
            println!("{done} faults");
        }
    }
}

/// Injects a fault into a process, which must exit only when it is told to, and with code 0.
async fn break_process(
    system: &System,
    history: &History,
    target: Target,
    slot: &Slot,
    step: Step,
    kill: impl AsyncFn(&mut Process),
) {
    let mut process = slot.process.lock().await;
    if let Some(code) = process.has_ended() {
        history.breach(format!(
            "{target:?}: exited unexpectedly, {code:?}: {}",
            process.log()
        ));
        return slot.revive(&system.processes, &mut process).await;
    }
    let code = match step.fault {
        Fault::Kill => {
            kill(&mut process).await;
            Some(0)
        }
        Fault::Terminate => Slot::stop(&mut process).await,
        Fault::TerminateTwice => {
            process.signal(Signal::TERM);
            sleep(Duration::from_millis(300)).await;
            if process.has_ended().is_none() {
                process.signal(Signal::TERM);
            }
            Slot::ended(&mut process).await
        }
        Fault::Freeze | Fault::FreezeLong => {
            process.signal(Signal::STOP);
            sleep(step.lasts).await;
            return process.signal(Signal::CONT);
        }
        Fault::FreezeAll => return freeze(process.id(), step).await,
        Fault::MissingScratch => return remove_scratch(&slot.scratch, step.lasts).await,
        other => unreachable!("{target:?}: {other:?}"),
    };
    if code != Some(0) {
        history.breach(format!(
            "{target:?}: exit code {code:?} after {:?}",
            step.fault
        ));
    }
    slot.revive(&system.processes, &mut process).await;
}

/// Removes a worker's scratch folder temporarily.
async fn remove_scratch(scratch: &Path, lasts: Duration) {
    let away = scratch.with_extension("away");
    fs::rename(scratch, &away).unwrap();
    sleep(lasts).await;
    fs::rename(away, scratch).unwrap();
}

async fn kill(process: &mut Process) {
    process.signal(Signal::KILL);
    process.ended(KILL_TIMEOUT).await;
}

async fn break_database(system: &System, step: Step) {
    let mut running = system.postgres.lock().await;
    match step.fault {
        Fault::Kill => {
            let mut postgres = running.take().unwrap();
            signal_all(postgres.id().unwrap(), Signal::KILL);
            postgres.failed().await;
            *running = Some(start_postgres(&system.folder).await);
        }
        Fault::Terminate => {
            running.take().unwrap().stop().await;
            *running = Some(start_postgres(&system.folder).await);
        }
        Fault::Freeze => freeze(running.as_ref().unwrap().id().unwrap(), step).await,
        _ => break_line(&system.database_line, step).await,
    }
}

async fn break_broker(system: &System, step: Step) {
    let mut running = system.redis.lock().await;
    match step.fault {
        Fault::Kill => {
            let mut redis = running.take().unwrap();
            signal_all(redis.id().unwrap(), Signal::KILL);
            redis.failed().await;
            *running = Some(start_redis(&system.folder).await);
        }
        Fault::Terminate => {
            running.take().unwrap().stop().await;
            *running = Some(start_redis(&system.folder).await);
        }
        Fault::Freeze => freeze(running.as_ref().unwrap().id().unwrap(), step).await,
        Fault::Wipe if system.storage_line.is_some() => {
            let queue = &system.app.serve.backends.queue;
            SqsBroker::at(queue).await.wipe().await;
        }
        Fault::Wipe => {
            let url = running.as_ref().unwrap().url();
            while flush(&url).await.is_err() {}
        }
        _ => break_line(&system.broker_line, step).await,
    }
}

async fn flush(url: &str) -> RedisResult<()> {
    let client = Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    cmd("FLUSHDB").query_async(&mut connection).await
}

async fn break_line(line: &Relay, step: Step) {
    match step.fault {
        Fault::Cut => line.cut(),
        Fault::Outage | Fault::LongOutage => {
            line.close();
            sleep(step.lasts).await;
            line.open();
        }
        other => unreachable!("{other:?}"),
    }
}

/// Fills the disk temporarily.
async fn fill_disk(disk: &Path, lasts: Duration) {
    let path = disk.join("filler");
    let full = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let mut filler = fs::File::create(path)?;
            io::copy(&mut io::repeat(0), &mut filler)
        })
    };
    let error = full.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    sleep(lasts).await;
    fs::remove_file(path).unwrap();
}

/// Blocks writes for four fifths of the time. A shell does it, so that the disk never stays frozen.
async fn slow_disk(disk: &Path, lasts: Duration) {
    const TURN: Duration = Duration::from_millis(250);
    let turns = lasts.as_millis() / TURN.as_millis() + 1;
    let script = format!(
        "for turn in $(seq {turns}); do fsfreeze -f \"$1\"; sleep .2; fsfreeze -u \"$1\"; sleep .05; done"
    );
    let mut shell = Command::new("sh");
    let status = shell.args(["-c", &script, "slow"]).arg(disk).status().await;
    assert!(status.unwrap().success());
}

/// Expires a lease or duplicates messages, as soon as database and queue are reachable.
async fn disturb_rows(system: &System, fault: Fault) {
    loop {
        let is_done = match fault {
            Fault::Expire => {
                let expire = "UPDATE videos SET lease_until = now() - interval '1 second'
                              WHERE id = (SELECT id FROM videos WHERE status = 'processing'
                                          ORDER BY started_at DESC LIMIT 1)";
                system.try_sql(expire).await
            }
            Fault::Duplicate => push_duplicates(system).await.is_some(),
            other => unreachable!("{other:?}"),
        };
        if is_done {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn push_duplicates(system: &System) -> Option<()> {
    let rows = system.rows().await?;
    for row in rows.iter().filter(|row| !row.has_ended()) {
        let job = Job::process_video(row.id, "duplicate".to_owned());
        system.app.queue.push(&job).await.ok()?;
    }
    Some(())
}

async fn freeze(id: u32, step: Step) {
    let _frozen = Suspended::freeze(id);
    sleep(step.lasts).await;
}
