//! The images whose ids this shard holds: their files, their locks, and the records of what is not right with them. It
//! also has the spools, where this shard receives uploads of any id.
//!
//! Invariants: a file gets its name and loses it under the lock of its id; a misplaced replica has a durable record
//! before it has its name.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use glommio::sync::Semaphore;

use super::NodeContext;
use super::errors::PublishError;
use super::locks::IdLocks;
use super::message::{FoundRepairs, Opened, Publish, PublishAs, Verified};
use super::routing::Routing;
use crate::cluster::erasure::ErasureRecord;
use crate::cluster::protocol::repair::queue::{RepairQueue, needs_record};
use crate::cluster::view::View;
use crate::image::header::Limits;
use crate::object::ObjectId;
use crate::store::StoreError;
use crate::store::bad_copies::FoundBy;
use crate::store::erasures::{ErasureEntry, ErasureJournal};
use crate::store::misplaced::MisplacedJournal;
use crate::store::originals::{Described, Found, Original, Originals};
use crate::store::spool::{Spools, Temporary};
use crate::telemetry::log::Limited;
use crate::telemetry::metrics::ShardMetrics;

/// One shard's part of the store.
#[derive(Debug)]
pub struct Images {
    node: Arc<NodeContext>,
    metrics: Arc<ShardMetrics>,
    /// Receives uploads into temporary files.
    pub spools: Spools,
    pub(super) originals: Originals,
    /// Images that are being published, quarantined or removed.
    pub(super) publishing: IdLocks,
    pub(super) journal: MisplacedJournal,
    erasures: ErasureJournal,
    /// Held from the look for what is new in records until that is durable: the journal must not go back.
    recording: Semaphore,
    /// Copies that need repair or a handover, not all of them misplaced.
    pub(super) repairs: RefCell<RepairQueue>,
    lines: Limited,
}

impl Images {
    /// The part of a shard. `quarantined` are the node's ids with a bad copy, `misplaced` those with misplaced or
    /// missing copies.
    pub(super) fn new(
        node: &Arc<NodeContext>,
        metrics: &Arc<ShardMetrics>,
        routing: &Routing,
        quarantined: &[ObjectId],
        misplaced: &[ObjectId],
    ) -> Self {
        let (paths, index) = (&node.paths, routing.index());
        let quarantined: HashSet<_> = quarantined.iter().filter(|id| routing.holds(id)).copied().collect();
        let misplaced = misplaced.iter().filter(|id| routing.holds(id));
        let mut repairs = RepairQueue::default();
        let now = node.control.now();
        // A copy in quarantine may have been replaced already: then there is little to see to.
        misplaced.chain(&quarantined).for_each(|id| repairs.record(*id, now));
        Self {
            node: Arc::clone(node),
            metrics: Arc::clone(metrics),
            spools: Spools::new(paths.clone(), index, Arc::clone(&node.health)),
            originals: Originals::new(
                paths.clone(),
                quarantined,
                Arc::clone(&node.health),
                node.manifests.clone(),
            ),
            publishing: IdLocks::default(),
            journal: MisplacedJournal::new(paths.clone(), index),
            erasures: ErasureJournal::new(paths.clone(), index),
            recording: Semaphore::new(1),
            repairs: RefCell::new(repairs),
            lines: Limited::new(),
        }
    }

    /// Whether the image is here, by the disk's word: for what is said to others. One that this node had and lost is not
    /// absent, it is damaged: "no" must not count while the record of its repair says that it should be here.
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot tell.
    pub(super) async fn look(&self, id: &ObjectId) -> Result<Found, StoreError> {
        Ok(self.or_lost(id, self.originals.look(id).await?))
    }

    /// The same by what is remembered, if anything is.
    ///
    /// # Errors
    /// As [`Images::look`].
    pub(super) async fn find(&self, id: &ObjectId) -> Result<Found, StoreError> {
        Ok(self.or_lost(id, self.originals.find(id).await?))
    }

    /// The description of an image that is here.
    ///
    /// # Errors
    /// As [`Images::look`].
    pub(super) async fn describe(&self, id: &ObjectId, limits: Limits) -> Result<Described, StoreError> {
        Ok(match self.originals.describe(id, limits).await? {
            Described::Absent if self.is_lacking(id) => Described::Damaged(None),
            described => described,
        })
    }

    fn or_lost(&self, id: &ObjectId, found: Found) -> Found {
        if found == Found::Absent && self.is_lacking(id) { Found::Damaged } else { found }
    }

    fn is_lacking(&self, id: &ObjectId) -> bool {
        self.repairs.borrow().is_recorded(id)
    }

    /// The open file of the stored bytes.
    ///
    /// # Errors
    /// [`StoreError`] when the disk cannot tell, or the file comes and goes.
    pub(super) async fn open(&self, id: &ObjectId) -> Result<Opened, StoreError> {
        // Twice: what was remembered may have gone since.
        for _ in 0..2 {
            match self.find(id).await? {
                Found::Here(found) => {
                    if let Some((file, original)) = self.originals.open(id, found.format).await? {
                        let verified = self.originals.is_verified(id, original.stamp);
                        return Ok(Opened::Here(file, original, verified));
                    }
                }
                Found::Absent => return Ok(Opened::Absent),
                Found::Damaged => return Ok(Opened::Damaged),
            }
        }
        // It comes and goes, so that nothing can be said of it.
        Err(StoreError::new("open an image", io::Error::from(io::ErrorKind::NotFound)))
    }

    /// Makes sure that the name of a stored file outlives a power cut.
    ///
    /// # Errors
    /// [`StoreError`]; it may not.
    pub(super) async fn sync_name(&self, id: &ObjectId) -> Result<(), StoreError> {
        let _turn = self.publishing.lock(*id).await;
        self.originals.sync_name(id).await
    }

    /// Gives a received upload its name. It gets a record before that if it is misplaced by the view as it is then.
    ///
    /// # Errors
    /// [`PublishError`]; the image is not visible then.
    pub(super) async fn publish(
        &self,
        publish: Publish,
        view: impl FnOnce() -> Arc<View>,
    ) -> Result<Original, PublishError> {
        let Publish { temporary, id, format, how: PublishAs { stray, live, is_repair } } = publish;
        let temporary = Temporary::take_over(temporary, self.spools.reaper());
        let _turn = self.publishing.lock(id).await;
        // Under the lock: what was learned of a deletion before this is seen here, and what is learned later removes
        // the file.
        for _ in 0..2 {
            let record = self.node.erasures.record(&id);
            // Not recorded then: a banned image is not live when its ban is lifted.
            if record.merge(ErasureRecord::live(live)).is_gone() {
                return Err(PublishError::Gone(record));
            }
            // Once more afterwards, for the journal takes a while.
            self.record_erasures(&[(id, ErasureRecord::live(live))]).await?;
        }
        self.node.control.holds_an_image();
        if stray || needs_record(&view(), &id) {
            // Before the image has its name: a power cut must not leave a copy that nobody knows of.
            self.journal.add(&id).await?;
            self.record_repair(id);
        }
        let published = self.originals.publish(temporary, &id, format).await?;
        if published.was_wrong {
            self.metrics.corrupt.add();
        }
        let was_bad = self.node.bad_copies.close(&id);
        if published.is_new && (is_repair || was_bad || published.was_wrong) {
            // Here, for a peer or a client may bring the copy as well as a repair.
            self.metrics.repaired.add();
        }
        Ok(published.original)
    }

    /// Takes erasure records of ids that this shard holds: durable when this returns, and known to all shards. What is
    /// gone by them is not erased yet.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is known of them then.
    pub(super) async fn record_erasures(
        &self,
        records: &[(ObjectId, ErasureRecord)],
    ) -> Result<(), StoreError> {
        if self.node.erasures.news(records).is_empty() {
            return Ok(());
        }
        // It fails only when it is closed, which nobody does.
        let _turn = self.recording.acquire_permit(1).await.ok();
        let news = self.node.erasures.news(records);
        let entry = |(id, record): &(ObjectId, ErasureRecord)| ErasureEntry {
            id: *id,
            record: record.to_bytes(),
            is_erased: false,
        };
        self.erasures.append(&news.iter().map(entry).collect::<Vec<_>>()).await?;
        self.node.erasures.merge(&news);
        Ok(())
    }

    /// No file of an image is left that is gone by this record. Not synced: it is found out again after a power cut.
    pub(super) async fn set_erased(&self, id: ObjectId, record: ErasureRecord) {
        let entry = ErasureEntry { id, record: record.to_bytes(), is_erased: true };
        if let Err(error) = self.erasures.append_unsynced(entry).await {
            log::warn!(object:% = id, error:% = error; "cannot record that an image is erased, so it is erased again after a restart; check the disk");
        }
        self.node.erasures.set_erased(&[id]);
    }

    /// Notes that an owner lacks its copy. Durable when this returns, if the disk is well.
    pub(super) async fn enqueue_repair(&self, id: ObjectId) {
        if self.repairs.borrow().is_recorded(&id) {
            return;
        }
        if let Err(error) = self.journal.add(&id).await {
            self.node.health.note(&error);
            log::warn!(object:% = id, error:% = error; "cannot record an under-replicated image, so a restart forgets its repair; check the disk");
        }
        self.record_repair(id);
    }

    /// Notes repairs that a comparison or a walk has found. Returns how many more there is room for.
    pub(super) fn note_found(&self, found: FoundRepairs) -> usize {
        let (now, mut repairs) = (self.node.control.now(), self.repairs.borrow_mut());
        for (id, holders) in found.into_iter().filter(|(id, _)| !self.node.erasures.is_gone(id)) {
            match holders {
                Some(holders) => repairs.note_lacking(id, holders, now),
                None => repairs.note_excess(id, now),
            }
        }
        repairs.room()
    }

    /// The bytes of a stored file are wrong: takes it out of the way, if it is still that file. Whether it was.
    pub(super) async fn quarantine(&self, Verified { id, format, stamp, .. }: Verified) -> bool {
        let _turn = self.publishing.lock(id).await;
        // A good copy may have taken its place since it was read.
        let current = self.originals.open(&id, format).await;
        let Ok(Some((_, original))) = current else { return false };
        if original.stamp != stamp {
            return false;
        }
        // Where too many wait already, this one has its record all the same.
        self.node.bad_copies.add(id, FoundBy::Read);
        // Here, for several requests may see the same damage.
        self.metrics.corrupt.add();
        log::error!(object:% = id; "a stored image does not match its id, so the node quarantines it and fetches a good copy from a peer; check the disk");
        if let Err(error) = self.originals.quarantine(&id, &original).await {
            log::error!(object:% = id, error:% = error; "cannot move a damaged image to quarantine/, so it stays in store/; check the disk");
        }
        // After a restart the file in quarantine/ serves as the record.
        self.record_repair(id);
        true
    }

    /// A walk through the store did not find the file of this image. Whether it has gone.
    pub(super) async fn check_vanished(&self, id: ObjectId) -> bool {
        let _turn = self.publishing.lock(id).await;
        let has_gone = self.originals.check_vanished(&id).await;
        if has_gone {
            self.node.bad_copies.count_vanished();
        }
        has_gone
    }

    /// A finding about a copy does not hold any more: a good one has taken its place, or a read has seen to it.
    pub(super) async fn recheck_bad_copy(&self, view: &View, id: &ObjectId) {
        let is_here = matches!(self.originals.look(id).await, Ok(Found::Here(_)));
        // Else its repair settles it.
        if is_here || !self.is_lacking(id) {
            self.settle_bad_copy(view, id).await;
        }
    }

    /// The repair of an image has ended: a copy that was bad is replaced, is not wanted any more, or is lost.
    pub(super) async fn settle_bad_copy(&self, view: &View, id: &ObjectId) {
        let bad_copies = &self.node.bad_copies;
        if !bad_copies.is_bad(id) && !self.originals.is_set_aside(id) {
            return;
        }
        let is_wanted = view.is_owner(view.this(), id) && !self.node.erasures.is_gone(id);
        let is_lost = is_wanted
            && match self.originals.look(id).await {
                Ok(Found::Here(_)) => false,
                Ok(Found::Damaged) => true,
                // One that this node never had is nothing that it has lost.
                Ok(Found::Absent) | Err(_) => bad_copies.is_bad(id),
            };
        if !is_lost {
            bad_copies.close(id);
            return;
        }
        bad_copies.give_up(*id);
        if let Some(suppressed) = self.lines.pass() {
            log::error!(object:% = id, suppressed; "no member has a good copy of an image that was damaged or has gone here; upload it again, or restore it from a backup");
        }
    }

    fn record_repair(&self, id: ObjectId) {
        self.repairs.borrow_mut().record(id, self.node.control.now());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::service::tests::support::{id_of, idle_shard, png, run};
    use super::*;
    use crate::object::Format;
    use crate::store::bad_copies::BadCopiesReport;

    #[test]
    fn a_finding_is_closed_where_the_copy_is_there_and_lost_where_nobody_has_one() {
        run(async {
            let (shard, _config, _directory) = idle_shard();
            let (images, bad_copies, view) = (&shard.images, &shard.node.bad_copies, shard.view());
            let bytes = png(4);
            let (here, gone) = (id_of(&bytes), ObjectId::from_digest([9; 20]));
            let path = shard.node.paths.image(&here, Format::Png);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &bytes).unwrap();
            for id in [here, gone] {
                bad_copies.add(id, FoundBy::Scrub);
                images.recheck_bad_copy(&view, &id).await;
            }
            let lost = BadCopiesReport { lost: 1, some: vec![gone], ..BadCopiesReport::default() };
            assert_eq!(bad_copies.report(), lost);
            // While its repair is to come, it is open.
            bad_copies.add(gone, FoundBy::Scrub);
            images.enqueue_repair(gone).await;
            images.recheck_bad_copy(&view, &gone).await;
            assert_eq!((bad_copies.report().open, bad_copies.report().lost), (1, 0));
            // It was never here, so nothing is lost.
            images.settle_bad_copy(&view, &ObjectId::from_digest([8; 20])).await;
            assert_eq!(bad_copies.report().lost, 0);
        });
    }
}
