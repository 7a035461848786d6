//! Baseline JPEGs whose components come in scans of their own.
//!
//! The library mistakes the size of such scans where colour is stored at fewer pixels than luma: the picture
//! turns green. A component alone in its scan is laid out exactly like a gray picture of the component's size,
//! so each is given to the decoder as one, and the planes are put together here.

use super::{CORRUPT, UNSUPPORTED, decode_interleaved};
use crate::image::container::jpeg::{SOS, Segment, Segments};
use crate::image::error::RenderError;
use crate::image::geometry::{Rect, Size};
use crate::image::pixels::{Kind, Pixels};
use crate::image::resize;

/// Three components in three scans. `holds_rgb`: they are red, green and blue as they are.
pub(super) fn decode(source: &[u8], size: Size, holds_rgb: bool) -> Result<Pixels, RenderError> {
    let mut frame = None;
    let mut tables = Vec::new();
    let mut planes: [Option<Pixels>; 3] = [None, None, None];
    let mut segments = Segments::of(source).peekable();
    while let Some(segment) = segments.next() {
        match segment.marker {
            // Quantisation and Huffman tables, and the restart interval, hold until they are replaced.
            0xDB | 0xC4 | 0xDD => tables.extend_from_slice(&source[segment.start..segment.end()]),
            0xC0 | 0xC1 if frame.is_none() => frame = Some(Frame::parse(segment.payload).ok_or(UNSUPPORTED)?),
            SOS => {
                let frame = frame.as_ref().ok_or(CORRUPT)?;
                let end = segments.peek().map_or(source.len(), |next| next.start);
                let (index, huffman) = frame.scan(&segment)?;
                if planes[index].is_none() {
                    let plane_size = frame.plane_size(index, size);
                    let head = frame.gray_head(index, huffman, plane_size);
                    let file =
                        [&[0xFF, 0xD8], &tables[..], &head, &source[segment.end()..end], &[0xFF, 0xD9]]
                            .concat();
                    planes[index] = Some(decode_interleaved(&file, plane_size)?);
                }
            }
            _ => {}
        }
    }
    let frame = frame.ok_or(CORRUPT)?;
    let [first, second, third] = planes;
    let whole = |index: usize, plane: Option<Pixels>| frame.enlarged(index, plane.ok_or(CORRUPT)?, size);
    Ok(joined(&whole(0, first)?, &whole(1, second)?, &whole(2, third)?, holds_rgb))
}

/// A frame header of three components.
struct Frame {
    components: [Component; 3],
    most_across: u32,
    most_down: u32,
}

#[derive(Clone, Copy)]
struct Component {
    id: u8,
    /// Sampling factors: 1–4.
    across: u32,
    down: u32,
    quantization: u8,
}

impl Frame {
    /// `None` unless it has 8 bits and three components with legal sampling.
    fn parse(payload: &[u8]) -> Option<Self> {
        let [8, _, _, _, _, 3, components @ ..] = payload else { return None };
        let component = |index: usize| -> Option<Component> {
            let fields = components.get(index * 3..index * 3 + 3)?;
            let (across, down) = (u32::from(fields[1] >> 4), u32::from(fields[1] & 15));
            let legal = (1..=4).contains(&across) && (1..=4).contains(&down);
            legal.then_some(Component { id: fields[0], across, down, quantization: fields[2] })
        };
        let components = [component(0)?, component(1)?, component(2)?];
        let most = |of: fn(&Component) -> u32| components.iter().map(of).max();
        Some(Self { components, most_across: most(|c| c.across)?, most_down: most(|c| c.down)? })
    }

    /// The samples of a component.
    fn plane_size(&self, index: usize, size: Size) -> Size {
        let Component { across, down, .. } = self.components[index];
        // Sides are below 65536 and factors at most 4, so nothing overflows.
        Size {
            width: (size.width * across).div_ceil(self.most_across),
            height: (size.height * down).div_ceil(self.most_down),
        }
    }

    /// The component of a scan, and its Huffman tables.
    fn scan(&self, segment: &Segment<'_>) -> Result<(usize, u8), RenderError> {
        // Scans of two of the three components are legal too, and nobody writes them.
        let [1, id, huffman, _, _, _] = *segment.payload else { return Err(UNSUPPORTED) };
        let index = self.components.iter().position(|component| component.id == id).ok_or(CORRUPT)?;
        Ok((index, huffman))
    }

    /// Frame and scan header of a gray picture that has a component's data.
    fn gray_head(&self, index: usize, huffman: u8, size: Size) -> [u8; 23] {
        let Component { id, quantization, .. } = self.components[index];
        // Sides of a JPEG fit in 16 bits, and a plane is no larger than its picture.
        let [_, _, high, low] = size.height.to_be_bytes();
        let [_, _, right, left] = size.width.to_be_bytes();
        let frame = [0xFF, 0xC1, 0, 11, 8, high, low, right, left, 1, id, 0x11, quantization];
        let scan = [0xFF, SOS, 0, 8, 1, id, huffman, 0, 63, 0];
        std::array::from_fn(|at| if at < frame.len() { frame[at] } else { scan[at - frame.len()] })
    }

    /// The component at the picture's size. Its last sample may reach past the picture's edge.
    fn enlarged(&self, index: usize, plane: Pixels, size: Size) -> Result<Pixels, RenderError> {
        let Component { across, down, .. } = self.components[index];
        let window = Rect {
            x: 0.0,
            y: 0.0,
            width: f64::from(size.width * across) / f64::from(self.most_across),
            height: f64::from(size.height * down) / f64::from(self.most_down),
        };
        resize::resize(plane, window, size)
    }
}

/// One RGB picture of three planes of equal size.
fn joined(first: &Pixels, second: &Pixels, third: &Pixels, holds_rgb: bool) -> Pixels {
    let triples = first.data().iter().zip(second.data()).zip(third.data());
    let color = |((&first, &second), &third)| {
        if holds_rgb { [first, second, third] } else { rgb(first, second, third) }
    };
    let data = triples.flat_map(color).collect();
    Pixels::new(first.size(), Kind::Rgb, data).expect("each sample of the planes has become one pixel")
}

/// JFIF's YCbCr (BT.601, full range) → RGB, in 65536ths.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (luma, blue, red) = (i32::from(luma) << 16, i32::from(blue) - 128, i32::from(red) - 128);
    let channel = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [
        channel(luma + 91_881 * red),
        channel(luma - 22_554 * blue - 46_802 * red),
        channel(luma + 116_130 * blue),
    ]
}
