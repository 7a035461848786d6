use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::object::Format;

const FIRST: u8 = 0xab;

fn id(number: u16) -> ObjectId {
    let mut digest = [0; 20];
    digest[0] = FIRST;
    digest[1..3].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_digest(digest)
}

fn entry(number: u16) -> ManifestEntry {
    ManifestEntry { id: id(number), format: Format::Png, length: u64::from(number) }
}

fn scene() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("ab");
    (root, path)
}

fn times() -> ChangeTimes {
    let mut times = ChangeTimes::unknown();
    times.iter_mut().zip(1..).for_each(|(time, number)| *time = number);
    times
}

/// A file with a checkpoint of three and a tail of two records, and what it says.
fn written(path: &Path) -> Vec<ManifestEntry> {
    let mut file = ManifestFile::write(path, FIRST, &[1, 2, 3].map(entry), &times()).unwrap();
    file.append(&[ManifestRecord::Here(entry(9)), ManifestRecord::Gone(id(2))]).unwrap();
    [1, 3, 9].map(entry).to_vec()
}

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<(u16, bool)>),
    Checkpoint,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => vec((0..40_u16, any::<bool>()), 0..8).prop_map(Act::Append),
        1 => Just(Act::Checkpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_manifest_says_what_was_recorded_last_of_each_image(acts in vec(any_act(), 0..12)) {
        let (_root, path) = scene();
        let mut file = ManifestFile::write(&path, FIRST, &[], &times()).unwrap();
        let mut expected = BTreeMap::new();
        for act in acts {
            match act {
                Act::Append(changes) => {
                    let records: Vec<_> = changes.iter().map(|(number, is_here)| {
                        if *is_here { ManifestRecord::Here(entry(*number)) } else { ManifestRecord::Gone(id(*number)) }
                    }).collect();
                    file.append(&records).unwrap();
                    for record in records {
                        match record.entry() {
                            Some(entry) => drop(expected.insert(entry.id, entry)),
                            None => drop(expected.remove(&record.id())),
                        }
                    }
                }
                Act::Checkpoint => {
                    let entries: Vec<_> = expected.values().copied().collect();
                    file = ManifestFile::write(&path, FIRST, &entries, &times()).unwrap();
                }
            }
            let loaded = ManifestFile::load(&path, FIRST).unwrap().unwrap();
            prop_assert_eq!(&loaded.entries, &expected.values().copied().collect::<Vec<_>>());
            prop_assert_eq!((loaded.file.checkpoint, loaded.file.tail), (file.checkpoint, file.tail));
            prop_assert_eq!(loaded.times, times());
            let reader = file.reader().unwrap();
            for number in 0..40 {
                prop_assert_eq!(reader.find(&id(number)).unwrap(), expected.get(&id(number)).copied());
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let (_root, path) = scene();
    written(&path);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        assert!(matches!(ManifestFile::load(&path, FIRST), Err(ManifestError::Damaged)), "{at}");
    }
}

#[test]
fn a_file_that_was_cut_is_damaged_or_lacks_whole_records_of_its_tail() {
    let (_root, path) = scene();
    let entries = written(&path);
    let whole = fs::read(&path).unwrap();
    let tail = HEAD_BYTES + 3 * RECORD_BYTES;
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let loaded = ManifestFile::load(&path, FIRST);
        if length >= tail && length.is_multiple_of(RECORD_BYTES) {
            assert_eq!(loaded.unwrap().unwrap().file.tail, ((length - tail) / RECORD_BYTES) as u64);
        } else {
            assert!(matches!(loaded, Err(ManifestError::Damaged)), "{length}");
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(ManifestFile::load(&path, FIRST).unwrap().unwrap().entries, entries);
}

#[test]
fn a_torn_record_in_the_middle_is_seen_by_a_look_up_too() {
    let (_root, path) = scene();
    let mut file = ManifestFile::write(&path, FIRST, &[], &times()).unwrap();
    fs::write(&path, [fs::read(&path).unwrap(), vec![0; 10]].concat()).unwrap();
    file.append(&[ManifestRecord::Here(entry(1))]).unwrap();
    assert!(matches!(file.reader(), Err(ManifestError::Damaged)));
    assert!(matches!(ManifestFile::load(&path, FIRST), Err(ManifestError::Damaged)));
}

#[test]
fn a_manifest_without_images_has_no_file_until_it_gets_one() {
    let (_root, path) = scene();
    let mut file = ManifestFile::empty(&path, FIRST);
    assert_eq!(file.reader().unwrap().find(&id(1)).unwrap(), None);
    assert!(!path.exists() && !file.is_written() && !file.is_changed());
    file.append(&[1, 2].map(|number| ManifestRecord::Here(entry(number)))).unwrap();
    file.append(&[ManifestRecord::Gone(id(1))]).unwrap();
    assert_eq!(file.reader().unwrap().find(&id(2)).unwrap(), Some(entry(2)));
    assert_eq!(ManifestFile::load(&path, FIRST).unwrap().unwrap().entries, [entry(2)]);
}

#[test]
fn the_manifest_of_other_ids_is_refused_and_a_missing_one_is_none() {
    let (_root, path) = scene();
    assert!(ManifestFile::load(&path, FIRST).unwrap().is_none());
    written(&path);
    assert!(matches!(ManifestFile::load(&path, FIRST + 1), Err(ManifestError::Damaged)));
}

#[test]
fn a_checkpoint_is_wanted_when_the_tail_is_long() {
    let (_root, path) = scene();
    let few: Vec<_> = (0..100).map(entry).collect();
    let mut file = ManifestFile::write(&path, FIRST, &few, &times()).unwrap();
    let records: Vec<_> = (0..1024).map(|number| ManifestRecord::Here(entry(number))).collect();
    file.append(&records).unwrap();
    assert!(file.is_changed() && !file.wants_checkpoint());
    file.append(&records[..1]).unwrap();
    assert!(file.wants_checkpoint());
    let many: Vec<_> = (0..32_768).map(entry).collect();
    let mut file = ManifestFile::write(&path, FIRST, &many, &times()).unwrap();
    file.append(&[&records[..], &records[..]].concat()).unwrap();
    assert!(!file.wants_checkpoint());
    file.append(&records[..1]).unwrap();
    assert!(file.wants_checkpoint());
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_manifest_as_it_was() {
    let (root, path) = scene();
    let entries = written(&path);
    // A directory in the temporary file's place: nothing can be written there.
    fs::create_dir(root.path().join("ab.new")).unwrap();
    assert!(ManifestFile::write(&path, FIRST, &[], &times()).is_err());
    assert_eq!(ManifestFile::load(&path, FIRST).unwrap().unwrap().entries, entries);
}
