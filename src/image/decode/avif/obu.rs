//! The units (OBUs) of an AV1 bitstream that make one picture (AV1 specification, 5.3).
//!
//! The decoder gets no others. Metadata and unknown units run the rarest code of a decoder, and a picture needs none of
//! them. The number of frames is bounded, because a frame of a few bytes may cost the time of a whole picture.

/// Most frames in the data of one picture: a layered picture has up to four, and each may refer to frames that are not
/// shown.
const FRAMES_MAX: usize = 8;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const TILE_GROUP: u8 = 4;
const FRAME: u8 = 6;

/// Copies the units of the picture, in order; `None` if one does not fit, or if there are too many frames or none.
pub(super) fn picture_only(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(data.len());
    let mut frames = 0;
    while !data.is_empty() {
        let (kind, length) = unit(data)?;
        let (unit, rest) = data.split_at_checked(length)?;
        data = rest;
        match kind {
            SEQUENCE_HEADER | TEMPORAL_DELIMITER | TILE_GROUP => {}
            FRAME_HEADER | FRAME => frames += 1,
            _ => continue,
        }
        kept.extend_from_slice(unit);
    }
    (1..=FRAMES_MAX).contains(&frames).then_some(kept)
}

/// Type and total length of the first unit.
fn unit(data: &[u8]) -> Option<(u8, usize)> {
    let [head, rest @ ..] = data else { return None };
    let (is_forbidden, kind, has_extension, has_size) =
        (head & 0x80 != 0, head >> 3 & 15, head & 4 != 0, head & 2 != 0);
    if is_forbidden {
        return None;
    }
    let head_bytes = 1 + usize::from(has_extension);
    if !has_size {
        // A unit without a size takes all remaining bytes.
        return Some((kind, data.len()));
    }
    let (size, size_bytes) = leb128(rest.get(head_bytes - 1..)?)?;
    Some((kind, (head_bytes + size_bytes).checked_add(size)?))
}

/// A number of up to 32 bits, seven in each byte, and the bytes that it took.
fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (at, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(u32::try_from(value).ok()?).ok()?, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_of(kind: u8, payload: &[u8]) -> Vec<u8> {
        [&[kind << 3 | 2, payload.len() as u8], payload].concat()
    }

    #[test]
    fn only_units_of_a_picture_are_kept_and_in_their_order() {
        let wanted = [unit_of(2, b""), unit_of(1, b"seq"), unit_of(6, b"frame"), unit_of(4, b"tiles")];
        let others =
            [unit_of(5, b"metadata"), unit_of(15, b"padding"), unit_of(8, b"list"), unit_of(9, b"new")];
        let mixed: Vec<u8> =
            wanted.iter().zip(&others).flat_map(|(one, other)| [&other[..], one].concat()).collect();
        assert_eq!(picture_only(&mixed), Some(wanted.concat()));
        let without_size = [unit_of(1, b"seq"), vec![6 << 3, 1, 2, 3]].concat();
        assert_eq!(picture_only(&without_size), Some(without_size.clone()));
        let extended = [&[6 << 3 | 4 | 2, 0x20, 0x83, 0x00][..], b"abc"].concat();
        assert_eq!(picture_only(&extended), Some(extended.clone()));
    }

    #[test]
    fn what_does_not_fit_or_holds_no_picture_or_too_many_is_refused() {
        let frame = unit_of(6, b"frame");
        assert!(picture_only(&frame.repeat(FRAMES_MAX)).is_some());
        for bad in [
            frame.repeat(FRAMES_MAX + 1),
            unit_of(1, b"seq"),
            Vec::new(),
            frame[..4].to_vec(),
            vec![6 << 3 | 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0],
            vec![6 << 3 | 4 | 2],
            vec![0x80 | 6 << 3 | 2, 0],
        ] {
            assert_eq!(picture_only(&bad), None, "{bad:?}");
        }
    }
}
