//! The disk's troubles, by name and in sentences.

/// The disk's trouble. The node takes no new copies then, and serves what it can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskTrouble {
    /// `store/` is not the one that the node started with.
    StoreMissing,
    /// The disk does not answer.
    Hung,
    /// A write or sync failed a moment ago.
    Suspect,
    /// The file system is read-only.
    ReadOnly,
    /// There is less room than the reserve, and the cache has freed all it can.
    Full,
}

impl DiskTrouble {
    const ALL: [Self; 5] = [Self::StoreMissing, Self::Hung, Self::Suspect, Self::ReadOnly, Self::Full];

    /// Its name, in problems and between nodes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::StoreMissing => "store-missing",
            Self::Hung => "disk-hung",
            Self::Suspect => "disk-suspect",
            Self::ReadOnly => "disk-read-only",
            Self::Full => "disk-full",
        }
    }

    /// The trouble of this name.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.word() == word)
    }

    /// The sentence for a caller.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::StoreMissing => {
                "This node's store is not there, so it cannot tell what it has; ask another node, or try again after Retry-After."
            }
            Self::Hung => {
                "This node's disk does not answer; ask another node, or try again after Retry-After."
            }
            Self::Suspect => {
                "This node's disk failed to write a moment ago, so it takes no new images; upload to another node, or try again after Retry-After."
            }
            Self::ReadOnly => {
                "This node's file system is read-only, so it takes no new images; upload to another node, or have it mounted writable."
            }
            Self::Full => {
                "This node's disk is full, so it takes no new images; upload to another node, or make room."
            }
        }
    }

    /// The log line.
    pub(super) const fn line(self) -> &'static str {
        match self {
            Self::StoreMissing => {
                "store/ is not the one that this node started with: the node takes no copies and asks its peers for images; \
                 mount its disk again, or move the folder back"
            }
            Self::Hung => {
                "the disk does not answer: the node takes no copies; check the disk and the kernel's log"
            }
            Self::Suspect => {
                "the disk failed to write: the node takes no copies until writes succeed for a while; check the disk and the kernel's log"
            }
            Self::ReadOnly => {
                "the file system is read-only: the node takes no copies; check the kernel's log and mount it writable"
            }
            Self::Full => {
                "the disk has less room than node.reserve even without the cache: the node takes no copies; make room or add a node"
            }
        }
    }
}
