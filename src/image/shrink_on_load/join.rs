//! Planes of one size → pixels.

use crate::image::pixels::{PixelKind, Pixels};

/// An RGB picture of three planes of equal size; `None` if their sizes differ.
pub(super) fn join(
    [first, second, third]: [Pixels; 3],
    color: impl Fn(u8, u8, u8) -> [u8; 3],
) -> Option<Pixels> {
    let size = first.size();
    if (second.size(), third.size()) != (size, size) {
        return None;
    }
    let mut data = vec![0; first.data().len() * 3];
    let samples = first.data().iter().zip(second.data()).zip(third.data());
    for (pixel, ((&first, &second), &third)) in data.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
        *pixel = color(first, second, third);
    }
    Pixels::new(size, PixelKind::Rgb, data)
}

/// JFIF's YCbCr (BT.601, full range) → RGB, in 65536ths.
pub(super) fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (luma, blue, red) = (i32::from(luma) << 16, i32::from(blue) - 128, i32::from(red) - 128);
    let channel = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [
        channel(luma + 91_881 * red),
        channel(luma - 22_554 * blue - 46_802 * red),
        channel(luma + 116_130 * blue),
    ]
}
