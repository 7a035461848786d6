//! The layout in bytes. A decoded layout obeys every bound and invariant that the rest of the module relies on.

use std::collections::BTreeMap;

use super::super::node::{Label, NodeId, NodeUrl, Weight};
use super::super::wire::{Malformed, WireReader, WireWriter};
use super::hash::{SyncHash, digest};
use super::register::{LAMPORT_MAX, Rank, Register, Stamp};
use super::version::{LayoutVersion, MemberEntry, REPLICATION_MAX, Role};
use super::{Layout, NodeRecord, Published};

const VERSION: u8 = 1;

pub(super) fn write_layout(writer: &mut WireWriter, layout: &Layout) {
    writer.u8(VERSION);
    for versions in [&layout.current, &layout.proposed] {
        writer.count(versions.len());
        versions.iter().for_each(|version| write_layout_version(writer, version));
    }
    write_layout_version(writer, &layout.staged);
    writer.count(layout.nodes.len());
    for (node, known) in &layout.nodes {
        writer.bytes(node.bytes());
        write_register(writer, &known.name, |writer, name| writer.text(name.as_str()));
        write_register(writer, &known.url, |writer, url| writer.text(url.as_str()));
        write_register(writer, &known.writable, |writer, flag| writer.u8((*flag).into()));
        write_register(writer, &known.published, write_published);
    }
}

pub(super) fn read_layout(reader: &mut WireReader<'_>) -> Result<Layout, Malformed> {
    if reader.u8()? != VERSION {
        return Err(Malformed);
    }
    let mut versions = || -> Result<Vec<_>, Malformed> {
        let count = reader.count(Layout::HISTORIES_MAX)?;
        (0..count).map(|_| read_layout_version(reader)).collect()
    };
    let (current, proposed) = (versions()?, versions()?);
    let staged = read_layout_version(reader)?;
    let mut nodes = BTreeMap::new();
    for _ in 0..reader.count(Layout::NODES_MAX)? {
        let node = NodeId::from_bytes(reader.array()?);
        let known = NodeRecord {
            name: read_register(reader, |reader| Label::parse(reader.text()?))?,
            url: read_register(reader, |reader| NodeUrl::parse(reader.text()?))?,
            writable: read_register(reader, WireReader::flag)?,
            published: read_register(reader, read_published)?,
        };
        insert_in_order(&mut nodes, node, known)?;
    }
    let layout = Layout { current, proposed, staged, nodes };
    if is_sound(&layout) { Ok(layout) } else { Err(Malformed) }
}

/// `current` is never empty, and no proposed version is within it. Both are sorted, of versions that do not contain
/// each other and lie within the staged one; and every member is known.
fn is_sound(layout: &Layout) -> bool {
    let are_apart = |versions: &[LayoutVersion]| {
        let is_apart = |at: usize| {
            let (one, rest) = (&versions[at], &versions[at + 1..]);
            rest.iter().all(|other| !one.is_within(other) && !other.is_within(one))
        };
        versions.is_sorted() && (0..versions.len()).all(is_apart)
    };
    let is_open =
        |proposal: &LayoutVersion| !layout.current.iter().any(|version| proposal.is_within(version));
    !layout.current.is_empty()
        && are_apart(&layout.current)
        && are_apart(&layout.proposed)
        && layout.proposed.iter().all(is_open)
        && layout.versions().all(|version| version.is_within(&layout.staged))
        && layout.staged.members.keys().eq(layout.nodes.keys())
}

pub(super) fn write_layout_version(writer: &mut WireWriter, version: &LayoutVersion) {
    write_register(writer, &version.replication, |writer, copies| writer.u8(*copies));
    write_register(writer, &version.min_replication, |writer, copies| writer.u8(*copies));
    writer.count(version.members.len());
    for (node, entry) in &version.members {
        writer.bytes(node.bytes());
        write_register(writer, &entry.role, |writer, role| writer.u8(role_code(*role)));
        write_register(writer, &entry.weight, |writer, weight| writer.u32(weight.get()));
        write_register(writer, &entry.zone, |writer, zone| writer.text(zone.as_str()));
        write_register(writer, &entry.store, |writer, store| writer.u64(*store));
    }
}

impl LayoutVersion {
    /// The hash of its bytes.
    pub(in crate::cluster) fn sync_hash(&self) -> SyncHash {
        let mut writer = WireWriter::default();
        write_layout_version(&mut writer, self);
        SyncHash(digest(&writer.into_bytes()))
    }
}

fn read_layout_version(reader: &mut WireReader<'_>) -> Result<LayoutVersion, Malformed> {
    let replication = read_register(reader, read_copies)?;
    let min_replication = read_register(reader, read_copies)?;
    let mut members = BTreeMap::new();
    for _ in 0..reader.count(Layout::NODES_MAX)? {
        let node = NodeId::from_bytes(reader.array()?);
        let entry = MemberEntry {
            role: read_register(reader, |reader| role_of(reader.u8()?))?,
            weight: read_register(reader, |reader| Weight::new(reader.u32()?))?,
            zone: read_register(reader, |reader| Label::parse(reader.text()?))?,
            store: read_register(reader, WireReader::u64)?,
        };
        insert_in_order(&mut members, node, entry)?;
    }
    Ok(LayoutVersion { members, replication, min_replication })
}

/// Only the canonical order is read: equal states have equal bytes.
fn insert_in_order<T>(map: &mut BTreeMap<NodeId, T>, node: NodeId, value: T) -> Result<(), Malformed> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= node) {
        return Err(Malformed);
    }
    map.insert(node, value);
    Ok(())
}

fn write_register<T: Rank + Ord + Clone>(
    writer: &mut WireWriter,
    register: &Register<T>,
    write: impl FnOnce(&mut WireWriter, &T),
) {
    writer.u64(register.stamp().lamport);
    writer.bytes(register.stamp().writer.bytes());
    write(writer, register.value());
}

fn read_register<'a, T: Rank + Ord + Clone>(
    reader: &mut WireReader<'a>,
    read: impl FnOnce(&mut WireReader<'a>) -> Result<T, Malformed>,
) -> Result<Register<T>, Malformed> {
    let lamport = reader.u64()?;
    let writer = NodeId::from_bytes(reader.array()?);
    let value = read(reader)?;
    if lamport > LAMPORT_MAX {
        return Err(Malformed);
    }
    Ok(Register::new(value, Stamp { lamport, writer }))
}

fn read_copies(reader: &mut WireReader<'_>) -> Result<u8, Malformed> {
    let copies = reader.u8()?;
    if (1..=REPLICATION_MAX).contains(&copies) { Ok(copies) } else { Err(Malformed) }
}

fn write_published(writer: &mut WireWriter, published: &Published) {
    writer.u8(published.holds_images.into());
    for word in [published.synced_to, published.acknowledged] {
        writer.u8(word.is_some().into());
        writer.bytes(&word.map_or([0; 16], |hash| hash.0));
    }
}

fn read_published(reader: &mut WireReader<'_>) -> Result<Published, Malformed> {
    let holds_images = reader.flag()?;
    let mut word = || {
        let is_said = reader.flag()?;
        let hash: [u8; 16] = reader.array()?;
        if !is_said && hash != [0; 16] { Err(Malformed) } else { Ok(is_said.then_some(SyncHash(hash))) }
    };
    Ok(Published { synced_to: word()?, acknowledged: word()?, holds_images })
}

fn role_code(role: Role) -> u8 {
    match role {
        Role::Joining => 0,
        Role::Active => 1,
        Role::Draining => 2,
        Role::Out { automatic: false } => 3,
        Role::Out { automatic: true } => 4,
        Role::Removed => 5,
    }
}

fn role_of(code: u8) -> Result<Role, Malformed> {
    let roles = [
        Role::Joining,
        Role::Active,
        Role::Draining,
        Role::Out { automatic: false },
        Role::Out { automatic: true },
        Role::Removed,
    ];
    roles.get(usize::from(code)).copied().ok_or(Malformed)
}
