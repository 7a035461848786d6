use std::fs;
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn run(test: impl Future<Output = ()>) {
    glommio::LocalExecutorBuilder::default().make().unwrap().run(test);
}

fn root() -> (TempDir, StorePaths) {
    let root = tempfile::tempdir().unwrap();
    let paths = StorePaths::new(root.path());
    fs::create_dir(paths.tmp()).unwrap();
    (root, paths)
}

fn open(paths: &StorePaths, bytes_max: u64) -> Variants {
    Variants::new(paths.clone(), bytes_max, |_| true)
}

/// Images that lie in directories of their own.
fn id(number: u32) -> ObjectId {
    let mut digest = [7; 20];
    digest[..4].copy_from_slice(&number.reverse_bits().to_be_bytes());
    ObjectId::from_digest(digest)
}

/// Images that share directory `ab/cd`.
fn neighbour(number: u16) -> ObjectId {
    let mut digest = [7; 20];
    digest[..4].copy_from_slice(&[0xab, 0xcd, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
    ObjectId::from_digest(digest)
}

fn key(number: u16) -> VariantKey {
    let mut key = [0; 16];
    key[..2].copy_from_slice(&number.to_be_bytes());
    key
}

const JPEG: Cached = Cached::Variant(Format::Jpeg);

/// Writes a file as the resize worker does; its cost in blocks.
fn write(paths: &StorePaths, id: &ObjectId, number: u16, cached: Cached, contents: &[u8]) -> u64 {
    proof::write(&paths.temporary_cached(0), &paths.cached(id, &key(number), cached), contents, false)
        .unwrap()
}

async fn keep(variants: &Variants, id: &ObjectId, number: u16, cached: Cached, contents: &[u8]) {
    let disk_bytes = write(&variants.paths, id, number, cached, contents);
    variants.record_use(id, &key(number), cached, contents.len() as u64, disk_bytes).await;
}

/// As `du` sees it: blocks of all files and directories; and how many files there are.
fn usage(path: &Path) -> (u64, usize) {
    let Ok(found) = fs::symlink_metadata(path) else { return (0, 0) };
    let (mut bytes, mut files) = (found.blocks() * 512, usize::from(found.is_file()));
    for entry in fs::read_dir(path).into_iter().flatten() {
        let below = usage(&entry.unwrap().path());
        bytes += below.0;
        files += below.1;
    }
    (bytes, files)
}

#[test]
fn a_flood_of_tiny_variants_stays_within_the_bound_on_the_disk_itself() {
    const BOUND: u64 = 2 << 20;
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, BOUND);
        for number in 0..3_000 {
            keep(&variants, &id(number), 0, JPEG, &[1; 64]).await;
            assert!(variants.bytes() <= BOUND);
        }
        let (bytes, files) = usage(&paths.cache());
        assert!(bytes <= BOUND, "{bytes} bytes of blocks");
        // A bound that leaves nothing would hold, too.
        assert!(bytes > BOUND / 2 && files > 100, "{bytes} {files}");
        assert_eq!((variants.files(), variants.evictions()), (files, 3_000 - files as u64));
        // The most recently used variant is there.
        assert!(variants.open(&id(2_999), &key(0), Format::Jpeg, true).await.unwrap().is_some());
    });
    // A later process has less room, and knows nothing of what is there.
    run(async {
        let (before, _) = usage(&paths.cache());
        let variants = open(&paths, BOUND / 2);
        variants.count_files().await;
        let (bytes, files) = usage(&paths.cache());
        assert!(before > BOUND / 2 && bytes <= BOUND / 2 && files > 50, "{before} {bytes} {files}");
        assert_eq!(variants.files(), files);
        assert!(variants.bytes() >= bytes - BLOCK_BYTES, "{} {bytes}", variants.bytes());
    });
}

#[test]
fn files_are_bounded_where_bytes_would_allow_more_and_so_after_a_restart() {
    // 64 MiB have room for 14,000 files of a block, but for entries of 4,096.
    const BOUND: u64 = 64 << 20;
    let (_root, paths) = root();
    let entries_max = table::entries_max(BOUND);
    for number in 0..5_000 {
        write(&paths, &neighbour(number), 0, JPEG, &[1; 64]);
    }
    run(async {
        let variants = open(&paths, BOUND);
        variants.count_files().await;
        assert_eq!((variants.files(), usage(&paths.cache()).1), (entries_max, entries_max));
        keep(&variants, &neighbour(6_000), 0, JPEG, &[1; 64]).await;
        assert_eq!((variants.files(), usage(&paths.cache()).1), (entries_max, entries_max));
        assert_eq!(variants.evictions(), 5_001 - entries_max as u64);
    });
}

#[test]
fn an_image_keeps_its_most_used_variants_only() {
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, 1 << 30);
        keep(&variants, &neighbour(2), 0, JPEG, &[1; 64]).await;
        for number in 0..300 {
            keep(&variants, &neighbour(1), number, JPEG, &[1; 64]).await;
            assert!(variants.open(&neighbour(1), &key(0), Format::Jpeg, true).await.unwrap().is_some());
        }
        assert_eq!(usage(&paths.cache()).1, VARIANTS_PER_IMAGE_MAX + 1);
        assert!(variants.open(&neighbour(2), &key(0), Format::Jpeg, true).await.unwrap().is_some());
        assert!(variants.open(&neighbour(1), &key(299), Format::Jpeg, true).await.unwrap().is_some());
        assert!(variants.open(&neighbour(1), &key(1), Format::Jpeg, true).await.unwrap().is_none());
    });
    // The check also removes files beyond the bound that an earlier process left.
    for number in 300..400 {
        write(&paths, &neighbour(1), number, JPEG, &[1; 64]);
    }
    run(async {
        let variants = open(&paths, 1 << 30);
        variants.count_files().await;
        assert_eq!((usage(&paths.cache()).1, variants.files()), (257, 257));
    });
}

#[test]
fn planes_take_a_quarter_and_go_first() {
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, 4 << 20);
        for number in 0..8 {
            keep(&variants, &neighbour(number), 0, JPEG, &[1; 64]).await;
            keep(&variants, &neighbour(number), 0, Cached::Planes, &[1; 300_000]).await;
        }
        assert_eq!(variants.files(), 8 + 3);
        let freed = variants.free_room(Room { bytes: 600_000, inodes: 0 }).await;
        assert!(freed.bytes >= 600_000 && freed.inodes == 2, "{freed:?}");
        assert_eq!(variants.files(), 8 + 1);
    });
}

#[test]
fn gives_way_to_the_last_file_when_all_are_counted() {
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, 1 << 30);
        for number in 0..600 {
            keep(&variants, &id(number), 0, JPEG, &[1; 5_000]).await;
        }
        variants.count_files().await;
        let freed = variants.free_room(Room { bytes: 0, inodes: 100 }).await;
        assert!((100..=600).contains(&freed.inodes), "{freed:?}");
        let freed = variants.free_room(Room { bytes: 1 << 20, inodes: 0 }).await;
        assert!((1 << 20..2 << 20).contains(&freed.bytes), "{freed:?}");
        let left = variants.files();
        let freed = variants.free_room(Room { bytes: u64::MAX, inodes: 0 }).await;
        assert!(freed.inodes >= left as u64 && freed.bytes >= left as u64 * 8192, "{freed:?}");
        assert_eq!((variants.bytes(), variants.files()), (0, 0));
        assert!(usage(&paths.cache()).0 <= BLOCK_BYTES, "directories are left");
        assert_eq!(variants.free_room(Room { bytes: 1, inodes: 1 }).await, Room::default());
    });
}

#[test]
fn gives_way_before_anything_was_counted() {
    let (_root, paths) = root();
    for number in 0..700 {
        write(&paths, &id(number), 0, JPEG, &[1; 5_000]);
    }
    let foreign = paths.cache().join("ff/ff/not-ours");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, b"x").unwrap();
    run(async {
        // This one was used since the start, and is known.
        let variants = open(&paths, 1 << 30);
        assert!(variants.open(&id(0), &key(0), Format::Jpeg, true).await.unwrap().is_some());
        let freed = variants.free_room(Room { bytes: 1 << 20, inodes: 0 }).await;
        assert!((1 << 20..4 << 20).contains(&freed.bytes), "{freed:?}");
        assert_eq!(variants.evictions(), 700 + 1 - usage(&paths.cache()).1 as u64);
        // Counted since, and given up to the last.
        variants.count_files().await;
        assert_eq!(variants.files(), usage(&paths.cache()).1 - 1);
        variants.free_room(Room { bytes: u64::MAX, inodes: 0 }).await;
        assert_eq!((variants.files(), usage(&paths.cache()).1), (0, 1));
        assert!(foreign.exists());
    });
}

#[test]
fn only_what_was_removed_for_a_bound_is_an_eviction() {
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, 1 << 20);
        keep(&variants, &id(1), 0, JPEG, &[1; 64]).await;
        keep(&variants, &id(1), 0, JPEG, &[2; 64]).await;
        keep(&variants, &id(2), 0, JPEG, &[1; 64]).await;
        let bytes = variants.bytes();
        assert!(variants.open(&id(3), &key(0), Format::Jpeg, true).await.unwrap().is_none());
        assert_eq!(variants.bytes(), bytes);
        // Somebody empties the cache.
        fs::remove_dir_all(paths.cache()).unwrap();
        assert!(variants.open(&id(1), &key(0), Format::Jpeg, true).await.unwrap().is_none());
        assert_eq!(variants.free_room(Room { bytes: 1, inodes: 0 }).await, Room::default());
        assert_eq!((variants.evictions(), variants.bytes()), (0, 0));
    });
}

#[test]
fn a_damaged_file_is_a_miss_and_still_counted() {
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, 1 << 20);
        keep(&variants, &id(1), 0, JPEG, &[1; 64]).await;
        let bytes = variants.bytes();
        fs::write(paths.cached(&id(1), &key(0), JPEG), [9; 70]).unwrap();
        assert!(variants.open(&id(1), &key(0), Format::Jpeg, true).await.unwrap().is_none());
        assert_eq!((variants.bytes(), variants.files()), (bytes, 1));
    });
}

#[test]
fn a_short_variant_is_opened_where_memory_is_not_to_be_used() {
    let (_root, paths) = root();
    run(async {
        let variants = open(&paths, 1 << 20);
        keep(&variants, &id(1), 0, JPEG, &[1; 64]).await;
        let read = variants.open(&id(1), &key(0), Format::Jpeg, true).await.unwrap();
        assert!(matches!(read, Some(StoredVariant::Bytes(bytes)) if bytes == vec![1; 64]));
        let opened = variants.open(&id(1), &key(0), Format::Jpeg, false).await.unwrap();
        assert!(matches!(opened, Some(StoredVariant::File(_, 64))));
        fs::write(paths.cached(&id(1), &key(0), JPEG), [9; 80]).unwrap();
        assert!(variants.open(&id(1), &key(0), Format::Jpeg, false).await.unwrap().is_none());
    });
}

#[test]
fn a_file_over_what_is_kept_would_not_fit() {
    for bytes_max in [0, 10_000, 200_000, 1 << 20] {
        for cached in [JPEG, Cached::Planes] {
            let length = contents_max(bytes_max, cached);
            let cost = cost::of_file(length + TRAILER_BYTES, 0) + 3 * DIRECTORY_BYTES;
            assert!(length == 0 || cost <= bytes_max, "{bytes_max} {cached:?}");
        }
    }
    assert!(contents_max(200_000, JPEG) > 170_000);
}
