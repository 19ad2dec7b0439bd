//! What the sweeper does, in the order of its rules.

use anb::videos::sweep::{Leases, Swept};

use super::{Broker, Cause, Row, Rules, State, Status, Timer, Video};

impl State {
    pub(super) fn sweep(&mut self, rules: &Rules, leases: Leases, broker: Broker) -> Option<Swept> {
        let mut swept = Swept::default();
        let mut pushed = Vec::new();
        for (number, video) in self.videos.iter_mut().enumerate() {
            let Some(row) = &mut video.row else { continue };
            if leases == Leases::Keep || !row.is_expired() {
                continue;
            }
            row.losses += 1;
            row.strays = Timer::Running;
            if row.losses == rules.max_losses {
                row.leave(Status::Failed(Cause::WorkerLost));
                swept.lost += 1;
            } else {
                row.leave(Status::Uploaded);
                row.pushed = Timer::Off;
                pushed.push(number);
                swept.expired += 1;
            }
        }
        let expired = pushed.clone();
        for (number, video) in self.videos.iter().enumerate() {
            let is_due = |row: &Row| row.is_waiting() && row.pushed == Timer::Off;
            if !expired.contains(&number) && video.row.as_ref().is_some_and(is_due) {
                pushed.push(number);
                swept.due += 1;
            }
        }
        if broker == Broker::Up {
            for video in &pushed {
                self.row(*video).pushed = Timer::Running;
                self.send(*video);
            }
        }
        let is_pushed = |row: &&Row| row.status == Status::Uploaded && row.pushed != Timer::Off;
        let count = self.rows().filter(is_pushed).count();
        let is_missed = broker == Broker::Down && !(pushed.is_empty() && count == 0);
        if broker == Broker::Up {
            swept.overdue = self.push_overdue(count.saturating_sub(self.messages.len()));
        }
        swept.uploads = self.remove_leftovers();
        swept.strays = self.remove_strays();
        (!is_missed).then_some(swept)
    }

    fn push_overdue(&mut self, missing: usize) -> usize {
        let mut overdue = Vec::new();
        for (number, video) in self.videos.iter_mut().enumerate() {
            let Some(row) = &mut video.row else { continue };
            if row.is_waiting() && row.pushed == Timer::Over && overdue.len() < missing {
                row.pushed = Timer::Running;
                overdue.push(number);
            }
        }
        for video in &overdue {
            self.send(*video);
        }
        overdue.len()
    }

    fn remove_leftovers(&mut self) -> usize {
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

    fn remove_strays(&mut self) -> usize {
        let mut count = 0;
        for Video { row, outputs, .. } in &mut self.videos {
            let Some(row) = row.as_mut().filter(|row| row.strays == Timer::Over) else {
                continue;
            };
            row.strays = Timer::Off;
            let has_outputs = matches!(row.status, Status::Processing | Status::Processed);
            outputs.retain(|attempt| has_outputs && *attempt == row.attempt);
            count += 1;
        }
        count
    }
}
