//! Reads EXIF's orientation, sets it to normal, and finds whether there is a location.
//!
//! Knows only a TIFF header and the entries of its first directory and of the one for GPS. A general EXIF reader follows
//! all sub-directories, and overlapping ones expand a block of 64 KiB to hundreds of megabytes of entries. This module
//! allocates nothing for them.

use crate::image::header::Orientation;

/// The longest block that is read: the most that a JPEG segment can hold. A longer one, in PNG or WebP, is ignored.
pub(in crate::image) const EXIF_BYTES_MAX: u64 = 65_535;

/// The name of EXIF in a JPEG segment; some writers of PNG and WebP add it too.
pub(in crate::image) const EXIF_NAME: [u8; 6] = *b"Exif\0\0";

const TAG_ORIENTATION: u16 = 0x0112;
/// The offset of the directory for GPS.
const TAG_GPS: u16 = 0x8825;
/// In that directory: the latitude, and that of a destination. A phone that may not know its place leaves them out.
const TAGS_LATITUDE: [u16; 2] = [0x0002, 0x0014];
/// Byte order, magic number, and the offset of the directory.
const HEADER_BYTES: usize = 8;
const TYPE_SHORT: u16 = 3;
const ENTRY_BYTES: usize = 12;

/// The orientation of a block, with or without its name; [`Orientation::NORMAL`] if it is broken or has none.
pub(in crate::image) fn orientation(block: &[u8]) -> Orientation {
    first_orientation(strip_name(block)).unwrap_or(Orientation::NORMAL)
}

/// Whether the block, with or without its name, tells a place on the earth.
pub(in crate::image) fn has_location(block: &[u8]) -> bool {
    let tiff = strip_name(block);
    let found = || {
        let order = ByteOrder::of(tiff)?;
        let mut pointers = entries(order, tiff)?.filter(|entry| order.u16(tiff, *entry) == Some(TAG_GPS));
        let directory = usize::try_from(order.u32(tiff, pointers.next()? + 8)?).ok()?;
        let mut tags = entries_at(order, tiff, directory)?.filter_map(|entry| order.u16(tiff, entry));
        Some(tags.any(|tag| TAGS_LATITUDE.contains(&tag)))
    };
    found().unwrap_or(false)
}

/// The block without its name and with a normal orientation; `None` if it is not EXIF.
pub(super) fn upright(block: &[u8]) -> Option<Vec<u8>> {
    let mut tiff = strip_name(block).to_vec();
    let order = ByteOrder::of(&tiff)?;
    // All of them, because a careless reader may use another one than the first.
    for entry in entries(order, &tiff).into_iter().flatten() {
        if order.u16(&tiff, entry) == Some(TAG_ORIENTATION) {
            // The value becomes one SHORT (two bytes).
            tiff[entry + 2..entry + 4].copy_from_slice(&order.bytes(TYPE_SHORT));
            tiff[entry + 4..entry + 8].copy_from_slice(&order.long_bytes(1));
            tiff[entry + 8..entry + 10].copy_from_slice(&order.bytes(1));
            tiff[entry + 10..entry + 12].fill(0);
        }
    }
    Some(tiff)
}

/// A block that says this orientation and nothing else.
pub(super) fn of_orientation(orientation: Orientation) -> Vec<u8> {
    let order = ByteOrder::Little;
    let entry = [order.bytes(TAG_ORIENTATION), order.bytes(TYPE_SHORT)].concat();
    let value = [order.bytes(u16::from(orientation.value())), [0; 2]].concat();
    // One entry, and no further directory.
    [&b"II*\0\x08\0\0\0\x01\0"[..], &entry, &order.long_bytes(1), &value, &[0; 4]].concat()
}

fn strip_name(block: &[u8]) -> &[u8] {
    block.strip_prefix(&EXIF_NAME).unwrap_or(block)
}

fn first_orientation(tiff: &[u8]) -> Option<Orientation> {
    let order = ByteOrder::of(tiff)?;
    let entry = entries(order, tiff)?.find(|entry| order.u16(tiff, *entry) == Some(TAG_ORIENTATION))?;
    // The standard's type is SHORT; careless writers use BYTE and LONG.
    let value = match order.u16(tiff, entry + 2)? {
        1 => u32::from(*tiff.get(entry + 8)?),
        TYPE_SHORT => u32::from(order.u16(tiff, entry + 8)?),
        4 => order.u32(tiff, entry + 8)?,
        _ => return None,
    };
    Some(Orientation::from_exif(value))
}

/// The offsets of the complete entries of the first directory.
fn entries(order: ByteOrder, tiff: &[u8]) -> Option<impl Iterator<Item = usize> + use<>> {
    // A directory inside the header would become invalid once one of its entries is changed.
    let directory = usize::try_from(order.u32(tiff, 4)?).ok().filter(|at| *at >= HEADER_BYTES)?;
    entries_at(order, tiff, directory)
}

/// The offsets of the complete entries of the directory at this offset.
fn entries_at(
    order: ByteOrder,
    tiff: &[u8],
    directory: usize,
) -> Option<impl Iterator<Item = usize> + use<>> {
    let claimed = usize::from(order.u16(tiff, directory)?);
    let first = directory.checked_add(2)?;
    let there = tiff.get(first..)?.len() / ENTRY_BYTES;
    Some((0..claimed.min(there)).map(move |index| first + index * ENTRY_BYTES))
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    fn of(tiff: &[u8]) -> Option<Self> {
        match tiff.first_chunk()? {
            b"II*\0" => Some(Self::Little),
            b"MM\0*" => Some(Self::Big),
            _ => None,
        }
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        })
    }

    const fn bytes(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    const fn long_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A directory with these entries: tag, type, four bytes of value.
    fn tiff(order: ByteOrder, entries: &[(u16, u16, [u8; 4])]) -> Vec<u8> {
        let mut block = match order {
            ByteOrder::Little => b"II*\0".to_vec(),
            ByteOrder::Big => b"MM\0*".to_vec(),
        };
        block.extend(order.long_bytes(8));
        block.extend(order.bytes(entries.len() as u16));
        for (tag, kind, value) in entries {
            block.extend(order.bytes(*tag));
            block.extend(order.bytes(*kind));
            block.extend(order.long_bytes(1));
            block.extend(value);
        }
        block.extend([0; 4]);
        block
    }

    #[test]
    fn an_upright_block_differs_in_its_orientation_alone() {
        for (order, six, one) in
            [(ByteOrder::Little, [6, 0, 0, 0], [1, 0, 0, 0]), (ByteOrder::Big, [0, 6, 0, 0], [0, 1, 0, 0])]
        {
            let block =
                tiff(order, &[(0x010F, 2, *b"abc\0"), (TAG_ORIENTATION, 3, six), (0x8825, 4, [9; 4])]);
            assert_eq!(orientation(&block).value(), 6);
            let expected =
                tiff(order, &[(0x010F, 2, *b"abc\0"), (TAG_ORIENTATION, 3, one), (0x8825, 4, [9; 4])]);
            assert_eq!(upright(&block).unwrap(), expected);
            assert_eq!(upright(&[&EXIF_NAME[..], &block].concat()).unwrap(), expected);
        }
    }

    /// A block whose GPS directory has these tags.
    fn with_gps(order: ByteOrder, tags: &[u16]) -> Vec<u8> {
        let mut block = tiff(order, &[(TAG_ORIENTATION, 3, [0; 4]), (TAG_GPS, 4, order.long_bytes(38))]);
        assert_eq!(block.len(), 38);
        block.extend(order.bytes(tags.len() as u16));
        block.extend(tags.iter().flat_map(|tag| [&order.bytes(*tag)[..], &[0; 10]].concat()));
        block
    }

    #[test]
    fn a_latitude_is_a_location_and_the_mere_version_of_gps_is_none() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let located = with_gps(order, &[0, 1, 2, 3, 4]);
            assert!(has_location(&located) && has_location(&[&EXIF_NAME[..], &located].concat()));
            assert!(has_location(&with_gps(order, &[0x14])));
            for block in [with_gps(order, &[0, 7, 29]), with_gps(order, &[]), located[..39].to_vec()] {
                assert!(!has_location(&block), "{block:?}");
            }
        }
        for block in [&b""[..], b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*", b"GPS"] {
            assert!(!has_location(block));
        }
    }

    #[test]
    fn every_entry_of_any_type_becomes_upright() {
        let entries =
            [(TAG_ORIENTATION, 4, [6, 0, 0, 0]), (TAG_ORIENTATION, 1, [8; 4]), (TAG_ORIENTATION, 99, [3; 4])];
        let expected = tiff(ByteOrder::Little, &[(TAG_ORIENTATION, 3, [1, 0, 0, 0]); 3]);
        assert_eq!(upright(&tiff(ByteOrder::Little, &entries)).unwrap(), expected);
    }

    #[test]
    fn what_is_no_exif_is_not_kept() {
        for block in [&b""[..], b"II", b"XX*\0\x08\0\0\0", b"<?xml", b"Exif\0\0"] {
            assert_eq!(upright(block), None);
        }
    }

    proptest! {
        #[test]
        fn any_block_is_upright_afterwards_and_as_long_as_before(
            big: bool, directory in prop_oneof![0..80_u32, any::<u32>()], rest in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            let mut block = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
            block.extend(order.long_bytes(directory));
            block.extend(rest);
            let result = upright(&block).unwrap();
            prop_assert_eq!(result.len(), block.len());
            prop_assert_eq!(orientation(&result), Orientation::NORMAL);
            prop_assert_eq!(has_location(&result), has_location(&block));
        }
    }
}
