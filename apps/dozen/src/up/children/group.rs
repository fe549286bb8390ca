//! The processes of one child.

use rustix::process::{Pid, Signal, kill_process_group};

use super::guard::Guard;

/// A child's process group. Dropping it kills what is left of the group, whatever way the owner went.
pub(super) struct Group<'a> {
    id: Pid,
    guard: &'a Guard,
    is_ours: bool,
}

impl<'a> Group<'a> {
    /// The group of a child that was started as the first of its group.
    pub(super) fn of(id: Pid, guard: &'a Guard) -> Self {
        Self { id, guard, is_ours: true }
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.id, signal); // "no such group" is what we want to hear
    }

    /// Leaves it to somebody else.
    pub(super) fn let_go(mut self) {
        self.is_ours = false;
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if self.is_ours {
            self.signal(Signal::KILL);
            self.guard.remove(self.id);
        }
    }
}
