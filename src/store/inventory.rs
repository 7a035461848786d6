//! The inventory: the number of images that a shard stores, and of their bytes.
//!
//! Counted once, in the background after the start, directory by directory; kept up to date from then
//! on. A directory is counted while none of the ids around it changes, so that no image is counted
//! twice or not at all.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::path::{StorePaths, parse_image_name};
use crate::executor::run_blocking;
use crate::object::ObjectId;

/// Directories of images, one for each value of an id's first 16 bits.
const DIRECTORIES: u32 = 1 << 16;

/// Directories below one of the first level: one step stays within one of these.
const SIBLINGS: u32 = 1 << 8;

const _: () =
    assert!(DIRECTORIES.is_multiple_of(SIBLINGS), "invariant: inventory: every directory has a whole parent");

/// The count rests so many times as long as it worked, for requests come first.
const REST: u32 = 3;

/// After so long a step ends at the next directory. Shorter steps would be spent on handing them over,
/// longer ones would keep others from the blocking thread.
const STEP: Duration = Duration::from_millis(1);

/// Pause while an image around the next directory is being stored or removed.
const PAUSE: Duration = Duration::from_millis(5);

/// A shard's count of its images.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    images: Cell<u64>,
    bytes: Cell<u64>,
    /// Directories below this one are counted.
    counted: Cell<u32>,
    /// The directories in which something is changing now; a few at most.
    changing: RefCell<Vec<u32>>,
    /// Something began to change near the directory that is being counted.
    disturbed: Cell<bool>,
}

/// One image that is being stored or removed.
#[derive(Debug)]
pub(super) struct InventoryChange<'a> {
    inventory: &'a Inventory,
    directory: u32,
}

/// The count of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CountStep {
    /// All directories below this one have been counted.
    next: u32,
    images: u64,
    bytes: u64,
    /// Directories that cannot be read.
    unread: u32,
}

impl Inventory {
    /// Images and their bytes, as far as they are counted.
    pub(super) fn total(&self) -> (u64, u64) {
        (self.images.get(), self.bytes.get())
    }

    /// To be held while the file of `id` appears or goes.
    pub(super) fn start_change(&self, id: &ObjectId) -> InventoryChange<'_> {
        let directory = directory_of(id);
        self.changing.borrow_mut().push(directory);
        if self.is_near(directory) {
            self.disturbed.set(true);
        }
        InventoryChange { inventory: self, directory }
    }

    /// Counts what is there; `is_mine` says which ids, by their first 16 bits, are the shard's. How many
    /// directories could not be read and are left out.
    pub(super) async fn count_all(
        &self,
        paths: &StorePaths,
        is_mine: impl Fn(u16) -> bool + Copy + Send + 'static,
    ) -> u32 {
        let mut unread = 0;
        while self.counted.get() < DIRECTORIES {
            if self.is_change_near() {
                glommio::timer::sleep(PAUSE).await;
                continue;
            }
            self.disturbed.set(false);
            let (began, paths, from) = (Instant::now(), paths.clone(), self.counted.get());
            let enough = move || began.elapsed() >= STEP;
            let count = move || count_directories(&paths, from, is_mine, enough);
            let step = run_blocking("count images", count).await;
            let step = step.unwrap_or(CountStep { next: from + 1, unread: 1, ..CountStep::default() });
            if !self.disturbed.get() {
                unread += step.unread;
                self.add_step(step);
            }
            glommio::timer::sleep(began.elapsed() * REST).await;
        }
        unread
    }

    fn add_step(&self, step: CountStep) {
        assert!(
            step.next > self.counted.get() && step.next <= DIRECTORIES,
            "invariant: inventory: each step counts on from the last, to the end of the store"
        );
        self.images.set(self.images.get() + step.images);
        self.bytes.set(self.bytes.get() + step.bytes);
        self.counted.set(step.next);
    }

    fn is_change_near(&self) -> bool {
        self.changing.borrow().iter().any(|directory| self.is_near(*directory))
    }

    /// Whether the next step may look into this directory.
    fn is_near(&self, directory: u32) -> bool {
        let next = self.counted.get();
        directory >= next && directory / SIBLINGS == next / SIBLINGS
    }
}

impl InventoryChange<'_> {
    /// The image is there now.
    pub(super) fn record_added(self, bytes: u64) {
        self.record(|images| images + 1, |before| before + bytes);
    }

    /// The image is there no more.
    pub(super) fn record_removed(self, bytes: u64) {
        self.record(|images| images.saturating_sub(1), |before| before.saturating_sub(bytes));
    }

    /// The image has other bytes on disk than before.
    pub(super) fn record_replaced(self, before: u64, after: u64) {
        self.record(|images| images, |bytes| bytes.saturating_sub(before) + after);
    }

    /// A directory that is not counted yet will be counted as it is then.
    fn record(&self, images: impl Fn(u64) -> u64, bytes: impl Fn(u64) -> u64) {
        if self.directory < self.inventory.counted.get() {
            self.inventory.images.set(images(self.inventory.images.get()));
            self.inventory.bytes.set(bytes(self.inventory.bytes.get()));
        }
    }
}

impl Drop for InventoryChange<'_> {
    fn drop(&mut self) {
        let mut changing = self.inventory.changing.borrow_mut();
        let place = changing.iter().position(|directory| *directory == self.directory);
        assert!(place.is_some(), "invariant: inventory: a change that ends has begun");
        if let Some(place) = place {
            changing.swap_remove(place);
        }
    }
}

/// Counts directories from number `from` on until it is `enough`, within those of one first level.
fn count_directories(
    paths: &StorePaths,
    from: u32,
    is_mine: impl Fn(u16) -> bool,
    enough: impl Fn() -> bool,
) -> CountStep {
    let end = (from / SIBLINGS + 1) * SIBLINGS;
    let mut step = CountStep { next: end, ..CountStep::default() };
    let parent = paths.store().join(format!("{:02x}", from / SIBLINGS));
    if !parent.is_dir() {
        return step;
    }
    for number in (from..end).filter(|number| u16::try_from(*number).is_ok_and(&is_mine)) {
        match fs::read_dir(parent.join(format!("{:02x}", number % SIBLINGS))) {
            Ok(entries) => entries.flatten().for_each(|entry| step.add_entry(&entry, number)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(_) => step.unread += 1,
        }
        if enough() {
            step.next = number + 1;
            break;
        }
    }
    step
}

impl CountStep {
    /// Counts what belongs into directory `number`; other names are passed over.
    fn add_entry(&mut self, entry: &fs::DirEntry, number: u32) {
        let name = entry.file_name();
        let Some((id, _)) = name.to_str().and_then(parse_image_name) else { return };
        match entry.metadata() {
            Ok(found) if found.is_file() && directory_of(&id) == number => {
                self.images += 1;
                self.bytes += found.len();
            }
            _ => {}
        }
    }
}

/// The number of the directory that an image lies in.
fn directory_of(id: &ObjectId) -> u32 {
    u32::from(u16::from_be_bytes([id.digest()[0], id.digest()[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Format;

    fn id(start: [u8; 3]) -> ObjectId {
        let mut digest = [0; 20];
        digest[..3].copy_from_slice(&start);
        ObjectId::from_digest(digest)
    }

    fn store(starts: &[[u8; 3]]) -> (tempfile::TempDir, StorePaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        for start in starts {
            fs::create_dir_all(paths.image_directory(&id(*start))).unwrap();
            fs::write(paths.image(&id(*start), Format::Png), [0; 10]).unwrap();
        }
        (root, paths)
    }

    /// Counts to the end, with `between` before every step.
    fn counted(paths: &StorePaths, inventory: &Inventory, mut between: impl FnMut(u32)) -> (u64, u64) {
        while inventory.counted.get() < DIRECTORIES {
            between(inventory.counted.get());
            inventory.add_step(count_directories(paths, inventory.counted.get(), |_| true, || true));
        }
        inventory.total()
    }

    #[test]
    fn every_image_in_its_place_is_counted_once_by_its_owner() {
        let starts = [[0, 0, 1], [0, 0, 2], [0, 255, 0], [1, 0, 0], [9, 9, 9], [255, 255, 255]];
        let (root, paths) = store(&starts);
        fs::write(root.path().join(format!("store/01/00/{}.png", id([2, 2, 2]))), [0; 10]).unwrap();
        fs::write(root.path().join("store/01/00/note.txt"), [0; 10]).unwrap();
        fs::create_dir(paths.image(&id([1, 0, 5]), Format::Gif)).unwrap();
        assert_eq!(counted(&paths, &Inventory::default(), |_| {}), (6, 60));
        let take = async move {
            let (even, odd) = (Inventory::default(), Inventory::default());
            assert_eq!(even.count_all(&paths, |start| start % 2 == 0).await, 0);
            assert_eq!(odd.count_all(&paths, |start| start % 2 == 1).await, 0);
            [even.total(), odd.total()]
        };
        let executor = glommio::LocalExecutorBuilder::default().make().unwrap();
        assert_eq!(executor.run(take), [(3, 30), (3, 30)]);
        let (_root, empty) = store(&[]);
        assert_eq!(counted(&empty, &Inventory::default(), |_| {}), (0, 0));
    }

    #[test]
    fn what_changes_while_it_is_counted_is_counted_once() {
        let (_root, paths) = store(&[[5, 5, 1], [5, 9, 1], [7, 0, 0]]);
        let inventory = Inventory::default();
        let mut done = false;
        let total = counted(&paths, &inventory, |next| {
            if next > 0x0505 && !done {
                done = true;
                for (start, near) in [([5, 5, 2], false), ([5, 7, 1], true), ([8, 0, 0], false)] {
                    inventory.disturbed.set(false);
                    let change = inventory.start_change(&id(start));
                    assert_eq!(
                        [inventory.disturbed.get(), inventory.is_change_near()],
                        [near; 2],
                        "{start:?}"
                    );
                    fs::create_dir_all(paths.image_directory(&id(start))).unwrap();
                    fs::write(paths.image(&id(start), Format::Png), [0; 10]).unwrap();
                    change.record_added(10);
                }
                for start in [[5, 5, 1], [7, 0, 0]] {
                    let change = inventory.start_change(&id(start));
                    fs::remove_file(paths.image(&id(start), Format::Png)).unwrap();
                    change.record_removed(10);
                }
            }
        });
        assert_eq!(total, (4, 40));
        assert!(done && inventory.changing.borrow().is_empty());
    }
}
