//! The cost of the cache on disk: blocks, inodes and directories, not only the bytes of its files.
//!
//! A variant of 64 bytes takes a block, an inode and a name. Counted by its bytes alone, 10 GiB of such variants are
//! 160 million files in 640 GB.

use crate::object::ObjectId;

/// The least that a file's contents take. Most file systems have blocks of this size; on one with larger blocks the
/// file itself says how much it takes.
pub(super) const BLOCK_BYTES: u64 = 4096;

/// An inode: 256 bytes on ext4, 512 on XFS.
const INODE_BYTES: u64 = 512;

/// A file's inode, and its name in its directory: 80 bytes and a header of 8, in blocks that are two thirds full.
pub(super) const ENTRY_BYTES: u64 = INODE_BYTES + 128;

/// A directory. It has more blocks when it is large, which the names in it pay for.
pub(super) const DIRECTORY_BYTES: u64 = BLOCK_BYTES + INODE_BYTES;

/// Directories of the second level, one for each value of an id's first 16 bits.
const DIRECTORIES: usize = 1 << 16;

/// The cost of a file of `length` bytes, whose blocks take `disk_bytes` as far as the file system says so already:
/// some know it only after a while, and some keep short files in the inode.
pub(super) const fn of_file(length: u64, disk_bytes: u64) -> u64 {
    let least = length.next_multiple_of(BLOCK_BYTES);
    let least = if least == 0 { BLOCK_BYTES } else { least };
    ENTRY_BYTES + if disk_bytes > least { disk_bytes } else { least }
}

/// The number of the directory that what is made of an image lies in.
pub(super) const fn directory_of(id: &ObjectId) -> u16 {
    u16::from_be_bytes([id.digest()[0], id.digest()[1]])
}

/// The directories of one shard that hold files. The memory is 256 KiB, of which only the touched pages are resident.
#[derive(Debug)]
pub(super) struct Directories {
    /// Files in each.
    files: Vec<u32>,
    /// Directories of the second level with files, below each of the first.
    children: Vec<u16>,
    count: u64,
}

impl Directories {
    pub(super) fn new() -> Self {
        Self { files: vec![0; DIRECTORIES], children: vec![0; 256], count: 0 }
    }

    /// Their cost.
    pub(super) const fn bytes(&self) -> u64 {
        self.count * DIRECTORY_BYTES
    }

    pub(super) fn add_file(&mut self, directory: u16) {
        let files = &mut self.files[usize::from(directory)];
        *files += 1;
        if *files == 1 {
            let children = &mut self.children[usize::from(directory >> 8)];
            *children += 1;
            self.count += if *children == 1 { 2 } else { 1 };
        }
    }

    pub(super) fn remove_file(&mut self, directory: u16) {
        let files = &mut self.files[usize::from(directory)];
        assert!(*files > 0, "invariant: variants: a file is removed from a directory that holds one");
        *files -= 1;
        if *files == 0 {
            let children = &mut self.children[usize::from(directory >> 8)];
            assert!(*children > 0, "invariant: variants: a directory with files is counted in its parent");
            *children -= 1;
            let removed = if *children == 0 { 2 } else { 1 };
            assert!(self.count >= removed, "invariant: variants: no more directories go than were counted");
            self.count -= removed;
        }
    }

    pub(super) fn is_empty(&self, directory: u16) -> bool {
        self.files[usize::from(directory)] == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_costs_whole_blocks_and_its_entry() {
        for (length, disk_bytes, blocks) in [
            (0, 0, 4096),
            (1, 0, 4096),
            (4096, 0, 4096),
            (4097, 0, 8192),
            (1, 65536, 65536),
            (9000, 512, 12288),
        ] {
            assert_eq!(of_file(length, disk_bytes), blocks + ENTRY_BYTES, "{length} {disk_bytes}");
        }
    }

    #[test]
    fn a_directory_is_counted_while_it_holds_files_and_its_parent_with_it() {
        let mut directories = Directories::new();
        for (directory, count) in [(0x0102, 2), (0x0102, 2), (0x0103, 3), (0xff00, 5)] {
            directories.add_file(directory);
            assert_eq!(directories.bytes(), count * DIRECTORY_BYTES);
        }
        for (directory, count) in [(0x0102, 5), (0x0102, 4), (0x0103, 2), (0xff00, 0)] {
            directories.remove_file(directory);
            assert_eq!(directories.bytes(), count * DIRECTORY_BYTES);
        }
        assert!(directories.is_empty(0x0102));
    }
}
