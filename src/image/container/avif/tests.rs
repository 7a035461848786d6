//! `meta` boxes that are built table by table, and the pictures that are read from them.

use proptest::prelude::*;

use super::*;

/// An item: its number, type, properties (counted from 1; `true`: essential), and data.
pub(in crate::image) struct AvifItem {
    pub(in crate::image) id: u16,
    pub(in crate::image) kind: [u8; 4],
    pub(in crate::image) properties: Vec<(u8, bool)>,
    pub(in crate::image) data: Vec<u8>,
}

/// A file that is being built; the first item is the primary one.
#[derive(Default)]
pub(in crate::image) struct AvifFile {
    pub(in crate::image) items: Vec<AvifItem>,
    /// Boxes.
    pub(in crate::image) properties: Vec<Vec<u8>>,
    /// Type, from, to.
    pub(in crate::image) references: Vec<([u8; 4], u16, Vec<u16>)>,
    /// Boxes between the `meta` box and the data.
    pub(in crate::image) between: Vec<u8>,
    /// Whether the data lies inside the `meta` box.
    pub(in crate::image) is_inside: bool,
    /// Whether the file's brands are those of HEIC.
    pub(in crate::image) is_heic: bool,
}

pub(in crate::image) fn full(name: &[u8; 4], version: u8, payload: &[u8]) -> Vec<u8> {
    boxed(name, &[&[version, 0, 0, 0], payload].concat())
}

pub(in crate::image) fn ispe((width, height): (u32, u32)) -> Vec<u8> {
    full(b"ispe", 0, &[width.to_be_bytes(), height.to_be_bytes()].concat())
}

/// Eight bits a sample; `flags` is the third byte of the box.
pub(in crate::image) fn av1c(flags: u8) -> Vec<u8> {
    boxed(b"av1C", &[0x81, 0, flags, 0])
}

pub(in crate::image) fn alpha_name() -> Vec<u8> {
    full(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
}

fn nclx(primaries: u16, transfer: u16, matrix: u16) -> Vec<u8> {
    let numbers = [primaries, transfer, matrix].map(u16::to_be_bytes).concat();
    boxed(b"colr", &[b"nclx", &numbers[..], &[0x80]].concat())
}

pub(in crate::image) fn one(size: (u32, u32), data: &[u8]) -> AvifFile {
    let item =
        AvifItem { id: 1, kind: *b"av01", properties: vec![(1, false), (2, true)], data: data.to_vec() };
    AvifFile { items: vec![item], properties: vec![ispe(size), av1c(0)], ..AvifFile::default() }
}

impl AvifFile {
    pub(in crate::image) fn bytes(&self) -> Vec<u8> {
        let brands = if self.is_heic { b"heic\0\0\0\0heicmif1miaf" } else { b"avif\0\0\0\0avifmif1miaf" };
        let head = boxed(b"ftyp", brands);
        // The length of the `meta` box does not depend on the offsets in it.
        let inner_start = 0;
        let meta_length = self.meta(0).len();
        let start = head.len() + meta_length + self.between.len() + 8;
        let meta = self.meta(if self.is_inside { inner_start } else { start as u32 });
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        let data = if self.is_inside { Vec::new() } else { boxed(b"mdat", &data) };
        [head, meta, self.between.clone(), data].concat()
    }

    /// The content of the `meta` box, for data that begins at `start`.
    fn meta(&self, start: u32) -> Vec<u8> {
        let count = (self.items.len() as u16).to_be_bytes();
        let primary = full(b"pitm", 0, &self.items[0].id.to_be_bytes());
        let entry = |item: &AvifItem| {
            full(b"infe", 2, &[&item.id.to_be_bytes()[..], &[0, 0], &item.kind, b"\0"].concat())
        };
        let entries: Vec<u8> = self.items.iter().flat_map(entry).collect();
        let kinds = full(b"iinf", 0, &[&count[..], &entries].concat());
        let mut at = start;
        let mut places = Vec::new();
        for item in &self.items {
            let length = item.data.len() as u32;
            places.extend(item.id.to_be_bytes());
            places.extend([0, u8::from(self.is_inside), 0, 0, 0, 1]);
            places.extend([at.to_be_bytes(), length.to_be_bytes()].concat());
            at += length;
        }
        let places = full(b"iloc", 1, &[&[0x44, 0][..], &count, &places].concat());
        let reference = |(kind, from, to): &([u8; 4], u16, Vec<u16>)| {
            let to: Vec<u8> =
                std::iter::once(&(to.len() as u16)).chain(to).flat_map(|id| id.to_be_bytes()).collect();
            boxed(kind, &[&from.to_be_bytes()[..], &to].concat())
        };
        let references: Vec<u8> = self.references.iter().flat_map(reference).collect();
        let association = |item: &AvifItem| {
            let list =
                item.properties.iter().map(|(index, is_essential)| index | u8::from(*is_essential) << 7);
            let head = [&item.id.to_be_bytes()[..], &[item.properties.len() as u8]].concat();
            head.into_iter().chain(list).collect::<Vec<u8>>()
        };
        let associations: Vec<u8> = self.items.iter().flat_map(association).collect();
        let associations = full(b"ipma", 0, &[&[0, 0][..], &count, &associations].concat());
        let properties = boxed(b"iprp", &[boxed(b"ipco", &self.properties.concat()), associations].concat());
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        let inner = if self.is_inside { boxed(b"idat", &data) } else { Vec::new() };
        let references = full(b"iref", 0, &references);
        full(b"meta", 0, &[primary, kinds, places, references, properties, inner].concat())
    }
}

fn read(file: &AvifFile) -> Result<AvifStill, MetaFault> {
    AvifStill::of_file(&file.bytes())
}

#[test]
fn a_single_picture_is_found_with_its_data() {
    for is_inside in [false, true] {
        let file = AvifFile { is_inside, ..one((40, 30), b"coded") };
        let (bytes, still) = (file.bytes(), read(&file).unwrap());
        assert_eq!((still.size, still.orientation), (Size { width: 40, height: 30 }, Orientation::NORMAL));
        assert_eq!(still.coding, Coding { bits: 8, is_monochrome: false });
        let AvifSource::One(data) = &still.color else { panic!("{still:?}") };
        assert_eq!(gather(&bytes, data).unwrap(), &b"coded"[..]);
        assert_eq!((still.alpha, still.nclx, still.profile), (None, None, None));
    }
}

#[test]
fn turns_and_mirrors_become_the_orientation_that_exif_would_name() {
    let numbers = [[1, 4, 2], [8, 5, 7], [3, 2, 4], [6, 7, 5]];
    for (quarters, numbers) in (0..).zip(numbers) {
        for (mirror, number) in [None, Some(0), Some(1)].into_iter().zip(numbers) {
            let mut file = one((40, 30), b"coded");
            file.properties.push(boxed(b"irot", &[quarters]));
            file.properties.extend(mirror.map(|axis| boxed(b"imir", &[axis])));
            file.items[0].properties.extend([(3, true), (4, true)]);
            assert_eq!(read(&file).unwrap().orientation.value(), number, "{quarters} {mirror:?}");
        }
    }
}

#[test]
fn depth_gray_and_colours_are_read_from_their_properties() {
    for (flags, bits, is_monochrome) in [(0, 8, false), (0x40, 10, false), (0x60, 12, false), (0x1C, 8, true)]
    {
        let mut file = one((4, 4), b"x");
        file.properties[1] = av1c(flags);
        assert_eq!(read(&file).unwrap().coding, Coding { bits, is_monochrome });
    }
    let mut file = one((4, 4), b"x");
    file.properties.extend([nclx(12, 13, 6), boxed(b"colr", b"profICC bytes"), nclx(9, 16, 9)]);
    file.items[0].properties.extend([(3, false), (4, false), (5, false)]);
    let still = read(&file).unwrap();
    assert_eq!(still.nclx, Some(Nclx { primaries: 12, transfer: 13, matrix: 6, is_full_range: true }));
    assert_eq!(gather(&file.bytes(), &[still.profile.unwrap()]).unwrap(), &b"ICC bytes"[..]);
}

/// A picture with separate alpha.
pub(in crate::image) fn with_alpha(size: (u32, u32), data: &[u8], alpha: &[u8]) -> AvifFile {
    let mut file = one(size, data);
    file.properties.extend([alpha_name(), av1c(0x1C)]);
    let properties = vec![(1, false), (4, true), (3, true)];
    file.items.push(AvifItem { id: 2, kind: *b"av01", properties, data: alpha.to_vec() });
    file.references.push((*b"auxl", 2, vec![1]));
    file
}

#[test]
fn alpha_is_the_item_that_says_so_and_of_the_same_size() {
    let mut file = with_alpha((40, 30), b"colors", b"alpha");
    let still = read(&file).unwrap();
    assert!(matches!(still.alpha, Some(AvifSource::One(_))) && !still.is_premultiplied);
    file.references.push((*b"prem", 1, vec![2]));
    assert!(read(&file).unwrap().is_premultiplied);
    file.properties.push(ispe((20, 30)));
    file.items[1].properties[0] = (5, false);
    assert_eq!(read(&file), Err(MetaFault::Unsupported));
    file.properties[2] = full(b"auxC", 0, b"urn:of:depth\0");
    assert_eq!(read(&file).unwrap().alpha, None);
}

#[test]
fn a_file_that_names_the_same_over_and_over_is_refused_after_few_steps() {
    // 2,000 possible alpha items are the same item, which has 10,000 properties.
    let mut file = one((40, 30), b"colors");
    for _ in 0..40 {
        let properties = vec![(1, false); 250];
        file.items.push(AvifItem { id: 2, kind: *b"av01", properties, data: b"x".to_vec() });
    }
    assert_eq!(read(&file).unwrap().alpha, None);
    file.references = vec![(*b"auxl", 2, vec![1]); 2000];
    assert_eq!(read(&file), Err(MetaFault::Boxes));
}

#[test]
fn the_description_is_looked_for_behind_many_boxes_but_not_without_end() {
    let behind = |count: usize| {
        let mut bytes = boxed(b"free", b"").repeat(count);
        bytes.extend(one((40, 30), b"colors").bytes());
        AvifStill::of_file(&bytes).map(|still| still.size.width)
    };
    assert_eq!(behind(BOXES_MAX - 2), Ok(40));
    assert_eq!(behind(BOXES_MAX), Err(MetaFault::NoPicture));
}

#[test]
fn a_grid_is_its_tiles_in_the_order_of_their_references() {
    let mut file = one((100, 30), b"\0\0\x00\x01\0\x64\0\x1E");
    file.items[0].kind = *b"grid";
    file.items[0].properties = vec![(1, false)];
    file.properties.push(ispe((64, 64)));
    for (id, data) in [(7, b"left!"), (8, b"right")] {
        file.items.push(AvifItem {
            id,
            kind: *b"av01",
            properties: vec![(3, false), (2, true)],
            data: data.to_vec(),
        });
    }
    file.references.push((*b"dimg", 1, vec![8, 7]));
    let (bytes, still) = (file.bytes(), read(&file).unwrap());
    let AvifSource::Grid { layout, tiles, tile } = &still.color else { panic!("{still:?}") };
    assert_eq!(*tile, Size { width: 64, height: 64 });
    let grid = TileGrid::parse(&gather(&bytes, layout).unwrap());
    assert_eq!(grid, Some(TileGrid { rows: 1, columns: 2, size: Size { width: 100, height: 30 } }));
    let tiles: Vec<_> = tiles.iter().map(|tile| gather(&bytes, tile).unwrap().into_owned()).collect();
    assert_eq!(tiles, [b"right", b"left!"]);
    assert_eq!(still.end(), bytes.len() as u64);
    file.references.clear();
    assert_eq!(read(&file), Err(MetaFault::NoPicture));
}

/// A grid of two tiles, 8 and 7, each with an alpha of its own, 18 and 17.
fn tiles_with_alpha() -> AvifFile {
    let mut file = one((100, 30), b"\0\0\x00\x01\0\x64\0\x1E");
    file.items[0].kind = *b"grid";
    file.items[0].properties = vec![(1, false)];
    file.properties.extend([ispe((64, 64)), alpha_name()]);
    for (id, data) in [(7, b"left!"), (8, b"right"), (17, b"left?"), (18, b"RIGHT")] {
        let mut properties = vec![(3, false), (2, true)];
        properties.extend((id > 8).then_some((4, false)));
        file.items.push(AvifItem { id, kind: *b"av01", properties, data: data.to_vec() });
    }
    file.references.push((*b"dimg", 1, vec![8, 7]));
    file.references.extend([(*b"auxl", 17, vec![7]), (*b"auxl", 18, vec![8])]);
    file
}

#[test]
fn the_alpha_of_a_grid_may_be_that_of_its_tiles() {
    let mut file = tiles_with_alpha();
    let (bytes, still) = (file.bytes(), read(&file).unwrap());
    let (AvifSource::Grid { layout, .. }, Some(AvifSource::Grid { layout: same, tiles, tile })) =
        (&still.color, &still.alpha)
    else {
        panic!("{still:?}")
    };
    assert_eq!((layout, *tile), (same, Size { width: 64, height: 64 }));
    let tiles: Vec<_> = tiles.iter().map(|tile| gather(&bytes, tile).unwrap().into_owned()).collect();
    assert_eq!(tiles, [b"RIGHT", b"left?"]);
    assert_eq!((still.is_premultiplied, still.end()), (false, bytes.len() as u64));
    file.references.extend([(*b"prem", 7, vec![17]), (*b"prem", 8, vec![18])]);
    assert!(read(&file).unwrap().is_premultiplied);
    // A tile without alpha: the picture has none.
    file.references.retain(|reference| reference.1 != 18);
    assert_eq!(read(&file).unwrap().alpha, None);
    let mut file = tiles_with_alpha();
    file.items[3].properties[0] = (1, false);
    assert_eq!(read(&file), Err(MetaFault::Unsupported));
}

#[test]
fn what_cannot_be_shown_is_refused() {
    type Change = fn(&mut AvifFile);
    let changes: [(Change, MetaFault); 7] = [
        (|file| file.items[0].kind = *b"hvc1", MetaFault::Unsupported),
        (|file| file.items[0].properties.truncate(1), MetaFault::NoPicture),
        (|file| file.items[0].properties.clear(), MetaFault::NoPicture),
        (|file| file.items[0].data.clear(), MetaFault::NoPicture),
        (|file| file.properties[1] = boxed(b"av1C", b""), MetaFault::Boxes),
        (|file| file.properties[0] = full(b"ispe", 0, b"1234567"), MetaFault::Boxes),
        (
            |file| {
                file.properties.push(boxed(b"news", b""));
                file.items[0].properties.push((3, true));
            },
            MetaFault::Unsupported,
        ),
    ];
    for (change, fault) in changes {
        let mut file = one((40, 30), b"coded");
        change(&mut file);
        assert_eq!(read(&file), Err(fault));
    }
    assert_eq!(AvifStill::of_file(&boxed(b"ftyp", b"avif")), Err(MetaFault::NoPicture));
}

#[test]
fn tables_beyond_their_bounds_are_refused() {
    let mut many_items = one((4, 4), b"x");
    for id in 2..5000 {
        many_items.items.push(AvifItem { id, kind: *b"av01", properties: Vec::new(), data: b"x".to_vec() });
    }
    let mut many_properties = one((4, 4), b"x");
    many_properties.properties.resize(5000, boxed(b"irot", &[0]));
    let mut many_references = one((4, 4), b"x");
    many_references.references = vec![(*b"cdsc", 1, vec![1; 1000]); 8];
    for file in [many_items, many_properties, many_references] {
        assert_eq!(read(&file), Err(MetaFault::Boxes));
    }
}

#[test]
fn overlapping_pieces_are_not_put_together_beyond_the_length_of_the_file() {
    let source = [7; 100];
    assert_eq!(gather(&source, &[0..50, 50..100]).unwrap(), &source[..]);
    assert_eq!(gather(&source, &[0..100, 0..100]), None);
    assert_eq!(gather(&source, std::slice::from_ref(&(90..101))), None);
    assert_eq!(gather(&source, &[u64::MAX - 1..u64::MAX, 0..1]), None);
}

proptest! {
    #[test]
    fn damage_anywhere_is_a_fault_or_a_picture_within_the_file(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = with_alpha((40, 30), b"colors", b"alpha").bytes();
        for (place, value) in edits {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(still) = AvifStill::of_file(&bytes) && let AvifSource::One(data) = &still.color {
            prop_assert!(gather(&bytes, data).is_none_or(|data| data.len() <= bytes.len()));
        }
    }
}
