//! Pictures as the comparison holds them, and what a test does to them: turn, lay on a colour, scale. All of it is
//! plain, and none of it is shared with the program.

use std::io::Cursor;

use reticulum::image::light::Light;

/// Straight RGBA, eight bits a channel.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<[u8; 4]>,
}

/// A picture without alpha.
#[derive(Clone)]
pub(crate) struct Flat {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) colors: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads a PNG of any kind, and of it the default image.
    pub(crate) fn from_png(file: &[u8]) -> Result<Self, String> {
        let mut decoder = png::Decoder::new(Cursor::new(file));
        // Gray stays gray, so both are widened below.
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
        let mut data = vec![0; reader.output_buffer_size().ok_or("too large")?];
        let info = reader.next_frame(&mut data).map_err(|error| error.to_string())?;
        data.truncate(info.buffer_size());
        let pixels = match info.color_type {
            png::ColorType::Grayscale => data.iter().map(|&gray| [gray, gray, gray, 255]).collect(),
            png::ColorType::GrayscaleAlpha => widened(&data, |[gray, alpha]| [gray, gray, gray, alpha]),
            png::ColorType::Rgb => widened(&data, |[red, green, blue]| [red, green, blue, 255]),
            png::ColorType::Rgba => widened(&data, |pixel: [u8; 4]| pixel),
            png::ColorType::Indexed => return Err("a palette that was not expanded".to_owned()),
        };
        Ok(Self { width: info.width as usize, height: info.height as usize, pixels })
    }

    /// Reads a binary PPM of eight bits.
    pub(crate) fn from_ppm(file: &[u8]) -> Result<Self, String> {
        let mut fields = file.splitn(5, |byte| byte.is_ascii_whitespace());
        let mut number = |name: &str| {
            let field = fields.next().and_then(|field| std::str::from_utf8(field).ok());
            field.map(str::to_owned).ok_or(format!("a PPM without {name}"))
        };
        let [kind, width, height, most] =
            [number("kind")?, number("width")?, number("height")?, number("values")?];
        let data = fields.next().unwrap_or_default();
        let [width, height] = [width, height].map(|side| side.parse::<usize>().unwrap_or_default());
        if (&kind[..], &most[..]) != ("P6", "255") || data.len() != width * height * 3 {
            return Err(format!("a PPM of kind {kind}, {width}x{height}, up to {most}"));
        }
        Ok(Self { width, height, pixels: widened(data, |[red, green, blue]| [red, green, blue, 255]) })
    }

    /// The left upper part.
    pub(crate) fn cut(&self, width: usize, height: usize) -> Self {
        let rows = self.pixels.chunks_exact(self.width).take(height);
        Self { width, height, pixels: rows.flat_map(|row| &row[..width]).copied().collect() }
    }

    /// Puts each color through a table.
    pub(crate) fn mapped(&self, table: &[u8; 256]) -> Self {
        let pixel = |&[red, green, blue, alpha]: &[u8; 4]| {
            let [red, green, blue] = [red, green, blue].map(|value| table[usize::from(value)]);
            [red, green, blue, alpha]
        };
        Self { pixels: self.pixels.iter().map(pixel).collect(), ..*self }
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.pixels.iter().all(|pixel| pixel[3] == 255)
    }

    /// Turns by a quarter, clockwise.
    pub(crate) fn turned(&self) -> Self {
        let Self { width, height, pixels } = self;
        let column = |x: usize| (0..*height).rev().map(move |y| pixels[y * width + x]);
        Self { width: *height, height: *width, pixels: (0..*width).flat_map(column).collect() }
    }

    /// Lays the picture on a gray.
    pub(crate) fn over(&self, gray: u8) -> Flat {
        let mixed = |color: u8, alpha: u8| {
            let (color, alpha, gray) = (u32::from(color), u32::from(alpha), u32::from(gray));
            ((color * alpha + gray * (255 - alpha) + 127) / 255) as u8
        };
        let flat = |&[red, green, blue, alpha]: &[u8; 4]| match alpha {
            255 => [red, green, blue],
            _ => [red, green, blue].map(|color| mixed(color, alpha)),
        };
        Flat { width: self.width, height: self.height, colors: self.pixels.iter().map(flat).collect() }
    }
}

fn widened<const N: usize>(data: &[u8], pixel: impl Fn([u8; N]) -> [u8; 4]) -> Vec<[u8; 4]> {
    data.as_chunks().0.iter().map(|samples| pixel(*samples)).collect()
}

impl Flat {
    /// Scales down with a Lanczos kernel of three lobes, by means of these values: slowly, and without rounding between
    /// the two directions.
    pub(crate) fn scaled(&self, width: usize, height: usize, light: Light) -> Self {
        let values: [f32; 256] = std::array::from_fn(|value| match light {
            Light::Encoded => value as f32,
            Light::Linear => linear(value as f32 / 255.0) * 255.0,
        });
        let (across, down) = (taps(self.width, width), taps(self.height, height));
        let mut sums = vec![[0_f32; 3]; width * height];
        let mut reached = vec![Vec::new(); self.height];
        for (y, (first, weights)) in down.iter().enumerate() {
            weights.iter().enumerate().for_each(|(at, weight)| reached[first + at].push((y, *weight)));
        }
        for (row, targets) in self.colors.chunks_exact(self.width).zip(&reached) {
            let row: Vec<_> =
                across.iter().map(|(first, weights)| weighted(&row[*first..], weights, &values)).collect();
            for (y, weight) in targets {
                let line = &mut sums[y * width..][..width];
                line.iter_mut().zip(&row).for_each(|(sum, color)| {
                    sum.iter_mut().zip(color).for_each(|(sum, value)| *sum += weight * value);
                });
            }
        }
        let stored = |value: f32| match light {
            Light::Encoded => value.round().clamp(0.0, 255.0) as u8,
            Light::Linear => (encoded(value.clamp(0.0, 255.0) / 255.0) * 255.0).round() as u8,
        };
        let colors = sums.iter().map(|sum| sum.map(stored)).collect();
        Self { width, height, colors }
    }
}

/// The curve of sRGB.
fn linear(stored: f32) -> f32 {
    if stored <= 0.040_45 { stored / 12.92 } else { ((stored + 0.055) / 1.055).powf(2.4) }
}

fn encoded(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055_f32.mul_add(linear.powf(1.0 / 2.4), -0.055) }
}

fn weighted(colors: &[[u8; 3]], weights: &[f32], values: &[f32; 256]) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for (color, weight) in colors.iter().zip(weights) {
        sum.iter_mut().zip(color).for_each(|(sum, value)| *sum += weight * values[usize::from(*value)]);
    }
    sum
}

/// For each place of the result, the first place of the source that counts, and the weights from there on.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = (from as f64 / to as f64).max(1.0);
    let kernel = |x: f64| match x.abs() {
        x if x < 1e-9 => 1.0,
        x if x >= 3.0 => 0.0,
        x => {
            let x = x * std::f64::consts::PI;
            3.0 * x.sin() * (x / 3.0).sin() / (x * x)
        }
    };
    let tap = |at: usize| {
        let center = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = (center - 3.0 * scale).ceil().max(0.0) as usize;
        let last = ((center + 3.0 * scale).floor() as usize).min(from - 1);
        let weights: Vec<_> = (first..=last).map(|place| kernel((place as f64 - center) / scale)).collect();
        let sum: f64 = weights.iter().sum();
        (first, weights.iter().map(|weight| (weight / sum) as f32).collect())
    };
    (0..to).map(tap).collect()
}

#[test]
fn a_quarter_turn_moves_the_top_to_the_right() {
    let pixels: Vec<_> = (0..6).map(|value| [value, 0, 0, 255]).collect();
    let turned = Picture { width: 3, height: 2, pixels }.turned();
    let values: Vec<_> = turned.pixels.iter().map(|pixel| pixel[0]).collect();
    assert_eq!((turned.width, turned.height, &values[..]), (2, 3, &[3, 0, 4, 1, 5, 2][..]));
}

#[test]
fn scaling_keeps_a_plain_color_and_a_slope() {
    let colors = (0..40 * 90).map(|at| [200, (at % 40 * 6) as u8, (at / 40 * 2) as u8]).collect();
    let scaled = Flat { width: 40, height: 90, colors }.scaled(10, 30, Light::Encoded);
    for (at, color) in scaled.colors.iter().enumerate() {
        let (x, y) = (at % 10, at / 10);
        // The kernel sees beyond the edges nothing, which shifts the slope there.
        if (2..8).contains(&x) && (3..27).contains(&y) {
            let expected = [200, (x * 24 + 9) as u8, (y * 6 + 2) as u8];
            assert!(color.iter().zip(expected).all(|(one, other)| one.abs_diff(other) <= 1), "{color:?}");
        }
        assert_eq!(color[0], 200);
    }
}

#[test]
fn in_linear_light_stripes_become_half_as_light_as_white() {
    let colors = (0..40 * 40).map(|at| [77, if at % 2 == 0 { 255 } else { 0 }, 255]).collect();
    let scaled = Flat { width: 40, height: 40, colors }.scaled(5, 5, Light::Linear);
    // At the edges the kernel sees more of one stripe than of the other.
    let mut inner = (0..25).filter(|at| (1..4).contains(&(at % 5))).map(|at| scaled.colors[at]);
    assert!(inner.all(|[red, green, blue]| red == 77 && green.abs_diff(188) < 3 && blue == 255));
}
