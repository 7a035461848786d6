//! What may be answered, asked and deleted. Each rule is a small state machine without time or I/O of its own;
//! the shards and the seeded simulator call the same code.
//!
//! # Why an image that was answered is never called absent
//!
//! *An upload is answered* when enough nodes hold it durably, among them **an owner in every column** of the
//! writer's view and **enough members of every column** by that column's own count, and what was next when one of
//! them took it is a column of the writer's. *AbsenceProof* is proven when every owner in every column
//! says no, or when fewer nodes than hold every image are out of reach.
//!
//! Suppose an image is answered and a later reader goes by a column P. If P was promoted at last, all members had
//! published "in sync with P", each after it had taken over P. A holder that took the copy before it took over P
//! has told P's owners of it, for that is what being in sync means; one that took it afterwards sent the hash of a
//! layout along that has P as next or among what was offered, for it had agreed to P or was yet to; and then the
//! writer did not answer without an owner in P. (That a node may have agreed, gone on to another next, and not heard
//! of the promotion is why what was offered stays a column; that a writer may be further than the holder is why a
//! known layout does not count if its next is no column of the writer's.) If P is not promoted yet, it is the
//! reader's next, and the reader asks the owners in now as well. (This is why one copy on an owner in *now* would
//! not be enough: the column might be promoted while the upload is under way, by members that had nothing to move.)
//!
//! The second proof counts silent nodes among those that the reader knows. A reader that has not heard of the
//! writer's next column shares one of its now columns, and so knows enough of the holders; copies on nodes that
//! are about to join are invisible to it. A node that was removed is silent for ever and no member: it is
//! counted as long as a column counts on it, for then its copies may not have been made anew.

pub mod absence;
pub mod excess;
pub mod misplaced;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::cluster) mod tests_support;
