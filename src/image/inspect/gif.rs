//! GIF: header, logical screen, blocks walked by their sub-blocks, trailer.
//!
//! One whole image makes a file. As in browsers, zeros between blocks are skipped, and behind a whole image anything
//! else that is no block ends the file; so does its end, also in the middle of a further image, which does not count.
//!
//! The size is the logical screen's. An image that reaches outside it is accepted, because viewers clip it. Its own
//! area must keep the pixel limit, too, because a decoder allocates that much.

use super::notes::Notes;
use super::walk::{Field, Walk, check_pixels, check_size, skip};
use super::{BrokenFile, InspectError, Inspected};
use crate::image::container::gif::color_table_bytes;
use crate::image::header::{ColorKind, Header, Limits, Orientation, PixelFormat};
use crate::object::Format;

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const TRAILER: u8 = 0x3B;
const GRAPHIC_CONTROL: u8 = 0xF9;

#[derive(Debug)]
pub(super) struct Gif {
    limits: Limits,
    state: GifState,
    field: Field,
    /// Remaining bytes of a colour table or sub-block.
    left: u64,
    width: u16,
    height: u16,
    global_colors: bool,
    /// Whether the image that is being read has any pixel.
    image_area: bool,
    /// Whether it has any data.
    image_data: bool,
    /// Whole images.
    frames: u32,
    /// Whether any whole image has area and data.
    picture: bool,
    transparent: bool,
    notes: Notes,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum GifState {
    Signature,
    Screen,
    GlobalColors,
    Block,
    ExtensionLabel,
    GraphicControlSize,
    GraphicControlFlags,
    Image,
    LocalColors,
    CodeSize,
    SubBlockSize(Chain),
    SubBlock(Chain),
    Done,
}

/// The block that a chain of sub-blocks belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    Extension,
    Image,
}

impl Gif {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: GifState::Signature,
            field: Field::default(),
            left: 0,
            width: 0,
            height: 0,
            global_colors: false,
            image_area: false,
            image_data: false,
            frames: 0,
            picture: false,
            transparent: false,
            notes: Notes::default(),
        }
    }

    pub(super) fn finish(self) -> Result<Inspected, InspectError> {
        if !self.picture {
            return Err(InspectError::Truncated(Format::Gif));
        }
        let header = Header {
            format: Format::Gif,
            width: u32::from(self.width),
            height: u32::from(self.height),
            orientation: Orientation::NORMAL,
            frames: self.frames,
            has_alpha: self.transparent,
            color: PixelFormat { kind: ColorKind::Palette, bits: 8 },
        };
        Ok(Inspected::new(header, self.notes))
    }
}

impl Walk for Gif {
    type State = GifState;

    fn enter(&mut self, state: GifState) {
        self.state = state;
    }

    fn field(&mut self) -> &mut Field {
        &mut self.field
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<GifState>, InspectError> {
        match self.state {
            GifState::Signature => Ok(self.field.take::<6>(input).map(|_| GifState::Screen)),
            GifState::Screen => self.take_then(input, Self::read_screen),
            GifState::GlobalColors => Ok(skip(input, &mut self.left).map(|()| GifState::Block)),
            GifState::Block => self.take_then(input, |gif, [kind]| gif.begin_block(kind)),
            GifState::ExtensionLabel => self.take_then(input, |_, [label]| {
                Ok(if label == GRAPHIC_CONTROL {
                    GifState::GraphicControlSize
                } else {
                    GifState::SubBlockSize(Chain::Extension)
                })
            }),
            GifState::GraphicControlSize => {
                self.take_then(input, |gif, [size]| Ok(gif.begin_graphic_control(size)))
            }
            GifState::GraphicControlFlags => self.take_then(input, |gif, [flags]| {
                gif.transparent |= flags & 1 == 1;
                Ok(GifState::SubBlock(Chain::Extension))
            }),
            GifState::Image => self.take_then(input, Self::read_image),
            GifState::LocalColors => Ok(skip(input, &mut self.left).map(|()| GifState::CodeSize)),
            GifState::CodeSize => self.take_then(input, |_, [bits]| read_code_size(bits)),
            GifState::SubBlockSize(chain) => {
                self.take_then(input, |gif, [size]| Ok(gif.begin_sub_block(chain, size)))
            }
            GifState::SubBlock(Chain::Image) => {
                Ok(skip(input, &mut self.left).map(|()| GifState::SubBlockSize(Chain::Image)))
            }
            GifState::SubBlock(Chain::Extension) => Ok(self
                .notes
                .gather(input, &mut self.left)
                .map(|()| GifState::SubBlockSize(Chain::Extension))),
            GifState::Done => Ok(None),
        }
    }
}

impl Gif {
    fn read_screen(&mut self, [w0, w1, h0, h1, flags, _, _]: [u8; 7]) -> Result<GifState, InspectError> {
        self.width = u16::from_le_bytes([w0, w1]);
        self.height = u16::from_le_bytes([h0, h1]);
        check_size(u32::from(self.width), u32::from(self.height), self.limits)?;
        self.left = color_table_bytes(flags) as u64;
        self.global_colors = self.left > 0;
        Ok(GifState::GlobalColors)
    }

    fn begin_block(&mut self, kind: u8) -> Result<GifState, InspectError> {
        match kind {
            EXTENSION => Ok(GifState::ExtensionLabel),
            IMAGE => Ok(GifState::Image),
            0 => Ok(GifState::Block),
            _ if self.picture => Ok(GifState::Done),
            TRAILER => Err(InspectError::Broken(BrokenFile::GifNoImage)),
            _ => Err(InspectError::Broken(BrokenFile::GifBlock)),
        }
    }

    fn begin_graphic_control(&mut self, size: u8) -> GifState {
        // Shorter than the four bytes of the standard, so it does not define transparency.
        if size < 4 {
            return self.begin_sub_block(Chain::Extension, size);
        }
        self.left = u64::from(size) - 1;
        GifState::GraphicControlFlags
    }

    fn read_image(&mut self, [_, _, _, _, w0, w1, h0, h1, flags]: [u8; 9]) -> Result<GifState, InspectError> {
        let width = u16::from_le_bytes([w0, w1]);
        let height = u16::from_le_bytes([h0, h1]);
        check_pixels(u32::from(width), u32::from(height), self.limits)?;
        self.image_area = width > 0 && height > 0;
        self.image_data = false;
        self.left = color_table_bytes(flags) as u64;
        if self.left == 0 && !self.global_colors {
            return Err(InspectError::Broken(BrokenFile::GifNoColors));
        }
        Ok(GifState::LocalColors)
    }

    fn begin_sub_block(&mut self, chain: Chain, size: u8) -> GifState {
        if chain == Chain::Extension {
            // XMP is not in sub-blocks: what reads as their sizes is text.
            self.notes.take(&[size]);
        }
        if size == 0 {
            match chain {
                Chain::Image => {
                    self.frames = self.frames.saturating_add(1);
                    self.picture |= self.image_area && self.image_data;
                }
                Chain::Extension => self.notes.end_text(),
            }
            return GifState::Block;
        }
        self.image_data |= chain == Chain::Image;
        self.left = u64::from(size);
        GifState::SubBlock(chain)
    }
}

/// LZW codes have at most 12 bits, and at the start one more than this size.
fn read_code_size(bits: u8) -> Result<GifState, InspectError> {
    if (1..=11).contains(&bits) {
        Ok(GifState::SubBlockSize(Chain::Image))
    } else {
        Err(InspectError::Broken(BrokenFile::GifCodeSize))
    }
}
