//! Driving a machine by hand.

use super::{Input, Machine};
use crate::cluster::time::Time;
use crate::cluster::view::View;

/// A machine, its clock and its view.
pub(super) struct Bench<M> {
    pub(super) machine: M,
    pub(super) now: Time,
    pub(super) view: View,
}

impl<M: Machine> Bench<M> {
    /// Of a node that has run for a minute.
    pub(super) fn new(machine: M, view: View) -> Self {
        Self { machine, now: Time::from_millis(60_000), view }
    }

    /// What is to be done after this.
    pub(super) fn handle(&mut self, input: Input<M::Outcome>) -> Vec<M::Effect> {
        self.machine.handle(self.now, &self.view, input);
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    pub(super) fn tick(&mut self) -> Vec<M::Effect> {
        self.handle(Input::Tick)
    }

    pub(super) fn hear(&mut self, outcome: M::Outcome) -> Vec<M::Effect> {
        self.handle(Input::Outcome(outcome))
    }

    /// Lets time pass up to the deadline.
    pub(super) fn wait(&mut self) -> Vec<M::Effect> {
        let deadline = self.machine.deadline().expect("a deadline");
        self.now = self.now.max(deadline);
        self.tick()
    }

    /// Lets time pass up to the deadline again and again, until there is something to do.
    pub(super) fn wait_for_effects(&mut self) -> Vec<M::Effect> {
        loop {
            let effects = self.wait();
            if !effects.is_empty() || self.machine.is_finished() {
                return effects;
            }
        }
    }
}
