//! The tables of a `meta` box, read into memory within bounds.

mod pictures;

use std::cell::Cell;
use std::ops::Range;

use super::reader::{BoxReader, IsoBox};
use super::{AvifSource, Codec, Coding, DataRanges, MetaFault, Nclx, TILES_MAX, offset_in};
use crate::image::shape::{Rect, Size};

/// Most items of a file: a grid with alpha has two for each tile.
const ITEMS_MAX: usize = 2 * TILES_MAX + 64;
/// Most extents of all items together.
const PIECES_MAX: usize = 2 * ITEMS_MAX;
/// Most properties of a file.
const PROPERTIES_MAX: usize = 4096;
/// Most property associations of all items together.
const ASSOCIATIONS_MAX: usize = 16 * 1024;
/// Most references of all items together.
const REFERENCES_MAX: usize = 2 * ITEMS_MAX;
/// Most properties and extents that are read or copied while the picture is composed. A file may name the same item
/// again and again, each time at the cost of all its properties. The largest grid with alpha takes a few thousand.
const STEPS_MAX: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Items {
    pub(super) primary: Option<u32>,
    /// The next three lists are sorted by item; entries of one item keep the order of the file.
    kinds: Vec<(u32, ItemKind)>,
    places: Vec<(u32, ItemPlace)>,
    pieces: usize,
    properties: Vec<Property>,
    /// Item, property (counted from 1), whether a reader must understand it.
    associations: Vec<(u32, usize, bool)>,
    references: Vec<Reference>,
    /// The place in the file of the data inside the box (`idat`).
    inner: Option<Range<u64>>,
    /// Steps that were taken, of [`STEPS_MAX`].
    steps: Cell<usize>,
}

enum ItemPlace {
    /// Offsets count from the start of the file.
    File(DataRanges),
    /// Offsets count from the start of the data inside the box.
    Inner(DataRanges),
    /// Composed from other items: not supported.
    Other,
}

/// The kinds of items that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    /// A coded picture.
    Av1,
    /// The same in H.265.
    Hevc,
    Grid,
    Exif,
    Xmp,
    Other,
}

struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
}

/// The properties of items.
#[derive(Debug)]
pub(super) enum Property {
    Size(Size),
    Coding(Coding),
    /// The coding of H.265, and the place of its configuration.
    Hevc(Coding, Range<u64>),
    Aperture(Aperture),
    /// Quarter turns counterclockwise.
    Rotation(u8),
    /// `true` swaps left and right.
    Mirror(bool),
    Nclx(Nclx),
    Profile(Range<u64>),
    /// The item is the alpha of another item.
    Alpha,
    /// Known, without any effect here.
    Idle,
    Unknown,
}

impl Items {
    pub(super) fn read(meta: &[u8], start: u64) -> Result<Self, MetaFault> {
        let mut items = Self::default();
        let mut reader = BoxReader::of(meta);
        reader.version()?;
        while !reader.is_empty() {
            let part = reader.next_box()?;
            let mut content = BoxReader::of(part.payload);
            match &part.name {
                b"pitm" => {
                    let is_long = content.version()?.0 != 0;
                    items.primary = Some(content.id(is_long)?);
                }
                b"iinf" => items.read_kinds(content)?,
                b"iloc" => items.read_places(content)?,
                b"iref" => items.read_references(content)?,
                b"iprp" => items.read_properties(content, |payload| start + offset_in(meta, payload))?,
                b"idat" => {
                    let begin = start + offset_in(meta, part.payload);
                    items.inner = Some(begin..begin + part.payload.len() as u64);
                }
                _ => {}
            }
        }
        items.kinds.sort_by_key(|(id, _)| *id);
        items.places.sort_by_key(|(id, _)| *id);
        items.associations.sort_by_key(|(id, ..)| *id);
        Ok(items)
    }

    /// # Errors
    /// [`MetaFault::Boxes`] beyond the bound.
    fn step(&self, count: usize) -> Result<(), MetaFault> {
        self.steps.set(self.steps.get().saturating_add(count));
        if self.steps.get() <= STEPS_MAX { Ok(()) } else { Err(MetaFault::Boxes) }
    }

    fn read_kinds(&mut self, mut content: BoxReader<'_>) -> Result<(), MetaFault> {
        let is_long = content.version()?.0 != 0;
        let count = content.id(is_long)?;
        for _ in 0..count {
            let IsoBox { name, payload } = content.next_box()?;
            let mut entry = BoxReader::of(payload);
            let (version, _) = entry.version()?;
            // Older versions have no item type; AVIF needs it.
            if &name != b"infe" || version < 2 {
                continue;
            }
            let id = entry.id(version > 2)?;
            entry.u16()?;
            let kind = match &entry.take()? {
                b"av01" => ItemKind::Av1,
                b"hvc1" => ItemKind::Hevc,
                b"grid" => ItemKind::Grid,
                b"Exif" => ItemKind::Exif,
                b"mime" if is_xmp(entry.rest()) => ItemKind::Xmp,
                _ => ItemKind::Other,
            };
            push(&mut self.kinds, (id, kind), ITEMS_MAX)?;
        }
        Ok(())
    }

    fn read_places(&mut self, mut content: BoxReader<'_>) -> Result<(), MetaFault> {
        let (version, _) = content.version()?;
        let [sizes, bases] = content.take()?;
        let (offset_bytes, length_bytes) = (sizes >> 4, sizes & 15);
        let (base_bytes, index_bytes) = (bases >> 4, if version == 0 { 0 } else { bases & 15 });
        let count = content.id(version > 1)?;
        for _ in 0..count {
            let id = content.id(version > 1)?;
            let method = if version == 0 { 0 } else { content.u16()? & 15 };
            content.u16()?;
            let base = content.sized(base_bytes)?;
            let pieces = usize::from(content.u16()?);
            self.pieces += pieces;
            if self.pieces > PIECES_MAX {
                return Err(MetaFault::Boxes);
            }
            let mut data = Vec::with_capacity(pieces);
            for _ in 0..pieces {
                content.sized(index_bytes)?;
                let offset = content.sized(offset_bytes)?;
                let length = content.sized(length_bytes)?;
                let begin = base.checked_add(offset).ok_or(MetaFault::Boxes)?;
                data.push(begin..begin.checked_add(length).ok_or(MetaFault::Boxes)?);
            }
            let place = match method {
                0 => ItemPlace::File(data),
                1 => ItemPlace::Inner(data),
                _ => ItemPlace::Other,
            };
            push(&mut self.places, (id, place), ITEMS_MAX)?;
        }
        Ok(())
    }

    fn read_references(&mut self, mut content: BoxReader<'_>) -> Result<(), MetaFault> {
        let is_long = content.version()?.0 != 0;
        let mut total = 0;
        while !content.is_empty() {
            let IsoBox { name, payload } = content.next_box()?;
            let mut entry = BoxReader::of(payload);
            let from = entry.id(is_long)?;
            let count = usize::from(entry.u16()?);
            total += count + 1;
            if total > REFERENCES_MAX {
                return Err(MetaFault::Boxes);
            }
            let to: Result<Vec<u32>, MetaFault> = (0..count).map(|_| entry.id(is_long)).collect();
            self.references.push(Reference { kind: name, from, to: to? });
        }
        Ok(())
    }

    fn read_properties(
        &mut self,
        mut content: BoxReader<'_>,
        place: impl Fn(&[u8]) -> u64,
    ) -> Result<(), MetaFault> {
        while !content.is_empty() {
            let part = content.next_box()?;
            let mut inside = BoxReader::of(part.payload);
            match &part.name {
                b"ipco" => {
                    while !inside.is_empty() {
                        let property = Property::read(&inside.next_box()?, &place)?;
                        push(&mut self.properties, property, PROPERTIES_MAX)?;
                    }
                }
                b"ipma" => self.read_associations(inside)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_associations(&mut self, mut content: BoxReader<'_>) -> Result<(), MetaFault> {
        let (version, flags) = content.version()?;
        for _ in 0..content.u32()? {
            let id = content.id(version > 0)?;
            for _ in 0..content.u8()? {
                let (index, is_essential) = if flags & 1 == 0 {
                    let byte = content.u8()?;
                    (usize::from(byte & 0x7F), byte & 0x80 != 0)
                } else {
                    let word = content.u16()?;
                    (usize::from(word & 0x7FFF), word & 0x8000 != 0)
                };
                push(&mut self.associations, (id, index, is_essential), ASSOCIATIONS_MAX)?;
            }
        }
        Ok(())
    }

    /// An item's properties in their order.
    ///
    /// # Errors
    /// [`MetaFault::Unsupported`] for an unknown property that a reader must understand, [`MetaFault::Boxes`] beyond the
    /// bound of steps.
    pub(super) fn properties(&self, item: u32) -> Result<Vec<&Property>, MetaFault> {
        let mut found = Vec::new();
        let associations = of_item(&self.associations, item, |(id, ..)| *id);
        self.step(associations.len())?;
        for (_, index, is_essential) in associations {
            let Some(property) = index.checked_sub(1).and_then(|index| self.properties.get(index)) else {
                continue;
            };
            if *is_essential && matches!(property, Property::Unknown) {
                return Err(MetaFault::Unsupported);
            }
            found.push(property);
        }
        Ok(found)
    }

    pub(super) fn size(&self, item: u32) -> Result<Size, MetaFault> {
        let size = self.properties(item)?.into_iter().find_map(|property| match property {
            Property::Size(size) => Some(*size),
            _ => None,
        });
        size.ok_or(MetaFault::NoPicture)
    }
}

/// Whether a name and a content type, each ended by a zero, are those of an XMP packet.
fn is_xmp(entry: &[u8]) -> bool {
    let name = entry.iter().position(|byte| *byte == 0);
    name.is_some_and(|name| entry[name + 1..].starts_with(b"application/rdf+xml\0"))
}

/// The entries of one item, from a list that is sorted by item.
fn of_item<T>(list: &[T], item: u32, id: impl Fn(&T) -> u32) -> &[T] {
    let begin = list.partition_point(|entry| id(entry) < item);
    let end = list.partition_point(|entry| id(entry) <= item);
    &list[begin..end]
}

/// Appends while the list has fewer than `max` entries.
fn push<T>(list: &mut Vec<T>, entry: T, max: usize) -> Result<(), MetaFault> {
    if list.len() >= max {
        return Err(MetaFault::Boxes);
    }
    list.push(entry);
    Ok(())
}

/// A clean aperture: fractions of width, height, and the distances of its middle from the picture's middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aperture {
    width: (u32, u32),
    height: (u32, u32),
    right: (i32, u32),
    down: (i32, u32),
}

impl Aperture {
    fn read(mut content: BoxReader<'_>) -> Result<Self, MetaFault> {
        Ok(Self {
            width: (content.u32()?, content.u32()?),
            height: (content.u32()?, content.u32()?),
            right: (content.u32()?.cast_signed(), content.u32()?),
            down: (content.u32()?.cast_signed(), content.u32()?),
        })
    }

    /// The part of a picture of this size; `None` if that is all of it, or lies outside, which no reader minds.
    pub(super) fn within(self, size: Size) -> Option<Rect<u32>> {
        let (x, width) = span(self.width, self.right, size.width)?;
        let (y, height) = span(self.height, self.down, size.height)?;
        let cut = Rect { x, y, width, height };
        (cut.size() != size).then_some(cut)
    }
}

/// Start and length of an aperture along one side, in whole pixels.
fn span(length: (u32, u32), distance: (i32, u32), side: u32) -> Option<(u32, u32)> {
    let (over, under) = (f64::from(length.0), f64::from(length.1));
    let length = (over / under).round();
    let middle = f64::from(distance.0) / f64::from(distance.1) + f64::from(side) / 2.0;
    let start = (middle - length / 2.0).round();
    // Not a number fails every comparison.
    let is_inside = length >= 1.0 && start >= 0.0 && start + length <= f64::from(side);
    is_inside.then_some((start as u32, length as u32))
}

/// The values of an alpha item's property; each ends in a zero.
const ALPHA_NAMES: [&[u8]; 2] =
    [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

impl Property {
    fn read(part: &IsoBox<'_>, place: &impl Fn(&[u8]) -> u64) -> Result<Self, MetaFault> {
        let mut content = BoxReader::of(part.payload);
        Ok(match &part.name {
            b"ispe" => {
                content.version()?;
                Self::Size(Size { width: content.u32()?, height: content.u32()? })
            }
            b"av1C" => {
                let [_, _, flags, _] = content.take()?;
                let bits = match (flags & 0x40 != 0, flags & 0x20 != 0) {
                    (false, _) => 8,
                    (true, false) => 10,
                    (true, true) => 12,
                };
                Self::Coding(Coding { bits, is_monochrome: flags & 0x10 != 0 })
            }
            b"hvcC" => {
                let begin = place(part.payload);
                let [head @ .., chroma, luma_bits, chroma_bits] = content.take::<19>()?;
                let [1, ..] = head else { return Ok(Self::Unknown) };
                let bits = 8 + (luma_bits & 7).max(chroma_bits & 7);
                let coding = Coding { bits, is_monochrome: chroma & 3 == 0 };
                Self::Hevc(coding, begin..begin + part.payload.len() as u64)
            }
            b"clap" => Self::Aperture(Aperture::read(content)?),
            b"irot" => Self::Rotation(content.u8()? & 3),
            b"imir" => Self::Mirror(content.u8()? & 1 != 0),
            b"auxC" => {
                content.version()?;
                if ALPHA_NAMES.iter().any(|name| content.rest().starts_with(name)) {
                    Self::Alpha
                } else {
                    Self::Idle
                }
            }
            b"colr" => match &content.take()? {
                b"nclx" => Self::Nclx(Nclx {
                    primaries: content.u16()?,
                    transfer: content.u16()?,
                    matrix: content.u16()?,
                    is_full_range: content.u8()? & 0x80 != 0,
                }),
                b"prof" | b"rICC" => {
                    let begin = place(content.rest());
                    Self::Profile(begin..begin + content.rest().len() as u64)
                }
                _ => Self::Idle,
            },
            b"pixi" | b"pasp" | b"clli" | b"mdcv" | b"a1op" | b"lsel" | b"a1lx" | b"cclv" | b"amve" => {
                Self::Idle
            }
            _ => Self::Unknown,
        })
    }
}
