//! What does each stage of a variant cost? `cargo bench --bench stages -- [--quick] [NAME]`.
//!
//! Every name says what one iteration does. The pictures are drawn by the program, so that no file is needed, and only when
//! a bench wants them. All on one thread, in memory. `variant` measures whole variants of real
//! files, and memory.

#[path = "support/settings.rs"]
mod settings;

use std::hint::black_box;
use std::sync::LazyLock;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use reticulum::image::decode::{self, SourcePart};
use reticulum::image::decoded_planes::{self, DecodedPlanes};
use reticulum::image::draw;
use reticulum::image::encode;
use reticulum::image::header::Limits;
use reticulum::image::inspect;
use reticulum::image::jpeg::{Jpeg, Scale};
use reticulum::image::light::Light;
use reticulum::image::pixels::{PixelKind, Pixels};
use reticulum::image::recipe::Recipe;
use reticulum::image::resize;
use reticulum::image::shape::{Rect, Size};
use reticulum::image::small_picture::Aside;
use reticulum::image::smart;
use reticulum::image::variant;
use reticulum::object::{Format, Spec};

use settings::SETTINGS;

const LIMITS: Limits = Limits { pixels_max: 100_000_000, frames_max: 1000 };

const PHOTO_SIZE: Size = Size { width: 4000, height: 3000 };
const THUMBNAIL_SIZE: Size = Size { width: 300, height: 225 };

/// 12 megapixels.
static PHOTO: LazyLock<Pixels> = LazyLock::new(|| draw::sample(0, PHOTO_SIZE).expect("sides above zero"));
static BASELINE: LazyLock<Vec<u8>> = LazyLock::new(|| jpeg(false));
static PROGRESSIVE: LazyLock<Vec<u8>> = LazyLock::new(|| jpeg(true));
static THUMBNAIL: LazyLock<Pixels> = LazyLock::new(|| {
    resize::resize(PHOTO.clone(), Rect::whole(PHOTO_SIZE), THUMBNAIL_SIZE).expect("a window")
});

/// The photo as a camera writes it, with half of the colour samples along each side.
fn jpeg(is_progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_progressive(is_progressive);
    let Size { width, height } = PHOTO_SIZE;
    encoder.encode(PHOTO.data(), width as u16, height as u16, ColorType::Rgb).expect("a JPEG");
    bytes
}

fn jpeg_decode(criterion: &mut Criterion) {
    let sources = [("baseline", &BASELINE), ("progressive", &PROGRESSIVE)];
    let scales =
        [("1/1", Scale::Whole), ("1/2", Scale::Half), ("1/4", Scale::Quarter), ("1/8", Scale::Eighth)];
    for (coding, source) in sources {
        for (part, scale) in scales {
            criterion.bench_function(&format!("JPEG decode, 12 MP {coding} at {part}"), |bencher| {
                let jpeg = Jpeg::read(source).expect("a JPEG of ours");
                bencher.iter(|| jpeg.decode([scale; 4], &LIMITS, &|| true).expect("sound planes"));
            });
        }
    }
}

/// Those that the decoder gives for this thumbnail: all at an eighth.
fn resize_planes(criterion: &mut Criterion) {
    criterion.bench_function("resize, planes of 500 × 375 and twice 250 × 188 to 300w", |bencher| {
        let jpeg = Jpeg::read(&BASELINE).expect("a JPEG of ours");
        let planes = jpeg.decode([Scale::Eighth; 4], &LIMITS, &|| true).expect("sound planes");
        let planes: Vec<Pixels> = planes
            .into_iter()
            .map(|plane| {
                Pixels::new(plane.size(), PixelKind::Gray, plane.into_samples()).expect("a full plane")
            })
            .collect();
        let aims = [THUMBNAIL_SIZE, THUMBNAIL_SIZE.halved(), THUMBNAIL_SIZE.halved()];
        let small = |planes: Vec<Pixels>| -> Vec<Pixels> {
            let resized = |(plane, to): (Pixels, Size)| {
                let window = Rect::whole(plane.size());
                resize::resize(plane, window, to).expect("a window in the plane")
            };
            planes.into_iter().zip(aims).map(resized).collect()
        };
        bencher.iter_batched(|| planes.clone(), small, BatchSize::LargeInput);
    });
}

fn encode(criterion: &mut Criterion) {
    let formats = [("JPEG", Format::Jpeg, 82), ("PNG", Format::Png, 80), ("WebP", Format::Webp, 80)];
    for (name, format, quality) in formats {
        criterion.bench_function(&format!("{name} encode, 300 × 225"), |bencher| {
            let write = |pixels| encode::encode(pixels, format, Some(quality)).expect("a file");
            bencher.iter_batched(|| THUMBNAIL.clone(), write, BatchSize::LargeInput);
        });
    }
}

fn png_by_rows(criterion: &mut Criterion) {
    const SIZE: Size = Size { width: 2312, height: 1734 };
    static SOURCE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let drawn = draw::sample(0, SIZE).expect("sides above zero");
        encode::encode(drawn, Format::Png, None).expect("a PNG")
    });
    criterion.bench_function("PNG decode by rows, 4 MP to 300w", |bencher| {
        let header = inspect::inspect(&SOURCE, LIMITS).expect("a PNG of ours");
        let cut = Rect { x: 0, y: 0, width: SIZE.width, height: SIZE.height };
        let part = SourcePart { cut, window: Rect::whole(SIZE), to: THUMBNAIL_SIZE, light: Light::Encoded };
        bencher.iter(|| {
            let shown =
                decode::decode_part(&SOURCE, &header, None, &part, &LIMITS, &mut Aside::default(), &|| true);
            shown.expect("a sound PNG").expect("the way by rows")
        });
    });
}

fn smart_crop(criterion: &mut Criterion) {
    criterion.bench_function("g-smart, the place of a square in 1000 × 750", |bencher| {
        const SIZE: Size = Size { width: 1000, height: 750 };
        static SEEN: LazyLock<Pixels> = LazyLock::new(|| draw::sample(0, SIZE).expect("sides above zero"));
        let window = Rect { x: 125.0, y: 0.0, width: 750.0, height: 750.0 };
        bencher.iter(|| smart::placed(black_box(&SEEN), SIZE, window, &|| true).expect("a place"));
    });
}

fn whole_variant(criterion: &mut Criterion) {
    let spec = Spec::parse("300w").expect("a spec");
    let recipe = Recipe::resolve(&spec, Format::Jpeg, &SETTINGS).expect("a recipe");
    for (coding, source) in [("baseline", &BASELINE), ("progressive", &PROGRESSIVE)] {
        criterion.bench_function(&format!("variant, 12 MP {coding} JPEG to 300w, first size"), |bencher| {
            bencher.iter(|| first(source, &recipe, &mut DecodedPlanes::Ignore));
        });
    }
    // The file's coding does not matter: the decoded planes are left.
    criterion.bench_function("variant, 12 MP JPEG to 300w, later size", |bencher| {
        let mut left = DecodedPlanes::Collect;
        first(&BASELINE, &recipe, &mut left);
        let DecodedPlanes::Collected(samples) = left else { panic!("nothing was left") };
        let head = decoded_planes::head(&BASELINE).expect("a head");
        let later = |samples| {
            let prepared = variant::prepare(&head, &recipe, &LIMITS).expect("a sound head");
            prepared.make(&mut DecodedPlanes::Reuse(samples), &|| true).expect("a variant")
        };
        bencher.iter_batched(|| samples.clone(), later, BatchSize::LargeInput);
    });
}

fn first(source: &[u8], recipe: &Recipe, decoded_planes: &mut DecodedPlanes) -> Vec<u8> {
    let prepared = variant::prepare(source, recipe, &LIMITS).expect("a sound JPEG");
    prepared.make(decoded_planes, &|| true).expect("a variant")
}

criterion_group!(stages, jpeg_decode, resize_planes, encode, png_by_rows, smart_crop, whole_variant);
criterion_main!(stages);
