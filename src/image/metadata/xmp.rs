//! Sets the orientation in an XMP packet to normal; the rest of the text is not parsed.

use memchr::memmem;

/// Marks XMP in a JPEG segment.
pub(super) const JPEG_NAME: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// The keyword of XMP in a PNG text chunk, and the empty fields before the text: no compression, no language, no
/// translated keyword.
pub(super) const PNG_NAME: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";

const PROPERTY: &[u8] = b"tiff:Orientation";

/// The packet with every orientation, as attribute or element, set to 1.
pub(super) fn upright(mut packet: Vec<u8>) -> Vec<u8> {
    let places: Vec<usize> = memmem::find_iter(&packet, PROPERTY).map(|at| at + PROPERTY.len()).collect();
    for at in places {
        if let Some(digit) = digit_after(&packet, at) {
            packet[digit] = b'1';
        }
    }
    packet
}

/// The offset of the single digit that is the value of the property at `at`.
fn digit_after(packet: &[u8], at: usize) -> Option<usize> {
    let skip = |from: usize, skipped: &[u8]| {
        let rest = packet.get(from..)?;
        Some(from + rest.iter().take_while(|byte| skipped.contains(byte)).count())
    };
    let digit = skip(at, b"=>\"' \t\r\n")?;
    let [value, end, ..] = packet.get(digit..)? else { return None };
    (digit > at && value.is_ascii_digit() && !end.is_ascii_digit()).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_the_orientation_becomes_one() {
        for (packet, expected) in [
            ("<a tiff:Orientation=\"6\" b=\"6\"/>", "<a tiff:Orientation=\"1\" b=\"6\"/>"),
            ("<a tiff:Orientation = '8'/>", "<a tiff:Orientation = '1'/>"),
            ("<tiff:Orientation>3</tiff:Orientation>", "<tiff:Orientation>1</tiff:Orientation>"),
            ("<tiff:Orientation>\n 3 </tiff:Orientation>", "<tiff:Orientation>\n 1 </tiff:Orientation>"),
        ] {
            assert_eq!(upright(packet.into()), expected.as_bytes());
        }
    }

    #[test]
    fn all_else_stays() {
        for packet in [
            "",
            "<a/>",
            "tiff:Orientation",
            "tiff:Orientation=\"",
            "<tiff:OrientationX>6<",
            "tiff:Orientation='66'",
        ] {
            assert_eq!(upright(packet.into()), packet.as_bytes());
        }
    }
}
