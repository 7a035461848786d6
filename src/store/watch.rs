//! The looks at the disk: one thread per node, which blocks and may be held up by the disk for as long as that likes.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::StatVfs;

use super::StoreError;
use super::health::{Health, Round};
use super::marker::{self, MarkerState};
use super::variants::Room;

/// Between two looks, while all is well.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same while something is wrong, and while the cache gives way.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_AT_ROUND: Duration = Duration::from_millis(50);

/// Between two writes, while all is well: a disk at rest should rest.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// The same while there is doubt: however many tell of it.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// The time that shards have to free room before the check goes on without their answers.
const ROUND_MAX: Duration = Duration::from_secs(3);

/// At most one part in so many of the disk is kept in reserve.
const RESERVE_PART: u64 = 20;

/// Inodes that are kept in reserve at most: of a thousand uploads, which take up to three each, with all that is spooled.
const INODES_MAX: u64 = 4096;

/// Bytes that a probe writes over those that are there, and those that need new room.
const PROBE_BYTES: usize = 512;
const FRESH_BYTES: usize = 64 << 10;

/// The state of the watching thread.
struct DiskWatcher {
    health: Arc<Health>,
    shards: usize,
    written: Option<Instant>,
    round_began: Instant,
}

/// The free space of the disk, and the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FreeSpace {
    free: u64,
    reserve: u64,
    /// The same of inodes, where their number is limited.
    inodes: Option<(u64, u64)>,
}

impl Health {
    /// Looks once, and then again and again on a thread of its own, until the process ends. `shards` answer when the
    /// cache is to give way.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn watch(self: &Arc<Self>, shards: usize) -> io::Result<()> {
        let now = Instant::now();
        let mut looker = DiskWatcher { health: Arc::clone(self), shards, written: None, round_began: now };
        let run = move || {
            loop {
                let pause = looker.look();
                looker.health.log_changes();
                thread::park_timeout(pause);
            }
        };
        let thread = thread::Builder::new().name("disk".to_owned()).spawn(run)?;
        self.set_looker(thread.thread().clone());
        Ok(())
    }
}

impl DiskWatcher {
    /// Looks at everything; how long to wait for the next look.
    fn look(&mut self) -> Duration {
        self.health.look_begins();
        self.look_at_marker();
        let every = if self.health.is_doubtful() { WRITE_AGAIN } else { WRITE_EVERY };
        if self.written.is_none_or(|at| at.elapsed() >= every) {
            self.write();
        }
        self.look_at_room();
        self.health.look_ends();
        if !self.health.is_full() && self.health.round(self.shards) == Round::UnderWay {
            LOOK_AT_ROUND
        } else if self.health.trouble().is_some() || self.health.is_doubtful() {
            LOOK_AGAIN
        } else {
            LOOK_EVERY
        }
    }

    fn look_at_marker(&self) {
        match marker::look(&self.health.paths, self.health.node) {
            Ok(MarkerState::Own(place)) => self.health.set_found(place),
            Ok(MarkerState::Foreign | MarkerState::Nothing) => self.health.set_missing(),
            // Without descriptors, say: whether it is there is not known.
            Err(error) if is_of_the_process(&error) => {}
            Err(_) => self.health.set_missing(),
        }
    }

    /// Writes and syncs a few bytes; after a complaint that the disk is full, bytes that need room.
    fn write(&mut self) {
        self.written = Some(Instant::now());
        let (file, is_denied) = (self.health.paths.disk_probe(), self.health.is_room_denied());
        let (fresh, length) = if is_denied { (true, FRESH_BYTES) } else { (false, PROBE_BYTES) };
        let written = File::options()
            .create(true)
            .truncate(fresh)
            .write(true)
            .open(file)
            .and_then(|mut file| file.write_all(&vec![0x5a; length]).map(|()| file));
        let written = match written {
            Ok(file) => file.sync_data().map_err(|error| StoreError::unsynced("sync the probe", error)),
            // There is no place for it where the whole data directory is gone, which the marker tells.
            Err(error) if marker::is_nothing(&error) || is_of_the_process(&error) => return,
            Err(error) => Err(StoreError::unsynced("write the probe", error)),
        };
        match written {
            Ok(()) => self.health.record_good_write(),
            Err(error) => {
                self.health.set_denied(matches!(error, StoreError::Full));
                // Not noted: that would have the next look begin at once.
                self.health.remember(&error);
            }
        }
    }

    fn look_at_room(&mut self) {
        // An unknown amount is no reason to refuse anything; the test write tells more.
        let Ok(found) = rustix::fs::statvfs(self.health.paths.root()) else { return };
        let stock = FreeSpace::new(&found, self.health.reserve_bytes);
        self.health.set_room(stock.free, stock.room());
        let round = self.health.round(self.shards);
        let wanted = self.health.room_wanted();
        // Once it is short it is to get somewhat more than it needs, so that this does not begin again at once.
        let is_short = round != Round::None || self.health.is_full();
        let short = stock.short_of(wanted, is_short);
        match round {
            _ if short == Room::default() => {
                self.health.forget_wanted_room();
                self.health.set_full(false);
                if round != Round::None {
                    self.health.press(Room::default());
                }
            }
            Round::UnderWay if self.round_began.elapsed() < ROUND_MAX => {}
            Round::None => self.begin_round(stock.short_of(wanted, true)),
            Round::Over(true) => self.begin_round(short),
            // Nothing more is to be had of the cache. As long as the disk is full it is asked again and again, for
            // what it was given meanwhile.
            Round::Over(false) | Round::UnderWay => {
                self.health.forget_wanted_room();
                self.health.set_full(stock.room() < 0);
                if stock.room() < 0 { self.begin_round(short) } else { self.health.press(Room::default()) }
            }
        }
    }

    fn begin_round(&mut self, wanted: Room) {
        self.round_began = Instant::now();
        self.health.press(wanted);
    }
}

impl FreeSpace {
    fn new(found: &StatVfs, reserve_bytes: u64) -> Self {
        let block = found.f_frsize.max(1);
        let total = found.f_blocks.saturating_mul(block);
        // Where a file system has no number of inodes, it has as many as fit.
        let inodes =
            (found.f_files > 0).then(|| (found.f_favail, INODES_MAX.min(found.f_files / RESERVE_PART)));
        Self {
            free: found.f_bavail.saturating_mul(block),
            reserve: reserve_bytes.min(total / RESERVE_PART),
            inodes,
        }
    }

    /// Bytes above the reserve; negative where that is touched.
    fn room(&self) -> i64 {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let bytes = signed(self.free) - signed(self.reserve);
        match self.inodes {
            Some((free, reserve)) if free < reserve => bytes.min(-1),
            _ => bytes,
        }
    }

    /// The room to free for `wanted` bytes to fit above the reserve, and with `spare` for an eighth of it more.
    fn short_of(&self, wanted: u64, spare: bool) -> Room {
        let spare_of = |reserve: u64| if spare { reserve / 8 } else { 0 };
        let target = self.reserve.saturating_add(spare_of(self.reserve)).saturating_add(wanted);
        let inodes = |(free, reserve): (u64, u64)| (reserve + spare_of(reserve)).saturating_sub(free);
        Room { bytes: target.saturating_sub(self.free), inodes: self.inodes.map_or(0, inodes) }
    }
}

fn is_of_the_process(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::health::DiskTrouble;
    use super::super::marker::MarkerInode;
    use super::super::path::StorePaths;
    use super::*;

    const NODE: [u8; 16] = [7; 16];

    fn scene() -> (tempfile::TempDir, DiskWatcher) {
        let root = tempfile::tempdir().unwrap();
        let paths = StorePaths::new(root.path());
        for directory in [paths.store(), paths.meta()] {
            fs::create_dir(directory).unwrap();
        }
        marker::write(&paths, NODE).unwrap();
        let MarkerState::Own(place) = marker::look(&paths, NODE).unwrap() else { panic!("it was written") };
        (root, looker(paths, place))
    }

    fn looker(paths: StorePaths, place: MarkerInode) -> DiskWatcher {
        let health = Arc::new(Health::new(paths, NODE, place, 0, Arc::default()));
        DiskWatcher { health, shards: 1, written: None, round_began: Instant::now() }
    }

    #[test]
    fn a_store_that_is_away_is_missing_until_it_is_back_and_the_look_is_counted() {
        let (root, mut looker) = scene();
        looker.look();
        assert_eq!((looker.health.trouble(), looker.health.returns()), (None, 0));
        let (store, away) = (root.path().join("store"), root.path().join("away"));
        fs::rename(&store, &away).unwrap();
        looker.look();
        assert_eq!(looker.health.trouble(), Some(DiskTrouble::StoreMissing));
        // An empty folder in its place is none, nor is another node's.
        fs::create_dir(&store).unwrap();
        looker.look();
        assert!(looker.health.is_missing());
        marker::write(&looker.health.paths, [8; 16]).unwrap();
        looker.look();
        assert!(looker.health.is_missing());
        fs::remove_dir_all(&store).unwrap();
        fs::rename(&away, &store).unwrap();
        looker.look();
        assert_eq!((looker.health.trouble(), looker.health.returns()), (None, 1));
    }

    #[test]
    fn a_store_that_is_swapped_for_a_copy_of_itself_is_the_same_but_was_away() {
        let (root, mut looker) = scene();
        looker.look();
        fs::rename(root.path().join("store"), root.path().join("away")).unwrap();
        fs::create_dir(root.path().join("store")).unwrap();
        fs::copy(root.path().join("away/.reticulum"), root.path().join("store/.reticulum")).unwrap();
        looker.look();
        assert_eq!((looker.health.trouble(), looker.health.returns()), (None, 1));
    }

    #[test]
    fn a_failed_sync_is_suspect_until_the_disk_has_written_well_for_a_while() {
        let (_root, mut looker) = scene();
        looker.look();
        looker.health.note(&StoreError::unsynced("sync", io::Error::from_raw_os_error(5)));
        assert_eq!(looker.health.trouble(), Some(DiskTrouble::Suspect));
        let looks = (0..100).take_while(|_| {
            looker.written = None;
            looker.look();
            looker.health.trouble().is_some()
        });
        assert_eq!(looks.count(), 9);
    }

    #[test]
    fn a_read_only_disk_is_well_after_a_good_write() {
        let (_root, mut looker) = scene();
        looker.health.note(&StoreError::ReadOnly);
        assert_eq!(looker.health.trouble(), Some(DiskTrouble::ReadOnly));
        looker.look();
        assert_eq!(looker.health.trouble(), None);
    }

    #[test]
    fn an_operation_that_is_late_makes_the_next_look_tell_sooner() {
        let (_root, mut looker) = scene();
        looker.health.note(&StoreError::Late("write"));
        looker.health.look_begins_at(0);
        assert_eq!(looker.health.trouble_at(1_000), None);
        assert_eq!(looker.health.trouble_at(3_000), Some(DiskTrouble::Hung));
        looker.look();
        looker.health.look_begins_at(0);
        assert_eq!(looker.health.trouble_at(3_000), None, "it wrote well since");
    }

    #[test]
    fn a_look_that_does_not_end_is_a_hung_disk() {
        let (_root, looker) = scene();
        looker.health.look_begins_at(0);
        assert_eq!(looker.health.trouble_at(14_000), None);
        assert_eq!(looker.health.trouble_at(16_000), Some(DiskTrouble::Hung));
        looker.health.look_ends();
        assert_eq!(looker.health.trouble_at(16_000), None);
    }

    #[test]
    fn room_is_what_is_above_the_reserve_in_bytes_and_inodes() {
        let room = |bytes, inodes| Room { bytes, inodes };
        let stock = FreeSpace { free: 1_000, reserve: 100, inodes: Some((50, 10)) };
        assert_eq!(
            (stock.room(), stock.short_of(900, false), stock.short_of(900, true)),
            (900, room(0, 0), room(12, 0))
        );
        let stock = FreeSpace { free: 90, ..stock };
        assert_eq!(
            (stock.room(), stock.short_of(0, false), stock.short_of(5, true)),
            (-10, room(10, 0), room(27, 0))
        );
        let stock = FreeSpace { free: 1_000, inodes: Some((8, 10)), ..stock };
        assert_eq!(
            (stock.room(), stock.short_of(0, false), stock.short_of(0, true)),
            (-1, room(0, 2), room(0, 3))
        );
        assert_eq!(FreeSpace { inodes: None, ..stock }.room(), 900);
    }

    #[test]
    fn the_cache_gives_way_before_the_disk_counts_as_full() {
        let (_root, mut looker) = scene();
        // More than there is, so that it is short whatever the disk of this machine.
        looker.health.want_room(u64::MAX / 4);
        looker.look();
        let (round, wanted) = looker.health.pressure().expect("the cache is asked");
        assert!(wanted.bytes > 0 && !looker.health.cache_may_grow());
        looker.health.gave_way(round, Room { bytes: 5, inodes: 1 });
        looker.look();
        let (next, _) = looker.health.pressure().expect("it is asked again as long as it gives");
        assert_ne!(round, next);
        looker.health.gave_way(round, Room { bytes: 5, inodes: 1 });
        assert_eq!(looker.health.round(1), Round::UnderWay, "an answer to another round");
        looker.health.gave_way(next, Room::default());
        looker.look();
        // It has nothing left; but the reserve is not touched.
        assert_eq!((looker.health.pressure(), looker.health.trouble()), (None, None));
        assert!(looker.health.cache_may_grow());
    }
}
