//! The upload inspector: one verdict, however the bytes were cut.

use reticulum::image::header::Header;
use reticulum::image::inspect::{self, InspectError, Inspector};

use super::LIMITS;

/// Any bytes, pushed whole, in pieces of made-up lengths, and one by one.
pub fn inspect(data: &[u8]) {
    let whole = inspect::inspect(data, LIMITS);
    // The lengths come from the bytes, so that an input replays.
    let mut state =
        data.iter().fold(data.len() as u32, |state, byte| state.wrapping_mul(0x0100_0193) ^ u32::from(*byte));
    let mut length = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(0x3C6E_F35F);
        // Often short, sometimes nothing at all.
        (state >> 16) as usize >> (state >> 12 & 15)
    };
    assert_eq!(in_pieces(data, &mut length), whole, "in pieces");
    if data.len() <= 4096 {
        assert_eq!(in_pieces(data, &mut || 1), whole, "byte by byte");
    }
    if let Ok(header) = whole {
        assert!(header.width > 0 && header.height > 0 && header.frames > 0, "{header:?}");
        assert!(header.stored().area() <= LIMITS.pixels_max, "{header:?}");
    }
}

fn in_pieces(mut data: &[u8], length: &mut dyn FnMut() -> usize) -> Result<Header, InspectError> {
    let mut inspector = Inspector::new(LIMITS);
    while !data.is_empty() {
        let (piece, rest) = data.split_at(length().min(data.len()));
        inspector.push(piece)?;
        data = rest;
    }
    Ok(inspector.finish()?.header)
}
