//! The background work of a node beside repairs: it reports whether it has space, and compares its images with the
//! others'.
//!
//! The comparison stands for digests that the program does not have yet.

use reticulum::cluster::layout::Edit;
use reticulum::object::ObjectId;

use crate::disk::Looked;
use crate::event::{Ask, Fact, Ids, Index, Tell};
use crate::injected_bug::InjectedBug;
use crate::node::{Comparison, ListDifference, Purpose};
use crate::world::World;

impl World {
    /// Runs one round.
    pub(crate) fn look_around(&mut self, index: Index) {
        self.tell_fullness(index);
        self.tell_synced(index);
        self.compare_next(index);
    }

    fn tell_fullness(&mut self, index: Index) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let clock = self.nodes[index].clock(self.now);
        let has_room = self.nodes[index].disk.has_room();
        let differs = view.member(this).is_some_and(|member| member.writable != has_room);
        if differs && !self.nodes[index].is_blocked {
            // Refused only while the node is not a member.
            _ = self.running(index).core.edit(&Edit::Writable(this, has_room), clock);
            self.drain(index);
        }
    }

    /// A node is in sync when it has compared its images with every other member's, under the staged layout version.
    fn tell_synced(&mut self, index: Index) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let Some(hash) = view.staged_version().filter(|hash| view.synced_to() != Some(*hash)) else { return };
        let synced_with = &self.running(index).synced_with;
        let mut others = view.members().filter(|(node, _)| *node != this && view.is_counted_on(*node));
        let is_synced = others.all(|(node, _)| synced_with.get(&node) == Some(&hash));
        if is_synced || self.bug == Some(InjectedBug::SyncedTooEarly) {
            self.tell_core(index, Fact::Synced(hash));
        }
    }

    fn compare_next(&mut self, index: Index) {
        let (view, this) = (self.view(index), self.nodes[index].id);
        let process = self.running(index);
        process.compare_turn += 1;
        // Twice as often while it is out of sync, because repair has priority then.
        let is_settled = view.staged_version().is_some_and(|hash| view.synced_to() == Some(hash));
        if process.comparing.is_some() || (is_settled && !process.compare_turn.is_multiple_of(4)) {
            return;
        }
        let turn = if is_settled { process.compare_turn / 4 } else { process.compare_turn };
        let others: Vec<_> = view
            .members()
            .filter(|(node, member)| *node != this && member.alive && view.is_counted_on(*node))
            .map(|(node, _)| node)
            .collect();
        let Some(node) = others.get(turn % others.len().max(1)).copied() else { return };
        let (Some(with), Some(hash)) = (self.index_of(node), view.staged_version()) else { return };
        let open = Default::default();
        let comparison = Comparison { with, node, hash, open, has_failed: false, is_answered: false };
        self.running(index).comparing = Some(comparison);
        let have = self.listed(index);
        self.request(index, with, Ask::Compare(have), Purpose::Compare, 3_000);
    }

    /// The copies that a node knows: in its slots from the manifests, outside of them from the journal.
    fn listed(&mut self, index: Index) -> Ids {
        let version = (self.nodes[index].disk.version(), self.running(index).enrolled);
        let (of_version, of_layout, list) = &self.running(index).listed;
        if (*of_version, *of_layout) == version {
            return list.clone();
        }
        let disk = &self.nodes[index].disk;
        let durable = disk.files().iter().filter(|(_, file)| file.is_durable());
        let all: Vec<_> = durable.map(|(id, _)| (*id, disk.misplaced().contains(id))).collect();
        let known = all.into_iter().filter(|(id, is_stray)| *is_stray || self.owners(index, id).0);
        let list = Ids::new(known.map(|(id, _)| id).collect());
        self.running(index).listed = (version.0, version.1, list.clone());
        list
    }

    /// Answers a comparison: the images that this node lacks, and the images that the other lacks.
    pub(crate) fn compare_with(&mut self, index: Index, from: Index, theirs: &Ids) -> Tell {
        let hash = self.view(index).staged_version();
        let mine = self.listed(index);
        let same = self.running(index).found.get(&from).cloned();
        let same = same.filter(|found| Ids::ptr_eq(&found.mine, &mine) && Ids::ptr_eq(&found.theirs, theirs));
        let found = same.unwrap_or_else(|| self.find_differences(index, from, mine, theirs));
        let tell = Tell::Compared { hash, lacks: found.lacks.clone(), offers: found.offers.clone() };
        self.running(index).found.insert(from, found);
        tell
    }

    fn find_differences(&mut self, index: Index, from: Index, mine: Ids, theirs: &Ids) -> ListDifference {
        let other = self.nodes[from].id;
        let mut lacks = Vec::new();
        for id in theirs.iter().filter(|id| mine.binary_search(id).is_err()) {
            if self.owners(index, id).0 {
                lacks.push(*id);
            }
        }
        let mut offers = Vec::new();
        for id in mine.iter().filter(|id| theirs.binary_search(id).is_err()) {
            if self.owners(index, id).1.contains(&other) {
                offers.push(*id);
            }
        }
        ListDifference { mine, theirs: theirs.clone(), lacks: lacks.into(), offers: offers.into() }
    }

    pub(crate) fn compared(&mut self, index: Index, from: Index, tell: Option<Tell>) {
        let Some(Tell::Compared { hash, lacks, offers }) = tell else {
            self.running(index).comparing = None;
            return;
        };
        let Some(comparison) = self.running(index).comparing.as_mut().filter(|it| it.with == from) else {
            return;
        };
        comparison.is_answered = true;
        // Under another layout version the other may not know yet which images it should send: repaired, but not in
        // sync.
        comparison.has_failed |= hash != Some(comparison.hash);
        comparison.open = lacks.iter().chain(offers.iter()).copied().collect();
        let verifies = self.bug != Some(InjectedBug::NoVerify);
        for id in lacks.iter().copied() {
            match self.nodes[index].disk.look(&id, verifies) {
                Looked::Have(content) => {
                    self.request(
                        index,
                        from,
                        Ask::Put { id, content, misplaced: false },
                        Purpose::Push(id),
                        2_000,
                    );
                }
                Looked::Nothing | Looked::Failed => self.compared_one(index, id, false),
            }
        }
        for id in offers.iter().copied() {
            self.request(index, from, Ask::Get(id), Purpose::Pull(id), 2_000);
        }
        self.end_comparison(index);
    }

    /// One difference is repaired, or cannot be.
    pub(crate) fn compared_one(&mut self, index: Index, id: ObjectId, is_mended: bool) {
        if let Some(comparison) = &mut self.running(index).comparing {
            comparison.open.remove(&id);
            comparison.has_failed |= !is_mended;
            self.end_comparison(index);
        }
    }

    fn end_comparison(&mut self, index: Index) {
        let process = self.running(index);
        if let Some(ended) = process.comparing.take_if(|it| it.is_answered && it.open.is_empty()) {
            if ended.has_failed {
                process.synced_with.remove(&ended.node);
            } else {
                process.synced_with.insert(ended.node, ended.hash);
            }
        }
    }
}
