//! Changing a layout: each edit writes one or a few registers of `staged` with a stamp later than all it has seen.

use super::super::node::{Label, NodeId, NodeUrl, Weight};
use super::register::{LAMPORT_MAX, Rank, Register, Stamp};
use super::version::{MemberEntry, REPLICATION_MAX};
use super::{Layout, NodeRecord, Published, Role, Taken};

/// A node's own entry when it founds or joins a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Its name for people; one per cluster.
    pub name: Label,
    /// The URL by which others reach it; one per cluster.
    pub url: NodeUrl,
    /// The node's zone: copies go to different zones first.
    pub zone: Label,
    /// Its share.
    pub weight: Weight,
    /// Whether it takes new copies.
    pub writable: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A new member in role joining.
    Join(NodeId, NewNode),
    /// Another role for a member.
    Role(NodeId, Role),
    /// Another share.
    Weight(NodeId, Weight),
    /// Another zone.
    Zone(NodeId, Label),
    /// Whether it takes new copies; moves nothing.
    Writable(NodeId, bool),
    /// Another name.
    Name(NodeId, Label),
    /// Another URL.
    Url(NodeId, NodeUrl),
    /// Another store than the one before, which is lost; the node itself says so.
    Store(NodeId, u64),
    /// Copies wanted of each image.
    Replication(u8),
    /// Copies before an upload is answered.
    MinReplication(u8),
}

/// Why an edit was refused. Nothing was changed; the same edit will be refused again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// No member has this id.
    Unknown,
    /// That id was removed, and never comes back.
    Removed,
    /// Another member has this name or URL.
    Taken(Taken),
    /// Not 1 to 16 copies, or more before an answer than wanted.
    Copies,
    /// No room for another node.
    Full,
    /// The logical clock is at its end: only forged stamps reach it.
    Clock,
}

impl Layout {
    /// Makes one change in the name of `writer`. Says whether anything changed: writing what is there already
    /// writes nothing.
    ///
    /// # Errors
    /// [`EditError`], and then nothing was changed.
    pub fn edit(&mut self, writer: NodeId, edit: &Edit) -> Result<bool, EditError> {
        let stamp = self.next_stamp(writer)?;
        match edit {
            Edit::Join(node, about) => self.add(*node, about, stamp),
            Edit::Role(node, role) => {
                let refused = (*role == Role::Active).then(|| self.refused_claims().remove(node)).flatten();
                refused.map_or(Ok(()), |taken| Err(EditError::Taken(taken)))?;
                Ok(write(&mut self.entry(*node)?.role, role, stamp))
            }
            Edit::Weight(node, weight) => Ok(write(&mut self.entry(*node)?.weight, weight, stamp)),
            Edit::Zone(node, zone) => Ok(write(&mut self.entry(*node)?.zone, zone, stamp)),
            Edit::Store(node, store) => Ok(write(&mut self.entry(*node)?.store, store, stamp)),
            Edit::Writable(node, flag) => Ok(write(&mut self.known(*node)?.writable, flag, stamp)),
            Edit::Name(node, name) => {
                let holder = self.holder_of_name(*node, name);
                holder.map_or(Ok(()), |holder| Err(EditError::Taken(Taken::Name(holder))))?;
                Ok(write(&mut self.known(*node)?.name, name, stamp))
            }
            Edit::Url(node, url) => {
                let holder = self.holder_of_url(*node, url);
                holder.map_or(Ok(()), |holder| Err(EditError::Taken(Taken::Url(holder))))?;
                Ok(write(&mut self.known(*node)?.url, url, stamp))
            }
            Edit::Replication(copies) => {
                check_copies(*copies, *self.staged.min_replication.value())?;
                Ok(write(&mut self.staged.replication, copies, stamp))
            }
            Edit::MinReplication(copies) => {
                check_copies(*self.staged.replication.value(), *copies)?;
                Ok(write(&mut self.staged.min_replication, copies, stamp))
            }
        }
    }

    /// Says something of the writer itself. Says whether that was new.
    ///
    /// # Errors
    /// [`EditError`], and then nothing was changed.
    pub fn publish(&mut self, writer: NodeId, published: Published) -> Result<bool, EditError> {
        let stamp = self.next_stamp(writer)?;
        let known = self.nodes.get_mut(&writer).ok_or(EditError::Unknown)?;
        Ok(write(&mut known.published, &published, stamp))
    }

    /// Later than everything in this layout.
    fn next_stamp(&self, writer: NodeId) -> Result<Stamp, EditError> {
        match self.clock() {
            lamport if lamport < LAMPORT_MAX => Ok(Stamp { lamport: lamport + 1, writer }),
            _ => Err(EditError::Clock),
        }
    }

    fn add(&mut self, node: NodeId, about: &NewNode, stamp: Stamp) -> Result<bool, EditError> {
        match self.staged.role(node) {
            Some(Role::Removed) => return Err(EditError::Removed),
            Some(_) => return Ok(false),
            None if self.nodes.len() >= Self::NODES_MAX => return Err(EditError::Full),
            None => {}
        }
        if let Some(taken) = self.taken(node, &about.name, &about.url) {
            return Err(EditError::Taken(taken));
        }
        let entry = MemberEntry {
            role: Register::new(Role::Joining, stamp),
            weight: Register::new(about.weight, stamp),
            zone: Register::new(about.zone.clone(), stamp),
            store: Register::new(0, stamp),
        };
        let known = NodeRecord {
            name: Register::new(about.name.clone(), stamp),
            url: Register::new(about.url.clone(), stamp),
            writable: Register::new(about.writable, stamp),
            published: Register::new(Published::default(), stamp),
        };
        self.staged.members.insert(node, entry);
        self.nodes.insert(node, known);
        assert!(self.nodes.len() <= Self::NODES_MAX, "invariant: layout: no more nodes than there may be");
        Ok(true)
    }

    fn entry(&mut self, node: NodeId) -> Result<&mut MemberEntry, EditError> {
        let entry = self.staged.members.get_mut(&node).ok_or(EditError::Unknown)?;
        if *entry.role.value() == Role::Removed { Err(EditError::Removed) } else { Ok(entry) }
    }

    fn known(&mut self, node: NodeId) -> Result<&mut NodeRecord, EditError> {
        self.entry(node)?;
        self.nodes.get_mut(&node).ok_or(EditError::Unknown)
    }
}

fn check_copies(replication: u8, min_replication: u8) -> Result<(), EditError> {
    let valid = (1..=REPLICATION_MAX).contains(&replication) && (1..=replication).contains(&min_replication);
    if valid { Ok(()) } else { Err(EditError::Copies) }
}

fn write<T: Rank + Ord + Clone>(register: &mut Register<T>, value: &T, stamp: Stamp) -> bool {
    if register.value() == value {
        return false;
    }
    let is_written = register.join(&Register::new(value.clone(), stamp));
    assert!(is_written, "invariant: layout: an edit is later than all that its writer has seen");
    is_written
}
