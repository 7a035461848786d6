mod model;

use std::fs;
use std::path::Path;

use futures_lite::future::block_on;

use super::super::{ManifestKeeper, ManifestQueryError, SlotFilter, WAITING_MAX};
use super::*;
use crate::cluster::digest::{SlotDigests, SlotRange};
use crate::cluster::placement::Slot;
use crate::object::Format;
use crate::store::bad_copies::BadCopies;
use crate::store::findings::{self, FindingReceiver};
use crate::store::marker::{self, MarkerState};

const NODE: [u8; 16] = [7; 16];

/// A store, and what a keeper of it needs.
struct TestStore {
    root: tempfile::TempDir,
    paths: StorePaths,
    health: Arc<Health>,
}

/// A keeper that works when it is told to.
struct TestKeeper {
    keeper: Keeper,
    handle: ManifestKeeper,
    found: FindingReceiver,
}

fn id(start: [u8; 3]) -> ObjectId {
    let mut digest = [9; 20];
    digest[..3].copy_from_slice(&start);
    ObjectId::from_digest(digest)
}

fn everything() -> SlotFilter {
    Arc::new(|_| true)
}

fn digests(ids: &[ObjectId]) -> SlotDigests {
    let mut digests = SlotDigests::default();
    ids.iter().for_each(|id| digests.add(id));
    digests
}

fn sum(ids: &[ObjectId]) -> u64 {
    digests(ids).sum(SlotRange::ALL, |_| true)
}

impl TestStore {
    fn new(ids: &[ObjectId]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        for directory in [paths.store(), paths.meta()] {
            fs::create_dir(directory).unwrap();
        }
        marker::write(&paths, NODE).unwrap();
        let MarkerState::Own(place) = marker::look(&paths, NODE).unwrap() else { panic!("it was written") };
        let health = Arc::new(Health::new(paths.clone(), NODE, place, 0, Arc::default()));
        let store = Self { root, paths, health };
        ids.iter().for_each(|id| store.store(id));
        store
    }

    fn path(&self, id: &ObjectId) -> std::path::PathBuf {
        self.paths.image(id, Format::Png)
    }

    fn store(&self, id: &ObjectId) {
        fs::create_dir_all(self.paths.image_directory(id)).unwrap();
        fs::write(self.path(id), [0; 10]).unwrap();
    }

    fn remove(&self, id: &ObjectId) {
        fs::remove_file(self.path(id)).unwrap();
    }

    fn keeper(&self) -> TestKeeper {
        let (sender, mut receivers) = findings::channels(1, BadCopies::default());
        let (handle, keeper) = ManifestKeeper::new(Arc::clone(&self.health), sender, Arc::default());
        TestKeeper { keeper, handle, found: receivers.remove(0) }
    }

    /// A keeper that has compared everything.
    fn settled(&self) -> TestKeeper {
        let mut keeper = self.keeper();
        keeper.settle();
        keeper
    }
}

impl TestKeeper {
    /// Handles what waits, and compares what is due.
    fn settle(&mut self) {
        loop {
            while let Ok(message) = self.keeper.messages.try_recv() {
                self.keeper.handle(message);
            }
            self.keeper.work();
            let is_at_rest = self.keeper.due.is_empty() && self.keeper.survey.is_none();
            if is_at_rest && self.keeper.messages.is_empty() {
                return;
            }
        }
    }

    /// Compares everything once more.
    fn walk(&mut self) {
        (0..=u8::MAX).for_each(|first| self.keeper.enqueue(first, Duration::ZERO));
        self.settle();
    }

    fn ask<T>(&mut self, question: impl Future<Output = T>) -> T {
        let mut question = std::pin::pin!(question);
        loop {
            if let Some(answer) = block_on(futures_lite::future::poll_once(&mut question)) {
                return answer;
            }
            let message = self.keeper.messages.recv().unwrap();
            self.keeper.handle(message);
        }
    }

    #[track_caller]
    fn expect(&mut self, ids: &[ObjectId]) {
        let handle = self.handle.clone();
        assert_eq!(handle.total(), Some((ids.len() as u64, 10 * ids.len() as u64)));
        assert_eq!(self.ask(handle.sum(SlotRange::ALL, everything())).unwrap(), sum(ids));
    }

    fn vanished(&self) -> Vec<ObjectId> {
        let mut ids: Vec<_> = self.found.try_iter().map(|finding| finding.id()).collect();
        ids.sort();
        ids
    }

    /// As the process's end leaves it.
    fn stop(self) {
        let (done, stopped) = flume::bounded(1);
        let mut keeper = self.keeper;
        keeper.handle(KeeperMessage::Stop(done));
        keeper.finish();
        stopped.recv().unwrap();
    }
}

const IDS: [[u8; 3]; 6] = [[0, 0, 1], [0, 0, 0x20], [0, 255, 0], [1, 0, 0], [9, 9, 9], [255, 255, 255]];

#[test]
fn a_store_without_manifests_is_listed_and_known_at_the_next_start() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids);
    let mut keeper = store.keeper();
    assert_eq!(keeper.handle.total(), None);
    let handle = keeper.handle.clone();
    let early = keeper.ask(handle.sum(SlotRange::ALL, everything()));
    assert!(matches!(early, Err(ManifestQueryError::NotReady)));
    keeper.settle();
    keeper.expect(&ids);
    assert!(keeper.vanished().is_empty());
    keeper.stop();
    assert_eq!(fs::read_dir(store.paths.manifests()).unwrap().count(), 4, "none without images");
    let mut keeper = store.settled();
    keeper.expect(&ids);
    assert!(keeper.vanished().is_empty());
}

#[test]
fn reports_change_the_digests_once_however_often_they_come() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids[..2]);
    let mut keeper = store.settled();
    ids[2..].iter().for_each(|id| store.store(id));
    store.remove(&ids[0]);
    for _ in 0..2 {
        ids[2..].iter().for_each(|id| keeper.handle.record_added(id, Format::Png, 10));
        keeper.handle.record_removed(&ids[0]);
        keeper.settle();
        keeper.expect(&ids[1..]);
    }
    store.store(&ids[0]);
    keeper.handle.record_added(&ids[0], Format::Png, 10);
    keeper.settle();
    keeper.expect(&ids);
}

#[test]
fn what_was_reported_is_known_after_a_stop_and_after_a_kill() {
    let ids = IDS.map(id);
    for is_killed in [false, true] {
        let store = TestStore::new(&ids[..2]);
        let mut keeper = store.settled();
        for id in &ids[2..] {
            store.store(id);
            keeper.handle.record_added(id, Format::Png, 10);
        }
        store.remove(&ids[0]);
        keeper.handle.record_removed(&ids[0]);
        keeper.settle();
        if !is_killed {
            keeper.stop();
        }
        let mut keeper = store.settled();
        keeper.expect(&ids[1..]);
        assert!(keeper.vanished().is_empty(), "it was removed by the node");
    }
}

#[test]
fn files_that_went_while_the_node_was_down_are_losses_and_new_ones_are_images() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids[..5]);
    store.settled().stop();
    store.remove(&ids[1]);
    fs::remove_dir_all(store.paths.image_parent(&ids[4])).unwrap();
    store.store(&ids[5]);
    let mut keeper = store.settled();
    keeper.expect(&[ids[0], ids[2], ids[3], ids[5]]);
    assert_eq!(keeper.vanished(), [ids[1], ids[4]]);
}

#[test]
fn a_walk_finds_what_vanished_and_what_is_new() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids[..5]);
    let mut keeper = store.settled();
    store.remove(&ids[1]);
    store.store(&ids[5]);
    fs::write(store.paths.store().join("09/09/note.txt"), [0; 10]).unwrap();
    fs::create_dir(store.path(&id([9, 9, 1]))).unwrap();
    keeper.walk();
    keeper.expect(&[ids[0], ids[2], ids[3], ids[4], ids[5]]);
    assert_eq!(keeper.vanished(), [ids[1]]);
    keeper.walk();
    assert!(keeper.vanished().is_empty(), "it is told once");
}

#[test]
fn a_damaged_or_missing_manifest_is_made_again_and_nothing_is_lost() {
    let ids = IDS.map(id);
    let damages: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "garbage").unwrap(),
        |path| fs::write(path, [&fs::read(path).unwrap()[..], b"torn"].concat()).unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() - 20;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        for is_running in [false, true] {
            let store = TestStore::new(&ids);
            let mut keeper = store.settled();
            if !is_running {
                keeper.stop();
                keeper = store.keeper();
            }
            damage(&store.paths.manifest(0));
            damage(&store.paths.manifest(9));
            if is_running {
                keeper.walk();
            }
            keeper.settle();
            keeper.expect(&ids);
            assert!(keeper.vanished().is_empty(), "{number}");
            drop(keeper);
            store.settled().expect(&ids);
        }
    }
}

#[test]
fn a_report_that_meets_a_lost_manifest_is_not_forgotten() {
    let ids = IDS.map(id);
    let beside = id([9, 1, 1]);
    let store = TestStore::new(&[&ids[..4], &[beside]].concat());
    let mut keeper = store.settled();
    fs::remove_file(store.paths.manifest(9)).unwrap();
    store.store(&ids[4]);
    keeper.handle.record_added(&ids[4], Format::Png, 10);
    let message = keeper.keeper.messages.recv().unwrap();
    keeper.keeper.handle(message);
    assert!(!keeper.keeper.index.is_settled(9));
    // The pause before the next try is over.
    keeper.keeper.due.iter_mut().for_each(|(at, _)| *at = Instant::now());
    keeper.settle();
    keeper.expect(&[&ids[..5], &[beside]].concat());
}

#[test]
fn a_store_that_is_away_loses_nothing() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids);
    let mut keeper = store.settled();
    let away = store.root.path().join("away");
    fs::rename(store.paths.store(), &away).unwrap();
    fs::create_dir(store.paths.store()).unwrap();
    keeper.keeper.enqueue(9, Duration::ZERO);
    while keeper.keeper.due.iter().any(|(at, _)| *at <= Instant::now()) || keeper.keeper.survey.is_some() {
        keeper.keeper.work();
    }
    assert!(store.health.is_missing() && keeper.vanished().is_empty());
    assert_eq!(keeper.handle.total(), Some((6, 60)));
    fs::remove_dir(store.paths.store()).unwrap();
    fs::rename(&away, store.paths.store()).unwrap();
    let MarkerState::Own(place) = marker::look(&store.paths, NODE).unwrap() else { panic!("it is back") };
    store.health.set_found(place);
    keeper.keeper.due.iter_mut().for_each(|(at, _)| *at = Instant::now());
    keeper.settle();
    keeper.expect(&ids);
    assert!(keeper.vanished().is_empty());
}

#[test]
fn reports_that_are_refused_have_their_images_listed_again_and_are_no_losses() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids[..5]);
    let mut keeper = store.settled();
    for _ in 0..WAITING_MAX {
        keeper.handle.record_added(&ids[0], Format::Png, 10);
    }
    store.store(&ids[5]);
    keeper.handle.record_added(&ids[5], Format::Png, 10);
    store.remove(&ids[4]);
    keeper.handle.record_removed(&ids[4]);
    keeper.settle();
    keeper.expect(&[ids[0], ids[1], ids[2], ids[3], ids[5]]);
}

#[test]
fn reports_of_changes_before_and_behind_a_survey_count_after_it_and_are_no_losses() {
    let ids = [1, 2, 3, 4].map(|last| id([9, 9, last]));
    for is_listed_before in [false, true] {
        let store = TestStore::new(&ids[..3]);
        let mut keeper = store.settled();
        keeper.keeper.survey = None;
        keeper.keeper.enqueue(9, Duration::ZERO);
        keeper.keeper.begin_survey(Instant::now()).unwrap();
        let list = |keeper: &mut TestKeeper| {
            while let Some(survey) = keeper.keeper.survey.as_mut().filter(|survey| !survey.is_complete()) {
                survey.step(&store.paths);
            }
        };
        if is_listed_before {
            list(&mut keeper);
        }
        store.remove(&ids[0]);
        keeper.handle.record_removed(&ids[0]);
        store.store(&ids[3]);
        keeper.handle.record_added(&ids[3], Format::Png, 10);
        if is_listed_before {
            keeper.keeper.receive_waiting();
        }
        list(&mut keeper);
        keeper.keeper.end_survey();
        keeper.expect(&ids[1..]);
        assert!(keeper.vanished().is_empty());
    }
}

#[test]
fn a_report_that_is_older_than_a_lost_one_does_not_bring_an_image_back() {
    let store = TestStore::new(&[]);
    let mut keeper = store.keeper();
    // The file was stored and removed, and of that the second report was lost.
    keeper.handle.record_added(&id(IDS[0]), Format::Png, 10);
    keeper.handle.doubts.set(0);
    keeper.settle();
    keeper.expect(&[]);
}

#[test]
fn questions_are_answered_by_slots_and_ranges() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids);
    let mut keeper = store.settled();
    let (handle, all) = (keeper.handle.clone(), digests(&ids));
    let is_even = |slot: Slot| slot.number().is_multiple_of(2);
    let even: SlotFilter = Arc::new(is_even);
    let range = SlotRange::ALL.children().next().unwrap();
    let answer = keeper.ask(handle.digests(vec![SlotRange::ALL, range], Arc::clone(&even))).unwrap();
    let children =
        |range: SlotRange| range.children().map(|child| all.sum(child, is_even)).collect::<Vec<_>>();
    assert_eq!(answer, [children(SlotRange::ALL), children(range)]);
    let expected: Vec<_> = ids.iter().map(Slot::of).collect();
    let mut slots = Vec::new();
    while let Some(next) = keeper.ask(handle.slots(everything(), slots.last().copied(), 1)).unwrap().pop() {
        slots.push(next);
    }
    assert_eq!(slots, expected);
    let few = keeper.ask(handle.slots(even, None, 10)).unwrap();
    assert_eq!(few, expected.into_iter().filter(|slot| is_even(*slot)).collect::<Vec<_>>());
    let too_many = keeper.ask(handle.digests(vec![range; 65], everything()));
    assert!(matches!(too_many, Err(ManifestQueryError::TooManyRanges)));
}

#[test]
fn a_question_to_a_keeper_that_is_busy_or_has_ended_is_refused() {
    let store = TestStore::new(&[]);
    let keeper = store.keeper();
    for _ in 0..WAITING_MAX {
        keeper.handle.record_removed(&id([0, 0, 0]));
    }
    let ask = |handle: &ManifestKeeper| block_on(handle.sum(SlotRange::ALL, everything()));
    assert!(matches!(ask(&keeper.handle), Err(ManifestQueryError::Busy)));
    let handle = keeper.handle.clone();
    drop(keeper);
    assert!(matches!(ask(&handle), Err(ManifestQueryError::Ended)));
}

#[test]
fn ids_are_listed_page_by_page_each_once_though_ranges_lie_in_each_other() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids);
    let mut keeper = store.settled();
    let handle = keeper.handle.clone();
    let leaf = SlotRange::of(Slot::of(&ids[1]));
    let ranges = vec![leaf, SlotRange::ALL, leaf, SlotRange::ALL.children().nth(2).unwrap()];
    for count_max in 1..=7 {
        let mut listed = Vec::new();
        loop {
            let after = listed.last().copied();
            let page = keeper.ask(handle.list(ranges.clone(), after, count_max)).unwrap();
            assert!(page.ids.len() <= count_max);
            listed.extend(page.ids);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(listed, ids, "in pages of {count_max}");
    }
    let page = keeper.ask(handle.list(vec![leaf], None, 7)).unwrap();
    assert_eq!((page.ids, page.has_more), (vec![ids[1]], false), "another slot of the same directory");
}

#[test]
fn a_walk_that_is_asked_for_compares_everything_and_ends_when_the_shards_know_what_is_missing() {
    let ids = IDS.map(id);
    let store = TestStore::new(&ids);
    let mut keeper = store.settled();
    // One is under way that has looked at the first directory already.
    keeper.keeper.enqueue(0, Duration::ZERO);
    let now = Instant::now();
    keeper.keeper.begin_survey(now).unwrap();
    keeper.keeper.survey.as_mut().unwrap().step(&store.paths);
    ids[..4].iter().for_each(|id| store.remove(id));
    assert!(!keeper.handle.is_walking());
    keeper.handle.walk();
    while keeper.handle.is_walking() {
        keeper.keeper.work();
    }
    assert_eq!(keeper.vanished(), ids[..4]);
    keeper.expect(&ids[4..]);
}

#[test]
fn files_that_have_gone_are_told_when_the_shards_have_room_and_the_walk_lasts_until_then() {
    let ids: Vec<_> =
        (0..findings::WAITING_MAX + 3).map(|number| id([1, (number >> 8) as u8, number as u8])).collect();
    let store = TestStore::new(&ids);
    let mut keeper = store.settled();
    ids.iter().for_each(|id| store.remove(id));
    keeper.handle.walk();
    for _ in 0..2_000 {
        keeper.keeper.work();
    }
    assert!(keeper.handle.is_walking());
    let mut told = keeper.vanished();
    assert_eq!(told.len(), findings::WAITING_MAX);
    while keeper.handle.is_walking() {
        keeper.keeper.work();
        told.extend(keeper.vanished());
    }
    assert_eq!(told, ids);
}

#[test]
fn a_store_that_lost_more_than_the_shards_have_room_for_is_known_at_once_after_a_start() {
    let ids: Vec<_> =
        (0..findings::WAITING_MAX + 3).map(|number| id([1, (number >> 8) as u8, number as u8])).collect();
    let store = TestStore::new(&ids);
    store.settled().stop();
    ids.iter().for_each(|id| store.remove(id));
    let mut keeper = store.settled();
    keeper.expect(&[]);
    assert_eq!(keeper.vanished().len(), findings::WAITING_MAX, "comparisons find the others");
}
