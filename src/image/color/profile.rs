//! Writes ICC profiles (ICC.1:2022, 7.2 and 7.3).

/// The length of a profile's header.
pub(super) const HEADER_BYTES: usize = 128;
/// The length of an entry in the table of tags: name, offset, length.
pub(super) const TAG_BYTES: usize = 12;
/// Largest sum of the tags, in bytes. A printing press's table from CMYK to colour has about half a megabyte.
pub(super) const TAGS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Writes a profile of these tags; `None` if they are too long.
pub(super) fn written(header: &[u8; HEADER_BYTES], tags: &[(&[u8; 4], &[u8])]) -> Option<Vec<u8>> {
    if tags.iter().map(|(_, tag)| tag.len()).sum::<usize>() > TAGS_BYTES_MAX {
        return None;
    }
    // A tag begins at a multiple of four bytes.
    let padded = |tag: &[u8]| tag.len().next_multiple_of(4);
    let first = HEADER_BYTES + 4 + tags.len() * TAG_BYTES;
    let length = first + tags.iter().map(|(_, tag)| padded(tag)).sum::<usize>();
    let mut bytes = Vec::with_capacity(length);
    // All lengths are bounded far below four gigabytes.
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend(&header[4..]);
    bytes.extend((tags.len() as u32).to_be_bytes());
    let mut at = first;
    for (name, tag) in tags {
        bytes.extend(*name);
        bytes.extend((at as u32).to_be_bytes());
        bytes.extend((tag.len() as u32).to_be_bytes());
        at += padded(tag);
    }
    for (_, tag) in tags {
        bytes.extend(*tag);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    Some(bytes)
}
