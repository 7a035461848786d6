//! The blocks of a GIF file.
//!
//! Reads files as browsers do: blocks of unknown kinds are skipped, zeros between blocks mean nothing, and any other
//! byte in place of a block ends the file like its trailer. A block that the end of the file cuts is left out.

/// Header and screen descriptor.
const HEAD_BYTES: usize = 13;
const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const GRAPHIC_CONTROL: u8 = 0xF9;
const APPLICATION: u8 = 0xFF;

/// A GIF file.
#[derive(Clone)]
pub(in crate::image) struct GifFile<'a> {
    pub(in crate::image) width: u16,
    pub(in crate::image) height: u16,
    /// The file up to its first block.
    pub(in crate::image) head: &'a [u8],
    blocks: Blocks<'a>,
}

/// A block and its bytes.
pub(in crate::image) struct GifBlock<'a> {
    pub(in crate::image) kind: GifBlockKind<'a>,
    pub(in crate::image) bytes: &'a [u8],
}

/// The meaning of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum GifBlockKind<'a> {
    Image,
    GraphicControl,
    /// With the name of the application.
    Application(&'a [u8]),
    Other,
}

/// An image, and the graphic control block in front of it.
#[derive(Clone)]
pub(in crate::image) struct GifImage<'a> {
    pub(in crate::image) left: u16,
    pub(in crate::image) top: u16,
    pub(in crate::image) width: u16,
    pub(in crate::image) height: u16,
    pub(in crate::image) interlaced: bool,
    /// RGB; the local colour table, else the common one, else empty.
    pub(in crate::image) palette: &'a [u8],
    /// Bits of a colour in the LZW codes, as the file says it.
    pub(in crate::image) code_size: u8,
    pub(in crate::image) data: SubBlocks<'a>,
    pub(in crate::image) control: GraphicControl,
}

#[derive(Clone, Copy, Default)]
pub(in crate::image) struct GraphicControl {
    /// 0–7.
    pub(in crate::image) disposal: u8,
    /// In hundredths of a second.
    pub(in crate::image) delay: u16,
    pub(in crate::image) transparent: Option<u8>,
}

/// The payloads of a block, each of 1 to 255 bytes.
#[derive(Clone)]
pub(in crate::image) struct SubBlocks<'a>(&'a [u8]);

impl<'a> GifFile<'a> {
    /// `None` unless the file has a whole head.
    pub(in crate::image) fn of(source: &'a [u8]) -> Option<Self> {
        let &[b'G', b'I', b'F', _, _, _, w0, w1, h0, h1, flags, _, _] = source.first_chunk::<HEAD_BYTES>()?
        else {
            return None;
        };
        let (palette, rest) = source[HEAD_BYTES..].split_at_checked(color_table_bytes(flags))?;
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        let head = &source[..source.len() - rest.len()];
        Some(Self { width, height, head, blocks: Blocks { palette, rest } })
    }

    /// The whole images, in order.
    pub(in crate::image) fn images(&self) -> GifImages<'a> {
        GifImages(self.blocks.clone())
    }

    /// The whole blocks, in order.
    pub(in crate::image) fn blocks(&self) -> impl Iterator<Item = GifBlock<'a>> + use<'a> {
        let mut blocks = self.blocks.clone();
        std::iter::from_fn(move || {
            let before = blocks.without_zeros();
            let kind = match blocks.next()? {
                Block::Image(_) => GifBlockKind::Image,
                Block::Extension(GRAPHIC_CONTROL, _) => GifBlockKind::GraphicControl,
                Block::Extension(APPLICATION, mut data) => {
                    GifBlockKind::Application(data.next().unwrap_or_default())
                }
                Block::Extension(..) => GifBlockKind::Other,
            };
            Some(GifBlock { kind, bytes: &before[..before.len() - blocks.rest.len()] })
        })
    }

    /// The number of times that the animation is played, 0 is endless. The file stores repetitions, wherever it likes; the last block
    /// counts. Without one the animation plays once.
    pub(in crate::image) fn loop_count(&self) -> u32 {
        let repetitions = self.blocks.clone().filter_map(|block| match block {
            Block::Extension(APPLICATION, data) => repetitions(data),
            _ => None,
        });
        match repetitions.last() {
            None => 1,
            Some(0) => 0,
            Some(repetitions) => u32::from(repetitions) + 1,
        }
    }
}

/// See [`GifFile::images`].
#[derive(Clone)]
pub(in crate::image) struct GifImages<'a>(Blocks<'a>);

impl<'a> Iterator for GifImages<'a> {
    type Item = GifImage<'a>;

    fn next(&mut self) -> Option<GifImage<'a>> {
        let mut control = GraphicControl::default();
        loop {
            match self.0.next()? {
                Block::Image(image) => return Some(GifImage { control, ..image }),
                Block::Extension(GRAPHIC_CONTROL, data) => {
                    control = GraphicControl::of(data).unwrap_or(control);
                }
                Block::Extension(..) => {}
            }
        }
    }
}

impl GraphicControl {
    fn of(mut data: SubBlocks<'_>) -> Option<Self> {
        let &[flags, d0, d1, index] = data.next()?.first_chunk()?;
        let transparent = (flags & 1 == 1).then_some(index);
        Some(Self { disposal: (flags >> 2) & 7, delay: u16::from_le_bytes([d0, d1]), transparent })
    }
}

/// The repetitions that an application block asks for. Netscape defined the block, and ANIMEXTS copied it.
fn repetitions(mut data: SubBlocks<'_>) -> Option<u16> {
    if !matches!(data.next()?, b"NETSCAPE2.0" | b"ANIMEXTS1.0") {
        return None;
    }
    data.find_map(|part| match part {
        &[kind, low, high, ..] if kind & 7 == 1 => Some(u16::from_le_bytes([low, high])),
        _ => None,
    })
}

impl<'a> SubBlocks<'a> {
    /// The sub-blocks at the start of `source`, and what follows their terminator; `None` if the source ends before.
    fn split(source: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut end = 0;
        loop {
            match usize::from(*source.get(end)?) {
                0 => return Some((Self(&source[..end]), &source[end + 1..])),
                size => end += 1 + size,
            }
        }
    }
}

impl<'a> Iterator for SubBlocks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&size, rest) = self.0.split_first()?;
        let (part, rest) = rest.split_at_checked(usize::from(size))?;
        self.0 = rest;
        Some(part)
    }
}

enum Block<'a> {
    /// Label and data.
    Extension(u8, SubBlocks<'a>),
    /// An image without its graphic control.
    Image(GifImage<'a>),
}

/// The whole blocks of a file up to its trailer, or to bytes that are no block.
#[derive(Clone)]
struct Blocks<'a> {
    /// The common colour table.
    palette: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (&kind, rest) = self.without_zeros().split_first()?;
        let (block, rest) = match kind {
            EXTENSION => {
                let (&label, rest) = rest.split_first()?;
                let (data, rest) = SubBlocks::split(rest)?;
                (Block::Extension(label, data), rest)
            }
            IMAGE => self.image(rest)?,
            _ => return None,
        };
        self.rest = rest;
        Some(block)
    }
}

impl<'a> Blocks<'a> {
    /// The rest from the next block on.
    fn without_zeros(&self) -> &'a [u8] {
        let zeros = self.rest.iter().take_while(|byte| **byte == 0).count();
        &self.rest[zeros..]
    }

    /// The image whose descriptor `source` begins with, and what follows it.
    fn image(&self, source: &'a [u8]) -> Option<(Block<'a>, &'a [u8])> {
        let (&[x0, x1, y0, y1, w0, w1, h0, h1, flags], rest) = source.split_first_chunk()?;
        let (local, rest) = rest.split_at_checked(color_table_bytes(flags))?;
        let (&code_size, rest) = rest.split_first()?;
        let (data, rest) = SubBlocks::split(rest)?;
        let image = GifImage {
            left: u16::from_le_bytes([x0, x1]),
            top: u16::from_le_bytes([y0, y1]),
            width: u16::from_le_bytes([w0, w1]),
            height: u16::from_le_bytes([h0, h1]),
            interlaced: flags & 0x40 != 0,
            palette: if local.is_empty() { self.palette } else { local },
            code_size,
            data,
            control: GraphicControl::default(),
        };
        Some((Block::Image(image), rest))
    }
}

/// Bytes of the colour table that these flags announce: 0, or 6 to 768.
pub(in crate::image) const fn color_table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GIF89a\x04\0\x03\0\x80\0\0AAABBB";
    const IMAGE: &[u8] = b"\x2C\x01\0\x02\0\x03\0\x01\0\x40\x02\x02xy\x01z\0";
    const NETSCAPE: &[u8] = b"\x21\xFF\x0BNETSCAPE2.0\x03\x01\x05\0\0";

    fn file(blocks: &[&[u8]]) -> Vec<u8> {
        [HEAD, &blocks.concat()].concat()
    }

    fn images(blocks: &[&[u8]]) -> usize {
        GifFile::of(&file(blocks)).unwrap().images().count()
    }

    fn loops(blocks: &[&[u8]]) -> u32 {
        GifFile::of(&file(blocks)).unwrap().loop_count()
    }

    #[test]
    fn an_image_has_its_place_its_colours_and_the_control_before_it() {
        let local = b"\x2C\0\0\0\0\x04\0\x03\0\x80CCCDDD\x07\0";
        let control = b"\x21\xF9\x04\x15\x0A\x01\x63\0";
        let bytes = file(&[control, b"\x21\xFE\x01c\0", IMAGE, local, b";"]);
        let gif = GifFile::of(&bytes).unwrap();
        assert_eq!((gif.width, gif.height), (4, 3));
        let [first, second] = gif.images().collect::<Vec<_>>().try_into().ok().unwrap();
        assert_eq!((first.left, first.top, first.width, first.height), (1, 2, 3, 1));
        assert!(first.interlaced && !second.interlaced);
        assert_eq!((first.palette, first.code_size), (&b"AAABBB"[..], 2));
        assert_eq!(first.data.collect::<Vec<_>>(), [&b"xy"[..], b"z"]);
        let control = first.control;
        assert_eq!((control.disposal, control.delay, control.transparent), (5, 266, Some(0x63)));
        assert_eq!((second.palette, second.code_size, second.data.count()), (&b"CCCDDD"[..], 7, 0));
        let control = second.control;
        assert_eq!((control.disposal, control.delay, control.transparent), (0, 0, None));
    }

    #[test]
    fn unknown_blocks_and_zeros_are_skipped_and_junk_ends_the_file() {
        assert_eq!(images(&[IMAGE, b"\0\0\0", IMAGE, b"\x21\x42\x02hi\x01x\0", IMAGE, b"\x21\0\0"]), 3);
        assert_eq!(images(&[IMAGE, b";", IMAGE]), 1);
        assert_eq!(images(&[IMAGE, b"junk", IMAGE]), 1);
        assert_eq!(images(&[b"\x21\xF9\x03\x01\0\0\0", IMAGE]), 1);
    }

    #[test]
    fn a_block_that_the_end_cuts_is_left_out() {
        let bytes = file(&[IMAGE, NETSCAPE, IMAGE]);
        for length in HEAD.len()..=bytes.len() {
            let gif = GifFile::of(&bytes[..length]).unwrap();
            let whole = length >= HEAD.len() + IMAGE.len();
            assert_eq!(gif.images().count(), usize::from(whole) + usize::from(length == bytes.len()));
            let looped = length >= HEAD.len() + IMAGE.len() + NETSCAPE.len();
            assert_eq!(gif.loop_count(), if looped { 6 } else { 1 }, "{length}");
        }
        assert!((0..HEAD.len()).all(|length| GifFile::of(&bytes[..length]).is_none()));
        assert!(GifFile::of(b"GIX89a\x04\0\x03\0\0\0\0").is_none());
    }

    #[test]
    fn a_loop_count_is_found_wherever_it_stands() {
        let animexts = b"\x21\xFF\x0BANIMEXTS1.0\x03\x01\0\0\0";
        let buffered = b"\x21\xFF\x0BNETSCAPE2.0\x05\x02\0\0\0\0\x03\x01\x01\0\0";
        let other = b"\x21\xFF\x0BSOMETHING!!\x03\x01\x09\0\0";
        assert_eq!(loops(&[IMAGE]), 1);
        assert_eq!(loops(&[NETSCAPE, IMAGE]), 6);
        assert_eq!(loops(&[IMAGE, b"\0", NETSCAPE, IMAGE, b";"]), 6);
        assert_eq!(loops(&[IMAGE, IMAGE, animexts]), 0);
        assert_eq!(loops(&[animexts, IMAGE, NETSCAPE]), 6);
        assert_eq!(loops(&[buffered, IMAGE, other]), 2);
        assert_eq!(loops(&[b"\x21\xFF\x0BNETSCAPE2.0\x02\x01\x05\0\0".as_slice(), IMAGE]), 1);
        assert_eq!(loops(&[IMAGE, b";", NETSCAPE]), 1);
    }
}
