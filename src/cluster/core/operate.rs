//! Changes that an operator asks this node for.

use super::super::operator::{self, LayoutOutcome, LayoutRefusal, LayoutRequest};
use super::super::time::Time;
use super::super::view::Writes;
use super::Core;

impl Core {
    /// Changes the layout as an operator asks. `bytes` are those of all copies in the cluster, where that is known. The
    /// outcome may be told when [`Self::durable_sequence`] has reached what [`Self::changes_sequence`] is now. Drain
    /// [`Self::poll`] afterwards.
    ///
    /// # Errors
    /// [`LayoutRefusal`]; then nothing was changed.
    pub fn operate(
        &mut self,
        request: &LayoutRequest,
        bytes: Option<u64>,
        now: Time,
    ) -> Result<LayoutOutcome, LayoutRefusal> {
        let this = self.this();
        let may_write = self.durable.as_ref().is_some_and(|durable| self.writes(durable) == Writes::Allowed);
        let working = self.working.as_mut().filter(|_| may_write).ok_or(LayoutRefusal::NotMember)?;
        let plan = operator::plan(working, this, &self.alive, request, bytes)?;
        if plan.outcome.changed {
            (*working, self.is_changed) = (plan.layout, true);
        }
        self.run_effects(now);
        Ok(plan.outcome)
    }

    /// The number of the [`Action::Persist`](super::Action::Persist) that makes all changes so far durable.
    pub fn changes_sequence(&self) -> u64 {
        self.sequence + u64::from(self.is_changed)
    }

    /// The number of the last one that is durable.
    pub fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }
}
