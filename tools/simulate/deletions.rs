//! The deeds of clients to each image, and the state that must follow from them.
//!
//! * An image must be readable if an upload with a higher counter than every deletion that was sent was answered 200, and
//!   no ban may hold.
//! * It must be gone if the last thing that was done to it was a deletion or ban that was answered: everything else had
//!   ended before that began, and no upload with a counter was left unanswered.
//!
//! In between nothing is certain but that all nodes end with one answer.

use std::collections::BTreeMap;

use reticulum::cluster::erasure::{ErasureRecord, Intent};
use reticulum::object::ObjectId;

use crate::event::{Index, Number};
use crate::world::World;

/// An operation of a node.
type Operation = (Index, Number);

/// One thing that a client did to an image.
#[derive(Clone, Debug)]
struct Deed {
    operation: Operation,
    kind: DeedKind,
    began: u64,
    /// When it was answered, and whether it was done.
    ended: Option<(u64, bool)>,
    /// The counter with which an upload is live.
    live: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeedKind {
    Upload,
    Erase(Intent),
}

/// All that was done to the images.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    deeds: BTreeMap<ObjectId, Vec<Deed>>,
    /// The highest counter of a deletion that was sent to any node.
    sent: BTreeMap<ObjectId, u64>,
}

impl Deletions {
    pub(crate) fn begin_upload(&mut self, id: ObjectId, operation: Operation, now: u64) {
        self.begin(id, operation, DeedKind::Upload, now);
    }

    pub(crate) fn begin_erasure(&mut self, id: ObjectId, operation: Operation, intent: Intent, now: u64) {
        self.begin(id, operation, DeedKind::Erase(intent), now);
    }

    fn begin(&mut self, id: ObjectId, operation: Operation, kind: DeedKind, began: u64) {
        self.deeds.entry(id).or_default().push(Deed { operation, kind, began, ended: None, live: 0 });
    }

    /// A copy with this counter was sent.
    pub(crate) fn raise(&mut self, id: &ObjectId, operation: Operation, live: u64) {
        if let Some(deed) = self.deed(id, operation) {
            deed.live = deed.live.max(live);
        }
    }

    /// A record was sent to a node.
    pub(crate) fn send(&mut self, id: ObjectId, record: ErasureRecord) {
        if record.is_deleted() {
            let sent = self.sent.entry(id).or_default();
            *sent = (*sent).max(record.next_live() - 1);
        }
    }

    pub(crate) fn end(&mut self, id: &ObjectId, operation: Operation, now: u64, is_done: bool) {
        if let Some(deed) = self.deed(id, operation) {
            deed.ended = Some((now, is_done));
        }
    }

    fn deed(&mut self, id: &ObjectId, operation: Operation) -> Option<&mut Deed> {
        self.deeds.get_mut(id)?.iter_mut().find(|deed| deed.operation == operation)
    }

    /// Whether a client has tried to delete or ban it.
    pub(crate) fn may_be_gone(&self, id: &ObjectId) -> bool {
        self.erasures(id).any(|(intent, _)| intent != Intent::Lift)
    }

    /// Images that a client has tried to ban.
    pub(crate) fn banned(&self) -> Vec<ObjectId> {
        let is_banned = |id: &&ObjectId| self.erasures(id).any(|(intent, _)| intent == Intent::Ban);
        self.deeds.keys().filter(is_banned).copied().collect()
    }

    fn erasures(&self, id: &ObjectId) -> impl Iterator<Item = (Intent, &Deed)> {
        let deeds = self.deeds.get(id).into_iter().flatten();
        deeds.filter_map(
            |deed| if let DeedKind::Erase(intent) = deed.kind { Some((intent, deed)) } else { None },
        )
    }

    /// Whether no ban can hold: there was none, or a lift was done that began when all bans had been done. One that was
    /// answered 503 may happen at any time.
    fn is_surely_free(&self, id: &ObjectId) -> bool {
        let mut bans = self.erasures(id).filter(|(intent, _)| *intent == Intent::Ban).peekable();
        if bans.peek().is_none() {
            return true;
        }
        let done = |deed: &Deed| deed.ended.filter(|(_, is_done)| *is_done).map(|(at, _)| at);
        let ended: Option<Vec<u64>> = bans.map(|(_, deed)| done(deed)).collect();
        let Some(last) = ended.and_then(|ended| ended.into_iter().max()) else { return false };
        let is_lift = |deed: &Deed| deed.began >= last && deed.ended.is_some_and(|(_, is_done)| is_done);
        self.erasures(id).any(|(intent, deed)| intent == Intent::Lift && is_lift(deed))
    }

    /// Whether it must be readable.
    pub(crate) fn must_be_readable(&self, id: &ObjectId) -> bool {
        let sent = self.sent.get(id).copied();
        let is_higher = |deed: &Deed| sent.is_none_or(|sent| deed.live > sent);
        let is_answered = |deed: &Deed| {
            deed.kind == DeedKind::Upload && deed.ended.is_some_and(|(_, is_done)| is_done) && is_higher(deed)
        };
        self.is_surely_free(id) && self.deeds.get(id).into_iter().flatten().any(is_answered)
    }

    /// Whether it must be gone.
    pub(crate) fn must_be_gone(&self, id: &ObjectId) -> bool {
        let last = self.erasures(id).filter(|(intent, deed)| {
            *intent != Intent::Lift && deed.ended.is_some_and(|(_, is_done)| is_done)
        });
        let Some((_, last)) = last.max_by_key(|(_, deed)| deed.began) else { return false };
        self.deeds[id].iter().filter(|deed| deed.operation != last.operation).all(|deed| match deed.kind {
            // An upload without a counter beats no deletion. One that was not answered may still happen.
            DeedKind::Upload => match deed.ended {
                Some((at, is_done)) => at < last.began && (is_done || deed.live == 0),
                None => deed.began < last.began && deed.live == 0,
            },
            DeedKind::Erase(Intent::Lift) => deed.ended.is_some_and(|(at, _)| at < last.began),
            DeedKind::Erase(_) => true,
        })
    }

    /// Images that must be gone.
    pub(crate) fn gone(&self) -> Vec<ObjectId> {
        self.deeds.keys().filter(|id| self.must_be_gone(id)).copied().collect()
    }
}

impl World {
    /// Something was begun or has ended: the image must be readable from now on, or need not any more.
    pub(crate) fn revise(&mut self, id: &ObjectId) {
        let now = self.now;
        if !self.deletions.must_be_readable(id) {
            self.acknowledged.remove(id);
            self.answered.retain(|answered| answered != id);
        } else if self.acknowledged.insert(*id, now).is_none() {
            self.answered.push(*id);
        }
    }

    /// A client receives a 410.
    pub(crate) fn check_gone(&mut self, index: Index, id: &ObjectId) {
        self.count("read: 410");
        if !self.deletions.may_be_gone(id) {
            self.fail(format!("node {index} says 410 for {id}, which nobody deleted"));
        }
    }

    /// A client hears that the image of its upload is banned, or is deleted again and again.
    pub(crate) fn check_gone_upload(&mut self, index: Index, id: &ObjectId) {
        if !self.deletions.may_be_gone(id) {
            self.fail(format!("node {index} refuses an upload of {id}, which nobody deleted"));
        }
    }

    /// The faults of the records at rest.
    pub(crate) fn wrong_erasures(&self) -> Vec<String> {
        let standing = self.standing();
        let root = |index: &Index| self.nodes[*index].disk.erasures.root();
        let mut wrong: Vec<_> = standing
            .iter()
            .filter(|index| root(index) != root(&standing[0]))
            .map(|index| format!("node {index} has other erasure records than node {}", standing[0]))
            .collect();
        for index in standing.iter().copied() {
            let disk = &self.nodes[index].disk;
            let left = disk.erasures.unerased(1, |id| disk.files().contains_key(id));
            wrong.extend(left.first().map(|id| format!("node {index} has not erased {id}")));
        }
        let first = standing[0];
        let is_live = |id: &&ObjectId| !self.record_of(first, id).is_gone();
        let live: Vec<_> = self.deletions.gone();
        wrong.extend(live.iter().filter(is_live).map(|id| format!("{id} was deleted last and is live")));
        let is_banned =
            |id: &&ObjectId| self.record_of(first, id).is_banned() && self.deletions.is_surely_free(id);
        let banned = self.deletions.banned();
        wrong.extend(
            banned.iter().filter(is_banned).map(|id| format!("the ban of {id} was lifted and holds")),
        );
        let is_gone = |id: &&ObjectId| self.record_of(first, id).is_gone();
        let gone = self.acknowledged.keys().filter(is_gone);
        wrong.extend(gone.map(|id| format!("{id} was uploaded last and is gone")));
        wrong
    }
}
