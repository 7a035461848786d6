//! The paths below the data directory. Pure.

use std::path::{Path, PathBuf};

use crate::object::{Format, ObjectId};

/// First line of `node.id`: which layout the directory has.
pub(super) const FORMAT_LINE: &str = "reticulum 1";

/// The data directory and the names below it.
#[derive(Clone, Debug)]
pub struct StorePaths {
    root: PathBuf,
}

/// The key of one variant of an image: the digest of its recipe.
pub type VariantKey = [u8; 16];

/// The contents of a cache file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cached {
    /// A made variant, or an image's placeholder.
    Variant(Format),
    /// Decoded planes, from which variants are made.
    Planes,
}

impl Cached {
    const fn extension(self) -> &'static str {
        match self {
            Self::Variant(format) => format.extension(),
            Self::Planes => "samples",
        }
    }
}

impl StorePaths {
    /// The layout below `root`, which should be absolute.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Format and id of the node.
    pub fn identity(&self) -> PathBuf {
        self.root.join("node.id")
    }

    /// The operator key that the node made for itself.
    pub fn operator_key(&self) -> PathBuf {
        self.root.join("operator.key")
    }

    /// Originals.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The marker that tells this node's store from an empty mount point or another node's; not an image.
    pub fn store_marker(&self) -> PathBuf {
        self.root.join("store/.reticulum")
    }

    /// Says that the store has had its marker: without the one, the other must be there at the next start.
    pub fn store_marked(&self) -> PathBuf {
        self.meta().join("store-marked")
    }

    /// A small file that is written and synced now and then, to see whether the disk does that.
    pub fn disk_probe(&self) -> PathBuf {
        self.meta().join("probe")
    }

    /// Made variants; may be deleted at any time.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Uploads on their way; swept at start.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Files that failed their hash.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// The id of the node that its cluster has removed.
    pub fn removed(&self) -> PathBuf {
        self.meta().join("removed")
    }

    /// Stores that were set aside when a removed node came back as a new one; never served.
    pub fn lost_and_found(&self) -> PathBuf {
        self.root.join("lost+found")
    }

    /// Journals and indexes for repair.
    pub fn meta(&self) -> PathBuf {
        self.root.join("meta")
    }

    /// The cluster's layout, as this node last knew it.
    pub fn cluster_layout(&self) -> PathBuf {
        self.meta().join("layout")
    }

    /// The images in the store, by the first byte of the ids.
    pub fn manifests(&self) -> PathBuf {
        self.meta().join("manifests")
    }

    /// `meta/manifests/<aa>`
    pub fn manifest(&self, first: u8) -> PathBuf {
        self.manifests().join(format!("{first:02x}"))
    }

    /// The progress of the scrub.
    pub fn scrub(&self) -> PathBuf {
        self.meta().join("scrub")
    }

    /// `store/<aa>`
    pub fn image_parent(&self, id: &ObjectId) -> PathBuf {
        self.root.join(format!("store/{:02x}", id.digest()[0]))
    }

    /// `store/<aa>/<bb>`
    pub fn image_directory(&self, id: &ObjectId) -> PathBuf {
        self.root.join(format!("store/{}", fan_out(id)))
    }

    /// `store/<aa>/<bb>` of the ids that begin with these two bytes.
    pub fn image_directory_of(&self, [a, b]: [u8; 2]) -> PathBuf {
        self.root.join(format!("store/{a:02x}/{b:02x}"))
    }

    /// `store/<aa>/<bb>/<id>.<ext>`
    pub fn image(&self, id: &ObjectId, format: Format) -> PathBuf {
        self.root.join(format!("store/{}/{id}.{}", fan_out(id), format.extension()))
    }

    /// `cache/<aa>/<bb>` by the first 16 bits of the ids that lie there.
    pub fn cache_directory(&self, start: u16) -> PathBuf {
        let [a, b] = start.to_be_bytes();
        self.root.join(format!("cache/{a:02x}/{b:02x}"))
    }

    /// `cache/<aa>/<bb>/<id>-<key>.<ext>`
    pub fn cached(&self, id: &ObjectId, key: &VariantKey, cached: Cached) -> PathBuf {
        let key = u128::from_be_bytes(*key);
        self.root.join(format!("cache/{}/{id}-{key:032x}.{}", fan_out(id), cached.extension()))
    }

    /// `quarantine/<id>.<ext>.<serial>`: one id may fail more than once.
    pub fn quarantined(&self, id: &ObjectId, format: Format, serial: u64) -> PathBuf {
        self.root.join(format!("quarantine/{id}.{}.{serial}", format.extension()))
    }

    /// A temporary file. A name is never used twice in a process, because a write of a dropped
    /// upload may still land after the drop; and `tmp/` is swept between two processes.
    pub fn temporary(&self, shard: usize, serial: u64) -> PathBuf {
        self.root.join(format!("tmp/{shard}-{serial}"))
    }

    /// A temporary file for a variant that is sent and not kept, by the number of the shard's job. It loses its name at
    /// once.
    pub fn temporary_sent(&self, shard: usize, job: u64) -> PathBuf {
        self.root.join(format!("tmp/{shard}-sent-{job}"))
    }

    /// The one temporary file of a shard's resize worker, which writes and waits for each write itself.
    pub fn temporary_cached(&self, shard: usize) -> PathBuf {
        self.root.join(format!("tmp/{shard}-cached"))
    }
}

/// Reads a file name of the store back, in canonical form; `None` for any other name.
pub fn parse_image_name(name: &str) -> Option<(ObjectId, Format)> {
    let (stem, extension) = name.split_once('.')?;
    let format = Format::ALL.into_iter().find(|format| format.extension() == extension)?;
    let id = ObjectId::parse(stem).ok()?;
    (!stem.bytes().any(|byte| byte.is_ascii_uppercase())).then_some((id, format))
}

/// Reads a file name of the cache back; `None` for any other name.
pub fn parse_cached_name(name: &str) -> Option<(ObjectId, VariantKey, Cached)> {
    let (stem, extension) = name.split_once('.')?;
    let (id, key) = stem.split_once('-')?;
    let mut all = Format::ALL.into_iter().map(Cached::Variant).chain([Cached::Planes]);
    let cached = all.find(|cached| cached.extension() == extension)?;
    if key.len() != 32 || key.starts_with('+') {
        return None;
    }
    let key = u128::from_str_radix(key, 16).ok()?.to_be_bytes();
    Some((ObjectId::parse(id).ok()?, key, cached))
}

fn fan_out(id: &ObjectId) -> String {
    let [a, b, ..] = id.digest();
    format!("{a:02x}/{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_lies_below_its_first_two_byte_pairs() {
        let id = ObjectId::parse("0a1b2c3d4e5f60718293a4b5c6d7e8f901234567").unwrap();
        let path = StorePaths::new(Path::new("/d")).image(&id, Format::Webp);
        assert_eq!(path, Path::new("/d/store/0a/1b/0a1b2c3d4e5f60718293a4b5c6d7e8f901234567.webp"));
    }

    #[test]
    fn an_image_name_reads_back_in_its_canonical_form_only() {
        let id = ObjectId::from_digest([0xab; 20]);
        assert_eq!(parse_image_name(&format!("{id}.png")), Some((id, Format::Png)));
        for name in [format!("{id}.PNG"), format!("{id}.jpeg"), id.to_string(), format!("{id}.png.1")] {
            assert_eq!(parse_image_name(&name), None, "{name}");
        }
        assert_eq!(parse_image_name(&format!("{}.png", id.to_string().to_uppercase())), None);
    }

    #[test]
    fn a_name_of_the_cache_reads_back() {
        let id = ObjectId::from_digest([0xab; 20]);
        for cached in [Cached::Variant(Format::Jpeg), Cached::Variant(Format::Avif), Cached::Planes] {
            let path = StorePaths::new(Path::new("/d")).cached(&id, &[1; 16], cached);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(parse_cached_name(name), Some((id, [1; 16], cached)));
            assert_eq!(parse_cached_name(&format!("{name}.exe")), None);
        }
        assert_eq!(parse_cached_name("tmp-3"), None);
    }
}
