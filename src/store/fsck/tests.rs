use std::fs;
use std::path::Path;

use sha1::{Digest, Sha1};

use super::*;
use crate::cluster::erasure::{ErasureRecord, Intent};
use crate::object::Format;
use crate::store::erasures;
use crate::store::open::{DATA_MODE, open};

/// A GIF of one pixel; what follows its end makes it another image.
fn gif(tail: &str) -> (ObjectId, Vec<u8>) {
    let mut bytes =
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b"
            .to_vec();
    bytes.extend_from_slice(tail.as_bytes());
    (ObjectId::from_digest(Sha1::digest(&bytes).into()), bytes)
}

struct TestStore {
    root: tempfile::TempDir,
    paths: StorePaths,
}

impl TestStore {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), "default", DATA_MODE).unwrap());
        let paths = StorePaths::new(&root.path().canonicalize().unwrap());
        Self { root, paths }
    }

    fn write(&self, below: &str, bytes: &[u8]) {
        let path = self.root.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Stores an image as it should be; its path below the root.
    fn image(&self, tail: &str) -> (ObjectId, String) {
        let (id, bytes) = gif(tail);
        let place = below(&self.paths, &self.paths.image(&id, Format::Gif));
        let place = place.to_str().unwrap().to_owned();
        self.write(&place, &bytes);
        (id, place)
    }

    /// The sum, and `path fault outcome` of every finding, sorted.
    fn check(&self, mode: Mode) -> (CheckSummary, Vec<String>) {
        let mut lines = Vec::new();
        let sum = check(self.root.path(), mode, |event| {
            if let CheckEvent::Found(CheckFinding { path, fault, outcome }) = event {
                let outcome = match outcome {
                    RepairOutcome::Left => "left".to_owned(),
                    RepairOutcome::Moved(to) if to.starts_with("quarantine") => "quarantined".to_owned(),
                    RepairOutcome::Moved(to) => to.display().to_string(),
                    RepairOutcome::Removed => "removed".to_owned(),
                    RepairOutcome::Rewritten => "rewritten".to_owned(),
                    RepairOutcome::Failed(error) => error.to_string(),
                };
                lines.push(format!("{} {} {outcome}", path.display(), fault.name()));
            }
            ControlFlow::Continue(())
        });
        lines.sort();
        (sum.unwrap(), lines)
    }

    fn files(&self) -> Vec<String> {
        fn walk(directory: &Path, found: &mut Vec<String>, root: &Path) {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), found, root);
                } else {
                    found.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = Vec::new();
        for folder in ["store", "tmp", "quarantine"] {
            walk(&self.root.path().join(folder), &mut found, self.root.path());
        }
        found.retain(|file| file != "store/.reticulum");
        found.sort();
        found
    }
}

#[test]
fn a_clean_store_has_no_faults() {
    let store = TestStore::new();
    let (_, bytes) = gif("aa");
    store.image("aa");
    store.image("bb");
    let (sum, lines) = store.check(Mode::Check);
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(sum, CheckSummary { images: 2, bytes: 2 * bytes.len() as u64, faults: 0, left: 0 });
}

#[test]
fn every_fault_is_told_and_a_check_changes_nothing() {
    let store = TestStore::new();
    let (damaged, place) = store.image("damaged");
    store.write(&place, b"GIF89a something else");
    let (astray, bytes) = gif("astray");
    store.write(&format!("store/00/{astray}.gif"), &bytes);
    let (misnamed, bytes) = gif("misnamed");
    let parent = below(&store.paths, &store.paths.image_directory(&misnamed)).display().to_string();
    store.write(&format!("{parent}/{misnamed}.jpg"), &bytes);
    store.write("store/note.txt", b"hello");
    store.write("tmp/0-1", b"half an upload");
    std::os::unix::fs::symlink("nowhere", store.root.path().join("store/link")).unwrap();
    let before = store.files();
    let (sum, lines) = store.check(Mode::Check);
    let mut expected = [
        format!("{place} wrong-hash left"),
        format!("store/00/{astray}.gif misplaced left"),
        format!("{parent}/{misnamed}.jpg misplaced left"),
        "store/note.txt foreign left".to_owned(),
        "store/link foreign left".to_owned(),
        "tmp/0-1 temporary left".to_owned(),
    ];
    expected.sort();
    assert_eq!(lines, expected);
    assert_eq!((sum.images, sum.faults, sum.left), (0, 6, 6), "{damaged}");
    assert_eq!(store.files(), before);
}

#[test]
fn repair_mends_what_can_be_mended_and_keeps_every_byte_of_images() {
    let store = TestStore::new();
    let (_, damaged) = store.image("damaged");
    store.write(&damaged, b"other bytes");
    let (astray, bytes) = gif("astray");
    store.write(&format!("store/lost/deep/{}.JPEG", astray.to_string().to_uppercase()), &bytes);
    store.write("tmp/0-1", b"half an upload");
    store.write("store/note.txt", b"hello");
    let (sum, lines) = store.check(Mode::Repair);
    assert_eq!((sum.images, sum.faults, sum.left), (1, 4, 1), "{lines:?}");
    let home = below(&store.paths, &store.paths.image(&astray, Format::Gif)).display().to_string();
    assert!(lines.iter().any(|line| line.ends_with(&format!("misplaced {home}"))), "{lines:?}");
    assert_eq!(fs::read(store.root.path().join(&home)).unwrap(), bytes);
    let quarantined: Vec<_> =
        store.files().into_iter().filter(|file| file.starts_with("quarantine/")).collect();
    assert_eq!(fs::read(store.root.path().join(&quarantined[0])).unwrap(), b"other bytes");
    assert_eq!(quarantined.len(), 1);
    let (sum, lines) = store.check(Mode::Check);
    assert_eq!(lines, ["store/note.txt foreign left"]);
    assert_eq!(sum.images, 1);
}

#[test]
fn a_right_copy_takes_the_place_of_a_damaged_one() {
    let store = TestStore::new();
    let (id, bytes) = gif("twice");
    let (_, place) = store.image("twice");
    store.write(&place, b"damaged");
    store.write(&format!("store/copy/{id}.gif"), &bytes);
    let (sum, _) = store.check(Mode::Repair);
    assert_eq!((sum.images, sum.left), (1, 0));
    assert_eq!(fs::read(store.root.path().join(place)).unwrap(), bytes);
}

#[test]
fn a_second_right_copy_is_set_aside_and_not_removed() {
    let store = TestStore::new();
    let (id, place) = store.image("twice");
    let (_, bytes) = gif("twice");
    store.write(&format!("store/one/{id}.gif"), &bytes);
    store.write(&format!("store/two/{id}.bak"), &bytes);
    let (sum, lines) = store.check(Mode::Repair);
    assert!(lines.iter().all(|line| line.ends_with("misplaced quarantined")), "{lines:?}");
    assert_eq!((sum.images, sum.faults, sum.left), (1, 2, 0));
    assert_eq!(store.files().len(), 3);
    assert_eq!(fs::read(store.root.path().join(place)).unwrap(), bytes);
}

#[test]
fn a_check_that_is_broken_off_ends() {
    let store = TestStore::new();
    for number in 0..2 * WAITING_MAX {
        store.image(&number.to_string());
    }
    let sum = check(store.root.path(), Mode::Check, |_| ControlFlow::Break(())).unwrap();
    assert_eq!(sum.images, 1);
}

impl TestStore {
    /// Has the journal say that these are deleted.
    fn delete(&self, ids: &[ObjectId]) {
        let record = ErasureRecord::default().fulfil(Intent::Delete).to_bytes();
        let entries = ids.iter().map(|id| erasures::ErasureEntry { id: *id, record, is_erased: true });
        self.write("meta/erasures.0", &erasures::encoded(entries));
        erasures::rewrite(&self.paths).unwrap();
    }

    /// Expects these faults, and none after a repair.
    #[track_caller]
    fn expect_repaired(&self, faults: &[String]) {
        let outcomes = |line: &String| line.rsplit_once(' ').unwrap().0.to_owned();
        for mode in [Mode::Check, Mode::Repair] {
            let mut expected = faults.to_vec();
            expected.sort();
            let lines: Vec<_> = self.check(mode).1.iter().map(outcomes).collect();
            assert_eq!(lines, expected, "{mode:?}");
        }
        assert_eq!(self.check(Mode::Check).1, [""; 0]);
    }
}

#[test]
fn nothing_of_a_deleted_image_is_left_wherever_it_lies_and_others_stay() {
    let store = TestStore::new();
    let ((gone, place), (_, kept)) = (store.image("gone"), store.image("kept"));
    let (other, _) = gif("kept");
    store.delete(&[gone]);
    let places = |id: ObjectId| {
        let cached = format!("cache/00/00/{id}-{:032x}.webp", 1);
        [format!("quarantine/{id}.gif.1"), format!("lost+found/1/00/00/{id}.gif"), cached]
    };
    places(gone).iter().chain(&places(other)).for_each(|place| store.write(place, b"x"));
    store.expect_repaired(
        &places(gone).iter().chain([&place]).map(|it| format!("{it} deleted")).collect::<Vec<_>>(),
    );
    for place in places(other).iter().chain([&kept]) {
        assert!(store.root.path().join(place).exists(), "{place}");
    }
}

#[test]
fn a_journal_with_damaged_entries_is_written_again_and_its_whole_entries_count() {
    let store = TestStore::new();
    let (gone, place) = store.image("gone");
    let (other, _) = gif("other");
    store.delete(&[gone, other]);
    let mut journal = fs::read(store.paths.meta().join("erasures")).unwrap();
    journal.extend_from_slice(&[7; 50]);
    store.write("meta/erasures", &journal);
    store.write("meta/strays.3", b"torn");
    store.expect_repaired(&[
        "meta/erasures damaged-journal".to_owned(),
        "meta/strays.3 damaged-journal".to_owned(),
        format!("{place} deleted"),
    ]);
    assert_eq!(erasures::load(&store.paths).unwrap().len(), 2);
}

#[test]
fn a_damaged_index_is_removed_so_that_the_node_makes_it_again() {
    let store = TestStore::new();
    store.write("meta/manifests/0a", b"no manifest");
    store.write("meta/scrub", b"no position");
    store.expect_repaired(&[
        "meta/manifests/0a damaged-index".to_owned(),
        "meta/scrub damaged-index".to_owned(),
    ]);
}

#[test]
fn a_damaged_layout_is_named_and_left_to_the_cluster() {
    let store = TestStore::new();
    store.write("meta/layout", b"no layout");
    for mode in [Mode::Check, Mode::Repair] {
        let (sum, lines) = store.check(mode);
        assert_eq!((lines, sum.left), (vec!["meta/layout damaged-layout left".to_owned()], 1));
    }
    assert_eq!(fs::read(store.paths.cluster_layout()).unwrap(), b"no layout");
}
