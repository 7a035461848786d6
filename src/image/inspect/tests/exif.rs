use super::check;
use super::support::*;

/// The orientation of a PNG with this EXIF block.
fn orientation(block: &[u8]) -> u8 {
    let header = png_header((40, 30), 2, 8);
    check(&png(&[header, chunk(b"eXIf", block), chunk(b"IDAT", b"data")])).unwrap().orientation.value()
}

#[test]
fn every_orientation_is_read_and_others_are_normal() {
    for value in 1..=8 {
        assert_eq!(orientation(&exif(value)), value);
    }
    assert_eq!(orientation(&exif(0)), 1);
    assert_eq!(orientation(&exif(9)), 1);
}

#[test]
fn byte_orders_and_integer_types_are_read() {
    let little = |kind: u8, value: [u8; 4]| {
        [&b"II*\0\x08\0\0\0\x01\0\x12\x01"[..], &[kind, 0, 1, 0, 0, 0], &value, &[0; 4]].concat()
    };
    assert_eq!(orientation(&little(3, [6, 0, 0, 0])), 6);
    assert_eq!(orientation(&little(4, [7, 0, 0, 0])), 7);
    assert_eq!(orientation(&little(1, [8, 0, 0, 0])), 8);
    assert_eq!(orientation(&little(5, [8, 0, 0, 0])), 1);
    assert_eq!(orientation(&little(4, [6, 0, 1, 0])), 1);
}

#[test]
fn a_name_before_the_block_is_passed_over() {
    assert_eq!(orientation(&[b"Exif\0\0".to_vec(), exif(6)].concat()), 6);
}

#[test]
fn a_directory_cut_after_the_orientation_still_orients() {
    let whole = exif(6);
    let entry_end = 8 + 2 + 2 * 12;
    assert_eq!(orientation(&whole[..entry_end]), 6);
    for length in 0..entry_end {
        assert_eq!(orientation(&whole[..length]), 1, "{length} bytes");
    }
}

#[test]
fn a_directory_outside_the_block_is_normal() {
    for at in [0xFFFF_FFFF_u32, 0xFFFF_FFFE, 40_000, 45, 46] {
        let mut block = exif(6);
        block[4..8].copy_from_slice(&at.to_be_bytes());
        assert_eq!(orientation(&block), 1, "directory at {at}");
    }
}
