//! The manifests as one: the file of each `<aa>`, and the digests in memory. Blocking.
//!
//! Invariant: the digests of an `<aa>` are those of the images in its file. Where a file is lost, so are they.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::file::{LoadedManifest, ManifestError, ManifestFile};
use super::query::{Known, Query};
use super::record::{ManifestEntry, ManifestRecord};
use super::survey::SurveyResult;
use super::times::ChangeTimes;
use crate::cluster::digest::SlotDigests;
use crate::store::path::StorePaths;
use crate::telemetry::metrics::DiskMetrics;

/// A directory that changed less than this ago may have changes of which no report has come yet: one is sent after the
/// sync, which an operation of the disk may hold up for so long.
pub(super) const MARGIN_RUNNING: Duration = crate::store::OPERATION_MAX.saturating_mul(2);

/// The same when all reports have come: the ticks of a file system's clock, two seconds at most.
pub(super) const MARGIN_STOPPED: Duration = Duration::from_secs(2);

/// Differences of a survey that are appended one by one; for more a checkpoint is written.
const APPENDED_MAX: usize = 256;

/// All manifests.
#[derive(Debug)]
pub(super) struct ManifestIndex {
    paths: StorePaths,
    metrics: Arc<DiskMetrics>,
    digests: SlotDigests,
    parts: Vec<ManifestPart>,
}

/// The manifest of one `<aa>`.
#[derive(Debug, Default)]
struct ManifestPart {
    /// `None`: not loaded, or lost.
    file: Option<ManifestFile>,
    /// Whether it was compared with the directories, and no report was lost since.
    is_settled: bool,
    images: u64,
    bytes: u64,
}

impl ManifestIndex {
    pub(super) fn new(paths: StorePaths, metrics: Arc<DiskMetrics>) -> Self {
        let parts = std::iter::repeat_with(ManifestPart::default).take(256).collect();
        Self { paths, metrics, digests: SlotDigests::default(), parts }
    }

    /// The number of images.
    pub(super) fn images(&self) -> u64 {
        self.digests.images()
    }

    pub(super) fn is_settled(&self, first: u8) -> bool {
        self.part(first).is_settled
    }

    pub(super) fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.is_settled)
    }

    /// Its digests may be wrong until the next survey.
    pub(super) fn set_unsettled(&mut self, first: u8) {
        self.part_mut(first).is_settled = false;
    }

    /// Whether reports of these ids can be applied.
    pub(super) fn is_loaded(&self, first: u8) -> bool {
        self.part(first).file.is_some()
    }

    /// The manifest's contents, for a survey; and when it is loaded for the first time, by which times. Nothing where it is
    /// missing or damaged.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn load(&mut self, first: u8) -> io::Result<(Vec<ManifestEntry>, Option<ChangeTimes>)> {
        let path = self.paths.manifest(first);
        match ManifestFile::load(&path, first) {
            Ok(Some(LoadedManifest { file, entries, times })) => {
                let is_new = self.part_mut(first).file.replace(file).is_none();
                if is_new {
                    self.count(first, &entries);
                }
                Ok((entries, is_new.then_some(times)))
            }
            Ok(None) => {
                if self.part(first).file.as_ref().is_some_and(ManifestFile::is_written) {
                    self.forget(first);
                }
                Ok((Vec::new(), None))
            }
            Err(ManifestError::Damaged) => {
                log::warn!(path:% = path.display(); "a manifest is damaged, so the node makes it again from the directories; check the disk");
                self.forget(first);
                Ok((Vec::new(), None))
            }
            Err(ManifestError::Io(error)) => Err(error),
        }
    }

    /// The manifest is lost: its images are to be listed again.
    pub(super) fn forget(&mut self, first: u8) {
        self.digests.clear(first);
        let part = self.part_mut(first);
        part.file = None;
        part.is_settled = false;
    }

    /// Applies reports, in the order in which they came. Those that say what is known change nothing.
    ///
    /// # Errors
    /// [`ManifestError`]; the manifest is to be forgotten then.
    pub(super) fn apply(&mut self, first: u8, records: &[ManifestRecord]) -> Result<(), ManifestError> {
        let part = &mut self.parts[usize::from(first)];
        let Some(file) = part.file.as_mut() else { return Ok(()) };
        let mut reader = file.reader()?;
        let (mut new, mut changes) = (Vec::new(), Vec::new());
        for record in records {
            let (before, after) = (reader.find(&record.id())?, record.entry());
            if before != after {
                reader.note(*record);
                new.push(*record);
                changes.push((before, after));
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        file.append(&new).map_err(ManifestError::Io)?;
        for (before, after) in changes {
            if let Some(before) = before {
                self.digests.remove(&before.id);
                part.images -= 1;
                part.bytes = part.bytes.saturating_sub(before.length);
            }
            if let Some(after) = after {
                self.digests.add(&after.id);
                part.images += 1;
                part.bytes += after.length;
            }
        }
        let wants_checkpoint = file.wants_checkpoint();
        self.report_total();
        if wants_checkpoint { self.write_checkpoint(first, MARGIN_RUNNING) } else { Ok(()) }
    }

    /// Takes over what a survey found.
    ///
    /// # Errors
    /// The system's refusal; the manifest is to be forgotten then.
    pub(super) fn install(&mut self, first: u8, result: &SurveyResult) -> io::Result<()> {
        let differences = result.added.len() + result.missing.len();
        let path = self.paths.manifest(first);
        match self.part_mut(first).file.as_mut().filter(|_| differences <= APPENDED_MAX) {
            Some(_) if differences == 0 => {}
            Some(file) => {
                let gone = result.missing.iter().map(|entry| ManifestRecord::Gone(entry.id));
                let here = result.added.iter().copied().map(ManifestRecord::Here);
                file.append(&gone.chain(here).collect::<Vec<_>>())?;
            }
            None if result.images.is_empty() && !path.exists() => {
                self.part_mut(first).file = Some(ManifestFile::empty(&path, first));
            }
            None => {
                let times = ChangeTimes::look(&self.paths, first, MARGIN_RUNNING);
                let file = ManifestFile::write(&path, first, &result.images, &times)?;
                self.part_mut(first).file = Some(file);
            }
        }
        self.count(first, &result.images);
        self.part_mut(first).is_settled = true;
        self.report_total();
        Ok(())
    }

    /// Writes the checkpoint of a manifest that has changed since its last one.
    ///
    /// # Errors
    /// [`ManifestError`]; the manifest is to be forgotten then.
    pub(super) fn checkpoint_if_changed(&mut self, first: u8) -> Result<(), ManifestError> {
        let is_changed = self.part(first).file.as_ref().is_some_and(ManifestFile::is_changed);
        if is_changed { self.write_checkpoint(first, MARGIN_STOPPED) } else { Ok(()) }
    }

    /// Answers a question.
    pub(super) fn answer(&self, query: Query) {
        let is_settled = |first| self.is_settled(first);
        Known { digests: &self.digests, paths: &self.paths, is_settled: &is_settled }.answer(query);
    }

    fn write_checkpoint(&mut self, first: u8, margin: Duration) -> Result<(), ManifestError> {
        let path = self.paths.manifest(first);
        // Before the images are read: whatever changes in between makes another time.
        let times = ChangeTimes::look(&self.paths, first, margin);
        let loaded = ManifestFile::load(&path, first)?.ok_or(ManifestError::Damaged)?;
        let file = ManifestFile::write(&path, first, &loaded.entries, &times).map_err(ManifestError::Io)?;
        self.part_mut(first).file = Some(file);
        Ok(())
    }

    /// Makes the digests of an `<aa>` those of these images.
    fn count(&mut self, first: u8, images: &[ManifestEntry]) {
        self.digests.clear(first);
        images.iter().for_each(|entry| self.digests.add(&entry.id));
        let part = self.part_mut(first);
        part.images = images.len() as u64;
        part.bytes = images.iter().map(|entry| entry.length).sum();
    }

    /// Tells the metrics. Until all manifests were compared once, a part of the images would look like a loss.
    fn report_total(&self) {
        let sum = |read: fn(&ManifestPart) -> u64| self.parts.iter().map(read).sum();
        self.metrics.images.set(sum(|part| part.images));
        self.metrics.image_bytes.set(sum(|part| part.bytes));
        if self.is_whole() {
            self.metrics.images_counted.set(1);
        }
    }

    fn part(&self, first: u8) -> &ManifestPart {
        &self.parts[usize::from(first)]
    }

    fn part_mut(&mut self, first: u8) -> &mut ManifestPart {
        &mut self.parts[usize::from(first)]
    }
}
