//! One coded picture: its parameter sets and slices, read from an item of the container.

use heifer_hevc_dec::nal::{NalHeader, NalUnit};
use heifer_hevc_dec::params::{ParameterSets, Pps, Sps};
use heifer_hevc_dec::slice::SliceHeader;

use super::super::{CORRUPT, SIZE_DIFFERS};
use super::fault;
use crate::image::error::RenderError;
use crate::image::shape::{Rect, Size};

/// Bytes of a configuration record before its lists of parameter sets.
const CONFIG_HEAD_BYTES: usize = 22;
/// Pixels by which a coded picture may be longer than announced: padding to whole blocks, which have at most 64.
const PADDING_MAX: u32 = 127;

/// A coded picture, of which nothing is decoded yet.
pub(super) struct CodedPicture<'a> {
    sets: ParameterSets,
    slices: Vec<(SliceHeader, NalUnit<'a>)>,
}

impl<'a> CodedPicture<'a> {
    /// Reads the parameter sets of `config` (the content of a `hvcC` box) and `data`, and the headers of the first
    /// picture's slices.
    pub(super) fn read(config: &'a [u8], data: &'a [u8]) -> Result<Self, RenderError> {
        let (mut sets, mut slices) = (ParameterSets::default(), Vec::new());
        for unit in config_units(config)? {
            sets.add(&NalUnit::parse(unit).map_err(fault)?).map_err(fault)?;
        }
        // Two bits of the record say how many bytes a length has, less one.
        let length_bytes = usize::from(config[CONFIG_HEAD_BYTES - 1] & 3) + 1;
        let mut rest = data;
        while !rest.is_empty() {
            let unit = take_unit(&mut rest, length_bytes)?;
            let head = NalHeader::parse(unit).map_err(fault)?;
            if head.layer_id != 0 {
                continue;
            }
            if !head.unit_type.is_slice() {
                if slices.is_empty() {
                    sets.add(&NalUnit::parse(unit).map_err(fault)?).map_err(fault)?;
                }
                continue;
            }
            // The first bit of a slice says whether it begins a picture.
            if unit.get(2).is_some_and(|byte| byte & 0x80 != 0) && !slices.is_empty() {
                break;
            }
            let unit = NalUnit::parse(unit).map_err(fault)?;
            let before = slices.iter().rev().map(|(header, _): &(SliceHeader, NalUnit<'_>)| header);
            let before = before.into_iter().find(|header| !header.dependent_slice_segment_flag);
            let header = SliceHeader::parse(&unit.rbsp, &unit.header, &sets, before).map_err(fault)?;
            slices.push((header, unit));
        }
        if slices.is_empty() { Err(CORRUPT) } else { Ok(Self { sets, slices }) }
    }

    /// The parameter sets that the picture uses.
    pub(super) fn parameters(&self) -> Result<(&Pps, &Sps), RenderError> {
        let id = self.slices.first().map_or(0, |(header, _)| header.slice_pic_parameter_set_id);
        self.sets.get(usize::from(id)).map_err(fault)
    }

    /// The slices, each with the quantiser with which it begins, and its data.
    pub(super) fn slices(&self) -> impl Iterator<Item = Result<(&SliceHeader, i32, &[u8]), RenderError>> {
        self.slices.iter().map(|(header, unit)| {
            let quantizer = header.slice_qp_y(&self.sets).map_err(fault)?;
            Ok((header, quantizer, unit.rbsp.get(header.header_size..).ok_or(CORRUPT)?))
        })
    }

    /// The part of the coded picture that shows these pixels.
    ///
    /// # Errors
    ///
    /// `Undecodable` if the coded picture is smaller than that, or larger by more than its padding.
    pub(super) fn shown(&self, size: Size) -> Result<Rect<u32>, RenderError> {
        let (_, sps) = self.parameters()?;
        let (width, height) = sps.output_size();
        let (across, down) = sps.chroma_subsampling();
        let [left, _, top, _] = sps.conf_win_offsets;
        let (x, y) = (left.saturating_mul(across), top.saturating_mul(down));
        let fits = |coded: u32, start: u32, shown: u32, announced: u32| {
            let end = start.checked_add(announced);
            shown >= announced
                && coded - announced.min(coded) <= PADDING_MAX
                && end.is_some_and(|end| end <= coded)
        };
        if fits(sps.pic_width_in_luma_samples, x, width, size.width)
            && fits(sps.pic_height_in_luma_samples, y, height, size.height)
        {
            Ok(Rect { x, y, width: size.width, height: size.height })
        } else {
            Err(SIZE_DIFFERS)
        }
    }

    /// Whether the picture can be decoded in bands: its blocks come row by row, and no block depends on the slice of its
    /// neighbour.
    pub(super) fn is_row_by_row(&self) -> bool {
        let is_one = self.slices.iter().skip(1).all(|(header, _)| header.dependent_slice_segment_flag);
        is_one && self.parameters().is_ok_and(|(pps, _)| pps.tiles.is_none())
    }
}

/// The parameter sets of a configuration record: lists, each with a type, a count, and units with their lengths.
fn config_units(config: &[u8]) -> Result<Vec<&[u8]>, RenderError> {
    let (head, mut rest) = config.split_at_checked(CONFIG_HEAD_BYTES).ok_or(CORRUPT)?;
    let ([1, ..], Some((lists, after))) = (head, rest.split_first()) else { return Err(CORRUPT) };
    rest = after;
    let mut units = Vec::new();
    for _ in 0..*lists {
        let ([_, high, low], after) = rest.split_first_chunk().ok_or(CORRUPT)?;
        rest = after;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            units.push(take_unit(&mut rest, 2)?);
        }
    }
    Ok(units)
}

/// Takes a length of so many bytes, and a unit of this length.
fn take_unit<'a>(rest: &mut &'a [u8], length_bytes: usize) -> Result<&'a [u8], RenderError> {
    let (length, after) = rest.split_at_checked(length_bytes).ok_or(CORRUPT)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (unit, after) = after.split_at_checked(length).ok_or(CORRUPT)?;
    *rest = after;
    Ok(unit)
}
