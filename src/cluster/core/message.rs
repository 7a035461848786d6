//! Messages between cores. The transport has authenticated the sender before this is decoded; the content is checked
//! all the same, because a forged layout would be forever.

use super::super::layout::{NewNode, StateHash};
use super::super::membership::Peer;
use super::super::node::{Label, NodeUrl, Weight};
use super::super::wire::{Malformed, WireReader, WireWriter};

/// A message with its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) cluster: Label,
    pub(super) from: Peer,
    /// Of the sender's layout; all zeros if it has none.
    pub(super) state: StateHash,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// For membership.
    Swim(Vec<u8>),
    /// An announcement to a URL, by a node that is alone or misses a member; by a node without a layout, a request to
    /// join.
    Announce(NewNode),
    /// The acknowledgement of a member's announcement. A refusal is no message: nothing is sent to the URL that a
    /// stranger names.
    AnnounceAck,
    /// The sender's layout, to be merged.
    Layout(Vec<u8>),
    /// To a process of which another instance, no earlier one, is seen as well: that instance.
    DuplicateSeen(Peer),
    /// To a process with the sender's own id: the instance that the sender has seen. Only a live one knows it.
    DuplicateId(u64),
}

const VERSION: u8 = 1;

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = WireWriter::default();
        writer.u8(VERSION);
        writer.text(self.cluster.as_str());
        self.from.write(&mut writer);
        writer.bytes(&self.state.0);
        match &self.body {
            Body::Swim(bytes) => tagged(&mut writer, 0, bytes),
            Body::Announce(about) => {
                writer.u8(1);
                writer.text(about.name.as_str());
                writer.text(about.url.as_str());
                writer.text(about.zone.as_str());
                writer.u32(about.weight.get());
                writer.u8(about.writable.into());
            }
            Body::AnnounceAck => writer.u8(2),
            Body::Layout(bytes) => tagged(&mut writer, 4, bytes),
            Body::DuplicateSeen(peer) => {
                writer.u8(6);
                peer.write(&mut writer);
            }
            Body::DuplicateId(instance) => tagged(&mut writer, 5, &instance.to_be_bytes()),
        }
        writer.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = WireReader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let cluster = Label::parse(reader.text()?)?;
        let from = Peer::read(&mut reader)?;
        let state = StateHash(reader.array()?);
        let body = match reader.u8()? {
            0 => Body::Swim(reader.rest().to_vec()),
            1 => Body::Announce(NewNode {
                name: Label::parse(reader.text()?)?,
                url: NodeUrl::parse(reader.text()?)?,
                zone: Label::parse(reader.text()?)?,
                weight: Weight::new(reader.u32()?)?,
                writable: reader.flag()?,
            }),
            2 => Body::AnnounceAck,
            4 => Body::Layout(reader.rest().to_vec()),
            5 => Body::DuplicateId(reader.u64()?),
            6 => Body::DuplicateSeen(Peer::read(&mut reader)?),
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(Self { cluster, from, state, body })
    }
}

fn tagged(writer: &mut WireWriter, tag: u8, bytes: &[u8]) {
    writer.u8(tag);
    writer.bytes(bytes);
}
