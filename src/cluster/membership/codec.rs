//! Membership messages in bytes.

use std::borrow::Cow;

use bytes::{Buf, BufMut};
use foca::{Header, Incarnation, Member, Message, State};

use super::super::node::NodeId;
use super::super::wire::{Malformed, WireReader, WireWriter};
use super::peer::Peer;

/// Writes and reads what foca sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerCodec;

/// The message without what it says of nodes that are not known. `None` if nothing is left of it: it is not `from`'s
/// own, or it is to be handed on to or from somebody unknown.
///
/// # Errors
/// [`Malformed`] for bytes that are no message.
pub(super) fn of_known(
    bytes: &[u8],
    from: NodeId,
    is_known: impl Fn(NodeId) -> bool,
) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let mut rest = bytes;
    let header = foca::Codec::decode_header(&mut PeerCodec, &mut rest)?;
    let other = match &header.message {
        Message::PingReq { target: peer, .. }
        | Message::IndirectAck { target: peer, .. }
        | Message::IndirectPing { origin: peer, .. }
        | Message::ForwardedAck { origin: peer, .. } => Some(peer.node),
        Message::Ping(_)
        | Message::Ack(_)
        | Message::Announce
        | Message::Feed
        | Message::Gossip
        | Message::Broadcast
        | Message::TurnUndead => None,
    };
    if header.src.node != from || other.is_some_and(|node| !is_known(node)) {
        return Ok(None);
    }
    // Behind it: nothing, or a count and so many members. Nothing else is ever sent.
    if rest.is_empty() {
        return Ok(Some(Cow::Borrowed(bytes)));
    }
    let head_bytes = bytes.len() - rest.len();
    let (count, mut rest) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
    let (mut known, mut all) = (Vec::new(), true);
    for _ in 0..u16::from_be_bytes(*count) {
        let member = foca::Codec::decode_member(&mut PeerCodec, &mut rest)?;
        if is_known(member.id().node) { known.push(member) } else { all = false }
    }
    if !rest.is_empty() {
        return Err(Malformed);
    }
    if all {
        return Ok(Some(Cow::Borrowed(bytes)));
    }
    let mut left = bytes[..head_bytes].to_vec();
    left.put_u16(u16::try_from(known.len()).map_err(|_| Malformed)?);
    for member in &known {
        foca::Codec::encode_member(&mut PeerCodec, member, &mut left)?;
    }
    Ok(Some(Cow::Owned(left)))
}

impl foca::Codec<Peer> for PeerCodec {
    type Error = Malformed;

    fn encode_header(&mut self, header: &Header<Peer>, buffer: impl BufMut) -> Result<(), Malformed> {
        let mut writer = WireWriter::default();
        header.src.write(&mut writer);
        writer.u16(header.src_incarnation);
        header.dst.write(&mut writer);
        write_message(&mut writer, &header.message);
        put(buffer, &writer.into_bytes())
    }

    fn decode_header(&mut self, buffer: impl Buf) -> Result<Header<Peer>, Malformed> {
        take(buffer, |reader| {
            Ok(Header {
                src: Peer::read(reader)?,
                src_incarnation: reader.u16()?,
                dst: Peer::read(reader)?,
                message: read_message(reader)?,
            })
        })
    }

    fn encode_member(&mut self, member: &Member<Peer>, buffer: impl BufMut) -> Result<(), Malformed> {
        let mut writer = WireWriter::default();
        member.id().write(&mut writer);
        writer.u16(member.incarnation());
        writer.u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        put(buffer, &writer.into_bytes())
    }

    fn decode_member(&mut self, buffer: impl Buf) -> Result<Member<Peer>, Malformed> {
        take(buffer, |reader| {
            let peer = Peer::read(reader)?;
            let incarnation: Incarnation = reader.u16()?;
            let state = match reader.u8()? {
                0 => State::Alive,
                1 => State::Suspect,
                2 => State::Down,
                _ => return Err(Malformed),
            };
            Ok(Member::new(peer, incarnation, state))
        })
    }
}

/// All or nothing: foca goes on without what does not fit.
fn put(mut buffer: impl BufMut, bytes: &[u8]) -> Result<(), Malformed> {
    if buffer.remaining_mut() < bytes.len() {
        return Err(Malformed);
    }
    buffer.put_slice(bytes);
    Ok(())
}

fn take<T>(
    mut buffer: impl Buf,
    read: impl FnOnce(&mut WireReader<'_>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let before = buffer.chunk().len();
    let mut reader = WireReader::new(buffer.chunk());
    let value = read(&mut reader)?;
    let used = before - reader.left();
    buffer.advance(used);
    Ok(value)
}

fn write_message(writer: &mut WireWriter, message: &Message<Peer>) {
    match message {
        Message::Ping(number) => numbered(writer, 0, *number),
        Message::Ack(number) => numbered(writer, 1, *number),
        Message::PingReq { target, probe_number } => relayed(writer, 2, *probe_number, target),
        Message::IndirectPing { origin, probe_number } => relayed(writer, 3, *probe_number, origin),
        Message::IndirectAck { target, probe_number } => relayed(writer, 4, *probe_number, target),
        Message::ForwardedAck { origin, probe_number } => relayed(writer, 5, *probe_number, origin),
        Message::Announce => writer.u8(6),
        Message::Feed => writer.u8(7),
        Message::Gossip => writer.u8(8),
        Message::Broadcast => writer.u8(9),
        Message::TurnUndead => writer.u8(10),
    }
}

fn numbered(writer: &mut WireWriter, kind: u8, number: u8) {
    writer.u8(kind);
    writer.u8(number);
}

fn relayed(writer: &mut WireWriter, kind: u8, number: u8, peer: &Peer) {
    numbered(writer, kind, number);
    peer.write(writer);
}

fn read_message(reader: &mut WireReader<'_>) -> Result<Message<Peer>, Malformed> {
    let kind = reader.u8()?;
    let probe_number = if kind <= 5 { reader.u8()? } else { 0 };
    Ok(match kind {
        0 => Message::Ping(probe_number),
        1 => Message::Ack(probe_number),
        2 => Message::PingReq { target: Peer::read(reader)?, probe_number },
        3 => Message::IndirectPing { origin: Peer::read(reader)?, probe_number },
        4 => Message::IndirectAck { target: Peer::read(reader)?, probe_number },
        5 => Message::ForwardedAck { origin: Peer::read(reader)?, probe_number },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        _ => return Err(Malformed),
    })
}
