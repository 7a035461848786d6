//! The check of every run: after healing and a quiet time, every copy is where it belongs and can be read.

use std::collections::BTreeSet;

use reticulum::object::ObjectId;

use crate::disk::right_bytes;
use crate::event::Index;
use crate::setup::Choice;
use crate::world::{Log, World};

/// Time for the world to settle after the faults, in milliseconds.
const QUIET_MS: u64 = 400_000;

/// Runs one seed to its end.
pub(crate) fn run(seed: u64, choice: &Choice) -> Log {
    let mut world = World::new(seed, choice);
    world.run_to(world.faults_ms);
    if world.founding.is_some() {
        if world.log.failures.is_empty() {
            world.end_founding();
        }
    } else if world.log.failures.is_empty() {
        world.heal_all();
        world.come_to_rest();
        world.read_everything();
    }
    world.log
}

impl World {
    fn come_to_rest(&mut self) {
        let mut wrong = Vec::new();
        while self.now < self.faults_ms + QUIET_MS && self.log.failures.is_empty() {
            self.run_to(self.now + 5_000);
            wrong = self.what_is_wrong();
            if wrong.is_empty() {
                return;
            }
        }
        if self.log.failures.is_empty() {
            wrong.truncate(4);
            self.fail(format!("not at rest: {}", wrong.join("; ")));
        }
    }

    fn what_is_wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let standing = self.standing();
        let first = standing[0];
        for index in standing.iter().copied() {
            let view = self.view(index);
            if !self.sees_all(index, &standing) {
                wrong.push(format!("node {index} does not see everybody"));
            }
            let layout = self.nodes[index].process.as_ref().and_then(|process| process.core.layout());
            if layout.is_none_or(|layout| !layout.is_settled()) || view.hash() != self.view(first).hash() {
                wrong.push(format!("node {index} is not settled"));
            }
            let disk = &self.nodes[index].disk;
            if disk.temporary > 0 || !disk.misplaced().is_empty() {
                let strays = disk.misplaced().len();
                wrong.push(format!("node {index} has {} temporary, {strays} strays", disk.temporary));
            }
        }
        wrong.extend(self.wrong_erasures());
        let held: BTreeSet<_> =
            self.nodes.iter().flat_map(|node| node.disk.files().keys().copied()).collect();
        let known: BTreeSet<_> = held.into_iter().chain(self.acknowledged.keys().copied()).collect();
        wrong.extend(known.iter().filter_map(|id| self.misplaced(first, id)));
        wrong
    }

    /// The difference between an image's copies and its owners, as this node sees them; `None` without one.
    pub(crate) fn misplaced(&self, seen_by: Index, id: &ObjectId) -> Option<String> {
        let is_good = |index: &usize| {
            let disk = &self.nodes[*index].disk;
            let is_right = disk.files().get(id).is_some_and(|file| file.content == right_bytes(id));
            is_right && !disk.unreadable.contains(id)
        };
        let holders: BTreeSet<_> = (0..self.nodes.len()).filter(is_good).collect();
        let is_gone = self.record_of(seen_by, id).is_gone();
        let owners = if is_gone { Vec::new() } else { self.view(seen_by).owners(id) };
        let owners: BTreeSet<_> = owners.into_iter().filter_map(|node| self.index_of(node)).collect();
        let answered = if self.acknowledged.contains_key(id) { "answered" } else { "not answered" };
        (holders != owners)
            .then(|| format!("{id} ({answered}) lies on {holders:?}, not on its owners {owners:?}"))
    }

    /// Reads every image from every node, and one image that never existed.
    fn read_everything(&mut self) {
        if !self.log.failures.is_empty() {
            return;
        }
        let all: Vec<_> = self.acknowledged.keys().copied().collect();
        let standing = self.standing();
        let before = self.counted("read: 200");
        for id in &all {
            standing.iter().for_each(|index| self.read_at(*index, *id));
        }
        self.run_to(self.now + 8_000);
        let good = self.counted("read: 200") - before;
        let expected = (all.len() * standing.len()) as u64;
        if self.log.failures.is_empty() && good != expected {
            self.fail(format!("only {good} of {expected} reads of answered images succeeded at the end"));
        }
        self.read_deleted(&standing);
        let before = self.counted("read: 404");
        let nothing = ObjectId::from_digest([0xee; 20]);
        standing.iter().for_each(|index| self.read_at(*index, nothing));
        self.run_to(self.now + 8_000);
        if self.log.failures.is_empty() && self.counted("read: 404") - before != standing.len() as u64 {
            self.fail("absence of what never was is not proven at rest".into());
        }
    }

    /// Reads every image that was deleted last from every node.
    fn read_deleted(&mut self, standing: &[Index]) {
        let (gone, before) = (self.deletions.gone(), self.counted("read: 410"));
        for id in &gone {
            standing.iter().for_each(|index| self.read_at(*index, *id));
        }
        self.run_to(self.now + 8_000);
        let found = self.counted("read: 410") - before;
        if self.log.failures.is_empty() && found != (gone.len() * standing.len()) as u64 {
            self.fail(format!("only {found} reads of {} deleted images are 410 at the end", gone.len()));
        }
    }

    fn counted(&self, what: &str) -> u64 {
        self.log.counts.get(what).copied().unwrap_or(0)
    }
}
