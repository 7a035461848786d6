//! A JPEG decoder that scales pictures down while it decodes.
//!
//! Written from ITU-T T.81. A thumbnail needs a fraction of its source's samples. An inverse transform of fewer points
//! computes only these, and the decoder skips the entropy-coded data that they do not need. Each component becomes a
//! plane of its own, at a scale of its own.
//!
//! Supported are 8-bit Huffman-coded files, sequential and progressive, of one, three or four components in any sampling
//! and any order of scans. Other files ([`Jpeg::read`] recognises them by the header alone) are for another decoder.
//! Colours are neither converted nor managed, and planes keep their different sizes.
//!
//! Lenient where browsers are. The decoder skips bytes between segments. A scan that ends early leaves the rest gray; a
//! damaged one continues after the next restart marker; a scan with illegal parameters is ignored.
//!
//! Invariants: no panic on any bytes; memory as [`Jpeg::peak_bytes`] says, all of it known from the header; time
//! bounded by the length of the data and a hundred passes over the blocks, as at upload; the same bytes on every
//! machine.
//!
//! * `frame`, `scan`, `tables`: the headers. `unstuffed`, `cursor`, `huffman`: the entropy-coded data.
//! * `walk`: the restarts of a scan and its units, for `sequential` and `progressive`, which fill blocks of
//!   coefficients. `skim` finds the starts of blocks of which little is needed, `component` fills them.
//! * `transform`: from a block of coefficients to samples, on the `lanes` of a machine. `energy`: what the coefficients
//!   that become no samples do to the mean light of the block.

mod component;
mod cursor;
mod energy;
mod frame;
mod huffman;
mod lanes;
mod progressive;
mod scan;
mod sequential;
mod skim;
mod tables;
mod transform;
mod unstuffed;
mod walk;

#[cfg(test)]
mod tests;

use super::container::jpeg::{self, Segments};
use super::error::{DecodeFault, RenderError};
use super::header::Limits;
use super::light::Light;
use super::shape::Size;
use frame::{COMPONENTS_MAX, Component, JpegFrame};
use tables::Tables;

/// A file that this decoder supports.
#[derive(Clone, Debug)]
pub struct Jpeg<'a> {
    /// The file from its first marker on.
    source: &'a [u8],
    frame: JpegFrame,
    colors: JpegColors,
    is_common: bool,
    light: Light,
}

/// The meaning of a file's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JpegColors {
    /// One component, luma.
    Gray,
    /// Three: JFIF's luma and colour differences.
    YCbCr,
    /// Three: red, green and blue.
    Rgb,
    /// Four inks, inverted: 0 is full ink.
    Cmyk,
    /// Four: luma and colour differences of three inverted inks, and inverted black.
    Ycck,
}

/// The scale of a decode: samples out of eight, along each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scale {
    /// 1 of 8.
    Eighth,
    /// 2 of 8.
    Quarter,
    /// 4 of 8.
    Half,
    /// 8 of 8.
    Whole,
}

/// The scale of each component; what is beyond the last one is ignored.
pub type Scales = [Scale; COMPONENTS_MAX];

impl Scale {
    /// Samples along the side of a block: 1–8.
    pub const fn block_side(self) -> u32 {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
            Self::Half => 4,
            Self::Whole => 8,
        }
    }
}

/// The samples of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentPlane {
    size: Size,
    across: f64,
    down: f64,
    stride: usize,
    data: Vec<u8>,
}

impl ComponentPlane {
    /// A gray plane, with space for whole blocks.
    fn new(frame: &JpegFrame, component: &Component, scale: Scale) -> Self {
        let stride = (frame.padded_blocks(component).columns * scale.block_side()) as usize;
        let data = vec![128; plane_bytes(frame, component, scale) as usize];
        Self { stride, ..Self::of(frame, component, scale, data) }
    }

    /// A plane of these rows, without padding between them.
    fn of(frame: &JpegFrame, component: &Component, scale: Scale, data: Vec<u8>) -> Self {
        let eighths = f64::from(scale.block_side()) / 8.0;
        let size = frame.plane_size(component, scale);
        Self {
            size,
            across: f64::from(component.across) / f64::from(frame.most_across) * eighths,
            down: f64::from(component.down) / f64::from(frame.most_down) * eighths,
            stride: size.width as usize,
            data,
        }
    }

    /// The size in samples; the last ones may lie partly outside the picture.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Samples per pixel of the picture, along its width: at most 1. The picture begins at the left edge of the first
    /// sample, and ends after its width times this number, within the last sample.
    pub const fn across(&self) -> f64 {
        self.across
    }

    /// Samples per pixel of the picture, along its height.
    pub const fn down(&self) -> f64 {
        self.down
    }

    /// A row, from the top; empty below the last one.
    pub fn row(&self, y: u32) -> &[u8] {
        let start = y as usize * self.stride;
        if y < self.size.height { &self.data[start..start + self.size.width as usize] } else { &[] }
    }

    /// The samples without the padding of blocks beyond the edges: rows of exactly [`ComponentPlane::size`]. Works in
    /// place.
    pub fn into_samples(mut self) -> Vec<u8> {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        if width < self.stride {
            for y in 1..height {
                self.data.copy_within(y * self.stride..y * self.stride + width, y * width);
            }
        }
        self.data.truncate(width * height);
        self.data
    }

    /// The samples from the first one of the block at this place on.
    fn block_mut(&mut self, column: u32, row: u32, side: u32) -> &mut [u8] {
        let start = (row * side) as usize * self.stride + (column * side) as usize;
        &mut self.data[start..]
    }
}

impl<'a> Jpeg<'a> {
    /// Reads the headers up to the first scan. `None` if they are damaged, or if the file is for another decoder.
    pub fn read(source: &'a [u8]) -> Option<Self> {
        let source = jpeg::from_start_of_image(source)?;
        let (mut frame, mut adobe, mut is_jfif, mut tables) = (None, None, false, Tables::default());
        for segment in Segments::of(source) {
            match segment.marker {
                jpeg::DHT | jpeg::JPG | jpeg::DAC => tables.read(&segment),
                0xC0..=0xCF if frame.is_some() => return None,
                marker @ 0xC0..=0xCF => frame = Some(JpegFrame::parse(marker, segment.payload)?),
                jpeg::APP0 => is_jfif |= segment.payload.starts_with(b"JFIF\0"),
                jpeg::APP14 if segment.payload.starts_with(b"Adobe") => {
                    adobe = segment.payload.get(11).copied().or(adobe)
                }
                jpeg::SOS => {
                    let frame = frame?;
                    let scan =
                        scan::Scan::parse(&frame, &segment).filter(|scan| tables.serve(&frame, scan))?;
                    let colors = JpegColors::of(&frame, is_jfif, adobe);
                    let is_common = frame.has_common_sampling()
                        && matches!(colors, JpegColors::Gray | JpegColors::YCbCr)
                        && matches!(adobe, None | Some(1))
                        && (frame.is_progressive || scan.components.len() == frame.components.len());
                    return Some(Self { source, frame, colors, is_common, light: Light::Encoded });
                }
                _ => tables.read(&segment),
            }
        }
        None
    }

    /// The same file, whose samples are means of these values: those of gray, of luma, and of red, green and blue.
    pub const fn with_light(mut self, light: Light) -> Self {
        self.light = light;
        self
    }

    /// The values whose means the samples are.
    pub const fn light(&self) -> Light {
        self.light
    }

    /// Whether its coefficients come in several scans.
    pub const fn is_progressive(&self) -> bool {
        self.frame.is_progressive
    }

    /// Whether the samples of a component are means of linear light, which is a matter of brightness alone.
    pub fn is_lit(&self, component: usize) -> bool {
        self.light == Light::Linear
            && match self.colors {
                JpegColors::Gray | JpegColors::YCbCr => component == 0,
                JpegColors::Rgb => true,
                JpegColors::Cmyk | JpegColors::Ycck => false,
            }
    }

    /// The file, from its first marker on.
    pub const fn source(&self) -> &'a [u8] {
        self.source
    }

    /// The size of the whole picture, in pixels.
    pub const fn size(&self) -> Size {
        self.frame.size
    }

    /// The meaning of the components.
    pub const fn colors(&self) -> JpegColors {
        self.colors
    }

    /// Number of components: 1, 3 or 4.
    pub fn components(&self) -> usize {
        self.frame.components.len()
    }

    /// Whether it is of the kinds that nearly all files are: gray or YCbCr without doubt, colours at the picture's size
    /// or half of it, and progressive or of one scan.
    pub const fn is_common(&self) -> bool {
        self.is_common
    }

    /// Samples of a component per pixel, along width and height: each above 0 and at most 1. `None` beyond the last
    /// component.
    pub fn sampling(&self, component: usize) -> Option<(f64, f64)> {
        let Component { across, down, .. } = self.frame.components.get(component)?;
        let part = |factor: u32, most: u32| f64::from(factor) / f64::from(most);
        Some((part(*across, self.frame.most_across), part(*down, self.frame.most_down)))
    }

    /// The size of a component's plane at this scale; zero beyond the last component.
    pub fn plane_size(&self, component: usize, scale: Scale) -> Size {
        let nothing = Size { width: 0, height: 0 };
        self.frame
            .components
            .get(component)
            .map_or(nothing, |component| self.frame.plane_size(component, scale))
    }

    /// The number of samples of the planes that [`Jpeg::decode`] returns, without the padding of blocks beyond the
    /// edges.
    pub fn samples(&self, scales: Scales) -> u64 {
        (0..self.components()).map(|component| self.plane_size(component, scales[component]).area()).sum()
    }

    /// Restores planes that were decoded at these scales from their concatenated [`ComponentPlane::row`]s; `None` if
    /// there are not [as many samples](Jpeg::samples).
    pub fn split_planes(&self, scales: Scales, mut samples: Vec<u8>) -> Option<Vec<ComponentPlane>> {
        if samples.len() as u64 != self.samples(scales) {
            return None;
        }
        let mut planes = Vec::with_capacity(COMPONENTS_MAX);
        for (component, scale) in self.frame.components.iter().zip(scales) {
            let rest = samples.split_off(self.frame.plane_size(component, scale).area() as usize);
            planes.push(ComponentPlane::of(&self.frame, component, scale, samples));
            samples = rest;
        }
        Some(planes)
    }

    /// Bytes of the planes that [`Jpeg::decode`] returns.
    pub fn planes_bytes(&self, scales: Scales) -> u64 {
        let components = self.frame.components.iter().zip(scales);
        components.map(|(component, scale)| plane_bytes(&self.frame, component, scale)).sum()
    }

    /// Peak memory of [`Jpeg::decode`] in bytes, its result included: an upper bound.
    pub fn peak_bytes(&self, scales: Scales) -> u64 {
        let components = self.frame.components.iter().zip(scales).enumerate();
        let coefficients =
            components.filter(|_| self.frame.is_progressive).map(|(at, (component, scale))| {
                progressive::storage_bytes(&self.frame, component, scale, self.is_lit(at))
            });
        self.planes_bytes(scales) + coefficients.sum::<u64>() + WORK_BYTES_MAX
    }

    /// Decodes each component at its scale; ignores `scales` beyond the last component. Calls `keep_going` for every
    /// row of blocks.
    ///
    /// # Errors
    ///
    /// [`RenderError::TooLarge`] before anything is allocated; [`RenderError::Undecodable`] if no scan can be read or
    /// there are more than a hundred; [`RenderError::Cancelled`] once `keep_going` returns false.
    pub fn decode(
        &self,
        scales: Scales,
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<Vec<ComponentPlane>, RenderError> {
        self.run(scales, limits, keep_going).map(|(planes, _)| planes)
    }

    /// Whether all data of all blocks is there, found by a walk over it. For a file without its end marker: nothing
    /// else tells a whole one from one that was cut.
    ///
    /// # Errors
    ///
    /// As [`Jpeg::decode`].
    pub fn is_whole(&self, limits: &Limits, keep_going: &dyn Fn() -> bool) -> Result<bool, RenderError> {
        self.run(self.scales_of_walk(), limits, keep_going).map(|(_, is_whole)| is_whole)
    }

    /// Peak memory of [`Jpeg::is_whole`] in bytes: an upper bound.
    pub fn walk_peak_bytes(&self) -> u64 {
        self.peak_bytes(self.scales_of_walk())
    }

    /// The least scales at which all data is read. Later scans of a progressive file refer to all coefficients.
    const fn scales_of_walk(&self) -> Scales {
        [if self.frame.is_progressive { Scale::Whole } else { Scale::Eighth }; COMPONENTS_MAX]
    }

    fn run(
        &self,
        scales: Scales,
        limits: &Limits,
        keep_going: &dyn Fn() -> bool,
    ) -> Result<(Vec<ComponentPlane>, bool), RenderError> {
        let pixels_max = limits.pixels_max;
        if self.frame.size.area() > pixels_max {
            return Err(RenderError::TooLarge { pixels_max });
        }
        let scans = scan::list(self.source, &self.frame).ok_or(CORRUPT)?;
        let work = Work {
            lit: [0, 1, 2, 3].map(|component| self.is_lit(component)),
            source: self.source,
            frame: &self.frame,
            scans: &scans,
            scales,
            skimmed_bytes_min: SKIMMED_BYTES_MIN,
            keep_going,
        };
        if self.frame.is_progressive { progressive::decode(&work) } else { sequential::decode(&work) }
    }
}

impl JpegColors {
    /// The meaning that every reader gives them: JFIF has one meaning of three components, and without it Adobe's segment says
    /// what they are. Four are always inverted, with Adobe's segment or without.
    fn of(frame: &JpegFrame, is_jfif: bool, adobe: Option<u8>) -> Self {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (ids.as_slice(), adobe) {
            ([_], _) => Self::Gray,
            ([_, _, _, _], None | Some(0)) => Self::Cmyk,
            ([_, _, _, _], Some(_)) => Self::Ycck,
            (_, Some(0)) | (b"RGB", None) if !is_jfif => Self::Rgb,
            _ => Self::YCbCr,
        }
    }
}

/// A decode job, sequential or progressive.
struct Work<'a> {
    source: &'a [u8],
    frame: &'a JpegFrame,
    scans: &'a [scan::Scan],
    scales: Scales,
    /// The components whose samples are means of linear light.
    lit: [bool; COMPONENTS_MAX],
    /// Least bytes of a scan's data for which skim tables are made.
    skimmed_bytes_min: usize,
    keep_going: &'a dyn Fn() -> bool,
}

impl Work<'_> {
    /// One gray plane for each component.
    fn planes(&self) -> Vec<ComponentPlane> {
        let components = self.frame.components.iter().zip(self.scales);
        components.map(|(component, scale)| ComponentPlane::new(self.frame, component, scale)).collect()
    }
}

/// Bytes of a plane with all of its blocks.
fn plane_bytes(frame: &JpegFrame, component: &Component, scale: Scale) -> u64 {
    let side = u64::from(scale.block_side());
    frame.padded_blocks(component).area() * side * side
}

/// For less data the construction of skim tables costs more than it saves.
const SKIMMED_BYTES_MIN: usize = 32 << 10;

/// Tables and lists: at most eight tables of codes of less than 5 KiB are alive at a time, 5 KiB of definitions, 100
/// scans of less than 200 bytes, and 2 KiB for the places of a batch's blocks.
const WORK_BYTES_MAX: u64 = (80 << 10) + skim::SKIM_TABLES_BYTES + unstuffed::UNSTUFFED_BYTES_MAX;

/// The data breaks the rules beyond what the decoder tolerates.
const CORRUPT: RenderError = RenderError::Undecodable(DecodeFault::Corrupt);
