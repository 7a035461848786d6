//! A running node as the others know it: its id, its URL, its process instance and its incarnation.

use super::super::node::{NodeId, NodeUrl};
use super::super::wire::{Malformed, WireReader, WireWriter};

/// One instance of a node, as membership knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Of which node.
    pub node: NodeId,
    /// Counts the starts of the process; kept durably, raised before anything is sent.
    pub generation: u64,
    /// SWIM's incarnation: counts how often this instance refuted that it was down.
    pub incarnation: u32,
    /// Random for each start: two processes with one id differ in it.
    pub instance: u64,
    /// Its URL.
    pub url: NodeUrl,
}

impl Peer {
    /// Whether this instance or incarnation is later than another of the same node.
    pub(in crate::cluster) fn is_later_than(&self, other: &Self) -> bool {
        let age = |peer: &Self| (peer.generation, peer.incarnation, peer.instance);
        age(self) > age(other)
    }

    pub(in crate::cluster) fn write(&self, writer: &mut WireWriter) {
        writer.bytes(self.node.bytes());
        writer.u64(self.generation);
        writer.u32(self.incarnation);
        writer.u64(self.instance);
        writer.text(self.url.as_str());
    }

    pub(in crate::cluster) fn read(reader: &mut WireReader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            node: NodeId::from_bytes(reader.array()?),
            generation: reader.u64()?,
            incarnation: reader.u32()?,
            instance: reader.u64()?,
            url: NodeUrl::parse(reader.text()?)?,
        })
    }
}

impl Peer {
    /// This instance as it is later than another of the same node. The generation stays comparable: a copied data
    /// directory counts its own starts. `None`: it is later already, or no number is left.
    pub(super) fn outbidding(&self, other: &Self) -> Option<Self> {
        if self.node != other.node || !other.is_later_than(self) {
            return None;
        }
        let incarnation = other.incarnation.checked_add(1)?;
        Some(Self { generation: other.generation, incarnation, ..self.clone() })
    }
}

impl foca::Identity for Peer {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        Some(Self { incarnation: self.incarnation.checked_add(1)?, ..self.clone() })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.is_later_than(adversary)
    }
}
