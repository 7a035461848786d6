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
    /// An announcement to a URL, by a node that is alone or misses a member; by a node that lost its layout, or holds
    /// images without one, a request to join.
    Announce(NewNode),
    /// A round of a fresh node, to each URL of its join list; to a member, a request to join.
    Fresh(Fresh),
    /// The answer of a fresh node to a round.
    FreshAck(FreshAck),
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

/// A round of a fresh node: see the module `founding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    /// The entry that it is to have in a layout.
    pub(super) about: NewNode,
    /// The hash of its join list with its own URL.
    pub(super) set: [u8; 16],
    /// Counts the rounds of this instance.
    pub(super) round: u64,
    /// Whether it asks for the promise to found with it.
    pub(super) asks: bool,
}

/// The answer of a fresh node to a round of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FreshAck {
    /// The entry that it is to have in a layout.
    pub(super) about: NewNode,
    /// The hash of its join list with its own URL.
    pub(super) set: [u8; 16],
    /// The instance that is answered.
    pub(super) instance: u64,
    /// The round that is answered.
    pub(super) round: u64,
    /// The number of the promise to found with that instance alone; 0: none.
    pub(super) promise: u64,
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
                write_new_node(&mut writer, about);
            }
            Body::Fresh(fresh) => {
                writer.u8(7);
                write_new_node(&mut writer, &fresh.about);
                writer.bytes(&fresh.set);
                writer.u64(fresh.round);
                writer.u8(fresh.asks.into());
            }
            Body::FreshAck(ack) => {
                writer.u8(8);
                write_new_node(&mut writer, &ack.about);
                writer.bytes(&ack.set);
                writer.u64(ack.instance);
                writer.u64(ack.round);
                writer.u64(ack.promise);
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
            1 => Body::Announce(read_new_node(&mut reader)?),
            2 => Body::AnnounceAck,
            4 => Body::Layout(reader.rest().to_vec()),
            5 => Body::DuplicateId(reader.u64()?),
            6 => Body::DuplicateSeen(Peer::read(&mut reader)?),
            7 => Body::Fresh(Fresh {
                about: read_new_node(&mut reader)?,
                set: reader.array()?,
                round: reader.u64()?,
                asks: reader.flag()?,
            }),
            8 => Body::FreshAck(FreshAck {
                about: read_new_node(&mut reader)?,
                set: reader.array()?,
                instance: reader.u64()?,
                round: reader.u64()?,
                promise: reader.u64()?,
            }),
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(Self { cluster, from, state, body })
    }
}

fn write_new_node(writer: &mut WireWriter, about: &NewNode) {
    writer.text(about.name.as_str());
    writer.text(about.url.as_str());
    writer.text(about.zone.as_str());
    writer.u32(about.weight.get());
    writer.u8(about.writable.into());
}

fn read_new_node(reader: &mut WireReader<'_>) -> Result<NewNode, Malformed> {
    Ok(NewNode {
        name: Label::parse(reader.text()?)?,
        url: NodeUrl::parse(reader.text()?)?,
        zone: Label::parse(reader.text()?)?,
        weight: Weight::new(reader.u32()?)?,
        writable: reader.flag()?,
    })
}

fn tagged(writer: &mut WireWriter, tag: u8, bytes: &[u8]) {
    writer.u8(tag);
    writer.bytes(bytes);
}
