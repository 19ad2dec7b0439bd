//! The steps of the sweeper and the cleanup, in the order of their rules.

use super::{Broker, Cause, Leases, Row, Rules, State, Status, Swept, Timer, Video};

impl State {
    pub(super) fn sweep(&mut self, rules: &Rules, leases: Leases, broker: Broker) -> Option<Swept> {
        let mut swept = Swept::default();
        for row in self
            .videos
            .iter_mut()
            .filter_map(|video| video.row.as_mut())
        {
            if leases == Leases::Keep || !row.is_expired() {
                continue;
            }
            row.lease_expirations += 1;
            row.strays = Timer::Running;
            if row.lease_expirations == rules.max_expirations {
                row.leave(Status::Failed(Cause::WorkerLost));
                swept.lost += 1;
            } else {
                row.leave(Status::Uploaded);
                row.pushed = Timer::Off;
                swept.expired += 1;
            }
        }
        swept.due = self.push(Timer::Off, broker);
        let is_needed = self
            .rows()
            .any(|row| row.status == Status::Uploaded && row.pushed == Timer::Over);
        let is_missed = broker == Broker::Down && (swept.due > 0 || is_needed);
        if is_needed && self.messages == 0 {
            swept.again = self.push(Timer::Over, broker);
        }
        swept.uploads = self.remove_deleted();
        swept.strays = self.remove_orphans();
        (!is_missed).then_some(swept)
    }

    /// Pushes the waiting videos in this push state. Returns their number.
    fn push(&mut self, pushed: Timer, broker: Broker) -> usize {
        let rows = self
            .videos
            .iter_mut()
            .filter_map(|video| video.row.as_mut());
        let mut count = 0;
        for row in rows.filter(|row| row.is_waiting() && row.pushed == pushed) {
            if broker == Broker::Up {
                row.pushed = Timer::Running;
                self.messages += 1;
            }
            count += 1;
        }
        count
    }

    fn remove_deleted(&mut self) -> usize {
        let over = self
            .videos
            .iter_mut()
            .filter(|video| video.note == Timer::Over);
        over.map(|video| {
            video.note = Timer::Off;
            video.outputs.clear();
        })
        .count()
    }

    fn remove_orphans(&mut self) -> usize {
        let mut count = 0;
        for Video { row, outputs, .. } in &mut self.videos {
            // A heartbeat may revive a waiting video.
            let is_old =
                |row: &&mut Row| row.strays == Timer::Over && row.status != Status::Uploaded;
            let Some(row) = row.as_mut().filter(is_old) else {
                continue;
            };
            row.strays = Timer::Off;
            let is_failed = matches!(row.status, Status::Failed(_));
            outputs.retain(|attempt| !is_failed && *attempt == row.attempt);
            count += 1;
        }
        count
    }
}
