use std::fs;

use super::super::ScrubCounts;
use super::*;
use crate::store::bad_copies::BadCopies;
use crate::store::findings::{self, FindingReceiver};
use crate::store::marker::{self, MarkerState};

const NODE: [u8; 16] = [7; 16];

/// A store, and a scrub of it that works when it is told to.
struct TestScrub {
    root: tempfile::TempDir,
    paths: StorePaths,
    health: Arc<Health>,
    scrub: Scrub,
    metrics: Arc<DiskMetrics>,
    found: FindingReceiver,
    worker: ScrubWorker,
}

impl TestScrub {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        for directory in [paths.store(), paths.meta()] {
            fs::create_dir(directory).unwrap();
        }
        marker::write(&paths, NODE).unwrap();
        let MarkerState::Own(place) = marker::look(&paths, NODE).unwrap() else { panic!("it was written") };
        let health = Arc::new(Health::new(paths.clone(), NODE, place, 0, Arc::default()));
        let (scrub, metrics) = (Scrub::default(), Arc::<DiskMetrics>::default());
        let (sender, mut receivers) = findings::channels(1, BadCopies::default());
        let worker = ScrubWorker::new(
            scrub.clone(),
            Duration::ZERO,
            Arc::clone(&health),
            sender,
            Arc::clone(&metrics),
        );
        Self { root, paths, health, scrub, metrics, found: receivers.remove(0), worker }
    }

    /// The same store after a restart.
    fn restart(self) -> Self {
        let (sender, mut receivers) = findings::channels(1, BadCopies::default());
        let scrub = Scrub::default();
        let health = Arc::clone(&self.health);
        let worker =
            ScrubWorker::new(scrub.clone(), Duration::ZERO, health, sender, Arc::clone(&self.metrics));
        let mut restarted = Self { scrub, found: receivers.remove(0), worker, ..self };
        restarted.worker.load();
        restarted
    }

    fn store(&self, bytes: &[u8]) -> ObjectId {
        let id = ObjectId::of(bytes);
        fs::create_dir_all(self.paths.image_directory(&id)).unwrap();
        fs::write(self.paths.image(&id, Format::Png), bytes).unwrap();
        id
    }

    /// Works until the pass that was asked for has ended.
    fn finish(&mut self) -> ScrubCounts {
        while self.scrub.progress().is_full_pace {
            self.worker.work();
        }
        self.scrub.progress().last.expect("a pass has ended").1
    }
}

#[test]
fn a_pass_reads_every_copy_and_tells_which_are_wrong() {
    let mut scrub = TestScrub::new();
    let ids: Vec<_> = (0..20_u8).map(|number| scrub.store(&vec![number; 300_000])).collect();
    fs::write(scrub.paths.image(&ids[3], Format::Png), vec![99; 300_000]).unwrap();
    fs::write(scrub.paths.image(&ids[4], Format::Png), vec![4; 299_999]).unwrap();
    scrub.scrub.start();
    assert!(scrub.scrub.progress().is_full_pace);
    let expected = ScrubCounts { copies: 20, bytes: 20 * 300_000 - 1, corrupt: 2, unreadable: 0 };
    assert_eq!(scrub.finish(), expected);
    let mut wrong: Vec<_> = scrub
        .found
        .try_iter()
        .map(|finding| match finding {
            Finding::Wrong { id, format: Format::Png, stamp } => {
                let metadata = fs::metadata(scrub.paths.image(&id, Format::Png)).unwrap();
                assert_eq!(stamp, Stamp::of(&metadata));
                id
            }
            other => panic!("{other:?}"),
        })
        .collect();
    wrong.sort();
    let mut both = vec![ids[3], ids[4]];
    both.sort();
    assert_eq!(wrong, both);
    assert_eq!(scrub.metrics.scrubbed.get(), 20);
}

#[test]
fn a_pass_goes_on_after_a_restart_where_it_was() {
    let mut scrub = TestScrub::new();
    for number in 0..20 {
        scrub.store(&[number; 100]);
    }
    scrub.scrub.start();
    while scrub.scrub.progress().counts.copies < 7 {
        scrub.worker.work();
    }
    scrub.worker.save();
    let before = scrub.scrub.progress();
    assert!(before.position > 0.0 && before.position < 1.0);
    let mut scrub = scrub.restart();
    assert_eq!(scrub.scrub.progress(), before);
    assert_eq!(scrub.finish().copies, 20);
    assert_eq!(scrub.metrics.scrubbed.get(), 20, "none is read twice");
}

#[test]
fn a_damaged_note_of_the_position_begins_a_new_pass() {
    let mut scrub = TestScrub::new();
    scrub.store(b"an image");
    fs::write(scrub.paths.scrub(), b"garbage").unwrap();
    scrub = scrub.restart();
    scrub.scrub.start();
    assert_eq!(scrub.finish().copies, 1);
}

#[test]
fn a_copy_that_cannot_be_read_is_told_and_one_that_was_removed_is_not() {
    let mut scrub = TestScrub::new();
    let unreadable = scrub.store(b"unreadable");
    let gone = scrub.store(b"gone");
    // As good as EIO: it is a link to itself by the time that it is opened.
    let path = scrub.paths.image(&unreadable, Format::Png);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    fs::remove_file(scrub.paths.image(&gone, Format::Png)).unwrap();
    scrub.scrub.start();
    scrub.worker.begin_if_asked();
    assert!(scrub.worker.scrub_copy(unreadable, Format::Png) && scrub.worker.scrub_copy(gone, Format::Png));
    let found: Vec<_> = scrub.found.try_iter().collect();
    assert!(matches!(&found[..], [Finding::Unreadable(id, _)] if *id == unreadable), "{found:?}");
    let counts = ScrubCounts { unreadable: 1, ..ScrubCounts::default() };
    assert_eq!(scrub.scrub.progress().counts, ScrubCounts::default());
    assert_eq!(scrub.worker.pass.counts, counts);
}

#[test]
fn while_the_store_is_away_nothing_is_passed_over() {
    let mut scrub = TestScrub::new();
    let id = scrub.store(b"an image");
    scrub.scrub.start();
    scrub.worker.begin_if_asked();
    fs::rename(scrub.paths.store(), scrub.root.path().join("away")).unwrap();
    // Woken before, it does not sleep.
    std::thread::current().unpark();
    scrub.worker.scrub_directory();
    assert_eq!(scrub.worker.directory, 0);
    std::thread::current().unpark();
    assert!(!scrub.worker.scrub_copy(id, Format::Png));
    assert!(scrub.found.is_empty() && scrub.health.is_missing());
}

#[test]
fn a_paced_pass_waits_for_its_time_and_one_that_is_asked_for_does_not() {
    let mut scrub = TestScrub::new();
    assert!(scrub.worker.time_until_due().is_some(), "no pass but one that is asked for");
    scrub.worker.every = Duration::from_hours(65_536);
    assert_eq!(scrub.worker.time_until_due(), None, "the first directory is due at once");
    scrub.worker.directory = 2;
    scrub.worker.pass.elapsed = Duration::from_mins(30);
    assert_eq!(scrub.worker.time_until_due(), Some(Duration::from_mins(90)));
    scrub.worker.pass.elapsed = Duration::from_hours(3);
    assert_eq!(scrub.worker.time_until_due(), None, "it is behind");
    scrub.worker.pass.elapsed = Duration::ZERO;
    scrub.scrub.start();
    scrub.worker.begin_if_asked();
    assert_eq!((scrub.worker.time_until_due(), scrub.worker.directory), (None, 0));
}

#[test]
fn the_thread_scrubs_when_it_is_asked_and_ends_when_it_is_told() {
    let scrub = TestScrub::new();
    scrub.store(b"an image");
    let (sender, _receivers) = findings::channels(1, BadCopies::default());
    let running = Scrub::default();
    running.run(Duration::ZERO, Arc::clone(&scrub.health), sender, Arc::default()).unwrap();
    running.start();
    while running.progress().is_full_pace {
        std::thread::yield_now();
    }
    assert_eq!(running.progress().last.unwrap().1.copies, 1);
    running.stop(Duration::from_secs(60));
    assert!(running.0.has_ended.load(SeqCst) && scrub.paths.scrub().exists());
}

#[test]
fn a_pass_that_was_asked_for_goes_on_at_full_pace_in_the_next_process_though_this_one_is_killed() {
    let mut scrub = TestScrub::new();
    scrub.store(&[1; 10]);
    scrub.scrub.start();
    scrub.worker.work();
    let mut scrub = scrub.restart();
    assert!(scrub.scrub.progress().is_full_pace);
    assert_eq!(scrub.finish().copies, 1);
}
