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

/// Four planes of equal size, sample by sample; `None` if their sizes differ.
pub(super) fn interleaved([first, second, third, fourth]: [Pixels; 4]) -> Option<Vec<u8>> {
    let size = first.size();
    if [&second, &third, &fourth].iter().any(|plane| plane.size() != size) {
        return None;
    }
    let mut data = vec![0; first.data().len() * 4];
    let samples = first.data().iter().zip(second.data()).zip(third.data()).zip(fourth.data());
    for (pixel, (((&first, &second), &third), &fourth)) in data.as_chunks_mut::<4>().0.iter_mut().zip(samples)
    {
        *pixel = [first, second, third, fourth];
    }
    Some(data)
}
