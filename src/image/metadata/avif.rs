//! EXIF and XMP as items of an AVIF file.

use super::{Metadata, exif};
use crate::image::container::avif::{AvifStill, DataRanges, gather};

/// The content type of XMP.
const XMP_TYPE: &[u8] = b"application/rdf+xml";

/// The items of the files that we write: 1 is the picture, 2 its alpha.
const PICTURE: u16 = 1;
const EXIF: u16 = 3;
const XMP: u16 = 4;

/// A box's size and name; version and flags follow in most.
const HEAD_BYTES: usize = 8;
const VERSION_BYTES: usize = 4;

/// Version 2 of an item's description, without flags.
const ITEM_VERSION: [u8; 4] = [2, 0, 0, 0];

/// The file's metadata, as stored.
pub(super) fn read(source: &[u8]) -> Metadata {
    let Ok(still) = AvifStill::of_file(source) else { return Metadata::default() };
    let part = |data: Option<DataRanges>| -> Vec<u8> {
        // A part that is too long to be kept is not copied at all.
        let fits = |data: &DataRanges| {
            data.iter().map(|piece| piece.end - piece.start).fold(0, u64::saturating_add)
                <= exif::EXIF_BYTES_MAX
        };
        let found = data.filter(fits).and_then(|data| gather(source, &data).map(|part| part.into_owned()));
        found.unwrap_or_default()
    };
    let block = part(still.exif);
    let tiff = block
        .split_first_chunk::<4>()
        .and_then(|(offset, rest)| rest.get(usize::try_from(u32::from_be_bytes(*offset)).ok()?..));
    Metadata { exif: tiff.unwrap_or_default().to_vec(), xmp: part(still.xmp) }
}

/// The file with this metadata. It is from our own encoder: a file type, a `meta` box, and one box of data at the end,
/// with offsets and lengths of four bytes.
pub(super) fn write(file: Vec<u8>, metadata: &Metadata) -> Vec<u8> {
    let mut items = Vec::new();
    if !metadata.exif.is_empty() {
        // The TIFF header follows at once.
        let data = [&[0; 4], &metadata.exif[..]].concat();
        items.push(NewItem { id: EXIF, kind: [b"Exif", &b"\0"[..]].concat(), data });
    }
    if !metadata.xmp.is_empty() {
        let kind = [b"mime\0", XMP_TYPE, b"\0"].concat();
        items.push(NewItem { id: XMP, kind, data: metadata.xmp.clone() });
    }
    rewritten(&file, &items, None).unwrap_or(file)
}

/// The file with this profile of the picture's colours, which are Display P3's; see [`write`] for its structure.
pub(super) fn with_profile(file: Vec<u8>, profile: &[u8]) -> Vec<u8> {
    rewritten(&file, &[], Some(profile)).unwrap_or(file)
}

struct NewItem {
    id: u16,
    /// Type, empty name, content type.
    kind: Vec<u8>,
    data: Vec<u8>,
}

fn rewritten(file: &[u8], items: &[NewItem], profile: Option<&[u8]>) -> Option<Vec<u8>> {
    let (file_type, rest) = first_box(file)?;
    let (meta, data) = first_box(rest)?;
    let (_, behind) = first_box(data)?;
    if !behind.is_empty() {
        return None;
    }
    let end = file.len();
    // The length does not depend on the offsets in it.
    let growth = rewritten_meta(meta, items, profile, end, 0)?.len() - meta.len();
    let meta = rewritten_meta(meta, items, profile, end, growth)?;
    let more: Vec<u8> = items.iter().flat_map(|item| item.data.iter().copied()).collect();
    let data = boxed(*b"mdat", &[&data[HEAD_BYTES..], &more].concat());
    Some([file_type, &meta, &data].concat())
}

/// The `meta` box with the items, whose data begin at the old end of the file, `end`, moved by `growth`, and with the
/// profile.
fn rewritten_meta(
    meta: &[u8],
    items: &[NewItem],
    profile: Option<&[u8]>,
    end: usize,
    growth: usize,
) -> Option<Vec<u8>> {
    let (version, mut rest) = meta.get(HEAD_BYTES..)?.split_at_checked(VERSION_BYTES)?;
    let mut content = version.to_vec();
    let mut has_references = false;
    while !rest.is_empty() {
        let (part, behind) = first_box(rest)?;
        let payload = &part[HEAD_BYTES..];
        match &part[4..HEAD_BYTES] {
            b"iinf" => content.extend(boxed(*b"iinf", &kinds_with(payload, items)?)),
            b"iloc" => content.extend(boxed(*b"iloc", &places_with(payload, items, end, growth)?)),
            b"iprp" if let Some(profile) = profile => {
                content.extend(boxed(*b"iprp", &properties_with(payload, profile)?));
            }
            b"iref" => {
                content.extend(boxed(*b"iref", &[payload, &references(items)].concat()));
                has_references = true;
            }
            _ => content.extend(part),
        }
        rest = behind;
    }
    if !has_references && !items.is_empty() {
        content.extend(boxed(*b"iref", &[&[0; VERSION_BYTES][..], &references(items)].concat()));
    }
    Some(boxed(*b"meta", &content))
}

/// The table of items: version, count, descriptions.
fn kinds_with(payload: &[u8], items: &[NewItem]) -> Option<Vec<u8>> {
    let (version, rest) = payload.split_at_checked(VERSION_BYTES)?;
    let (count, entries) = rest.split_first_chunk::<2>()?;
    let count = u16::from_be_bytes(*count) + items.len() as u16;
    let mut table = [version, &count.to_be_bytes(), entries].concat();
    for item in items {
        let entry = [&ITEM_VERSION[..], &item.id.to_be_bytes(), &[0; 2], &item.kind].concat();
        table.extend(boxed(*b"infe", &entry));
    }
    Some(table)
}

/// The table of places: version and sizes of its fields, count, and for each item its number, a zero, the count of its
/// pieces, and their offsets and lengths.
fn places_with(payload: &[u8], items: &[NewItem], end: usize, growth: usize) -> Option<Vec<u8>> {
    const FIELD_SIZES: [u8; 6] = [0, 0, 0, 0, 0x44, 0];
    let rest = payload.strip_prefix(&FIELD_SIZES)?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let count = u16::from_be_bytes(*count);
    // Pictures of at most 65535 pixels a side that were encoded at once are below four gigabytes.
    let moved = |offset: usize| ((offset + growth) as u32).to_be_bytes();
    let mut table = [&FIELD_SIZES[..], &(count + items.len() as u16).to_be_bytes()].concat();
    for _ in 0..count {
        let (head, behind) = rest.split_first_chunk::<6>()?;
        table.extend(head);
        rest = behind;
        for _ in 0..u16::from_be_bytes([head[4], head[5]]) {
            let (offset, behind) = rest.split_first_chunk::<4>()?;
            let (length, behind) = behind.split_first_chunk::<4>()?;
            table.extend(moved(u32::from_be_bytes(*offset) as usize));
            table.extend(length);
            rest = behind;
        }
    }
    let mut at = end;
    for item in items {
        table.extend([&item.id.to_be_bytes()[..], &[0, 0, 0, 1], &moved(at)].concat());
        table.extend((item.data.len() as u32).to_be_bytes());
        at += item.data.len();
    }
    Some(table)
}

/// The code points of Display P3's primaries and of sRGB's curve (ITU-T H.273).
const P3_CODE_POINTS: [u8; 4] = [0, 12, 0, 13];

/// The properties: a list, then for each item its number and the numbers of its own, counted from 1.
fn properties_with(payload: &[u8], profile: &[u8]) -> Option<Vec<u8>> {
    let (list, associations) = first_box(payload)?;
    let (mut rest, mut properties, mut count) = (&list[HEAD_BYTES..], Vec::new(), 0_u8);
    while !rest.is_empty() {
        let (property, behind) = first_box(rest)?;
        count = count.checked_add(1)?;
        match (property[4..].strip_prefix(b"colrnclx"), property) {
            // Readers that do not use the profile find the same colours here.
            (Some([_, _, _, _, matrix @ ..]), _) => {
                properties.extend(boxed(*b"colr", &[b"nclx", &P3_CODE_POINTS[..], matrix].concat()));
            }
            (_, property) => properties.extend(property),
        }
        rest = behind;
    }
    properties.extend(boxed(*b"colr", &[b"prof", profile].concat()));
    let associations = associations_with(associations.get(HEAD_BYTES..)?, count.checked_add(1)?)?;
    Some([boxed(*b"ipco", &properties), boxed(*b"ipma", &associations)].concat())
}

/// The property's number among those of the picture, which comes first: after version and count, the item's number,
/// the count of its properties, and their numbers.
fn associations_with(table: &[u8], property: u8) -> Option<Vec<u8>> {
    let (head, rest) = table.split_first_chunk::<8>()?;
    let [high, low, count, rest @ ..] = rest else { return None };
    if u16::from_be_bytes([*high, *low]) != PICTURE {
        return None;
    }
    let (own, others) = rest.split_at_checked(usize::from(*count))?;
    Some([&head[..], &[*high, *low, count.checked_add(1)?], own, &[property], others].concat())
}

/// A reference from each item to the picture that it describes.
fn references(items: &[NewItem]) -> Vec<u8> {
    let reference = |item: &NewItem| boxed(*b"cdsc", &[item.id, 1, PICTURE].map(u16::to_be_bytes).concat());
    items.iter().flat_map(reference).collect()
}

/// The first box, and what follows it.
fn first_box(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    (length >= HEAD_BYTES).then(|| bytes.split_at_checked(length)).flatten()
}

fn boxed(name: [u8; 4], payload: &[u8]) -> Vec<u8> {
    // The payload is part of a file that is far below four gigabytes.
    [&((payload.len() + HEAD_BYTES) as u32).to_be_bytes()[..], &name, payload].concat()
}
