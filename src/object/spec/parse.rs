//! From text to a spec: each part to an [`SpecItem`], the items to their places, then the rules between them.

use super::error::{Needs, SpecError, SpecPart};
use super::print::COMPASS;
use super::{Crop, Fit, Gravity, Hundredths, PresetName, QuarterTurns, Spec, SpecSize};

/// The meaning of one part.
enum SpecItem {
    Size(SpecSize),
    Fit(Fit),
    Gravity(Gravity),
    Dpr(Hundredths),
    Up,
    Quality(u8),
    Crop(Crop),
    Turn(QuarterTurns),
    Flip,
    Flop,
    Blur(Hundredths),
    Sharpen(Hundredths),
    Grey,
    Trim,
    Background([u8; 3]),
    P3,
    Frame(u32),
    Meta,
}

/// The numbers that an option takes, in its own unit (hundredths for decimals), and how to say so.
struct Allowed {
    min: u32,
    max: u32,
    words: &'static str,
}

const SIDE: Allowed = Allowed { min: 1, max: 99_999, words: "1 to 99999" };
const PIXELS: Allowed = Allowed { min: 0, max: 99_999, words: "0 to 99999" };
const FRAME: Allowed = PIXELS;
const QUALITY: Allowed = Allowed { min: 1, max: 100, words: "1 to 100" };
const TURN: Allowed = Allowed { min: 90, max: 270, words: "90, 180 or 270" };
const FRACTION: Allowed = Allowed { min: 0, max: 100, words: "fractions from 0 to 1" };
const DPR: Allowed = Allowed { min: 50, max: 400, words: "0.5 to 4" };
const BLUR: Allowed = Allowed { min: 30, max: 10_000, words: "0.3 to 100" };
const SHARPEN: Allowed = Allowed { min: 10, max: 1_000, words: "0.1 to 10" };

/// See [`Spec::parse`].
pub(super) fn parse(text: &str) -> Result<Spec, SpecError> {
    if text.is_empty() {
        return Err(SpecError::NoSize);
    }
    let text = text.to_ascii_lowercase();
    let mut size = None;
    let mut spec = Spec::full();
    for (index, part) in text.split(',').enumerate() {
        if part.is_empty() {
            return Err(SpecError::EmptyPart { position: index + 1 });
        }
        place(&mut size, &mut spec, read_item(part)?, part)?;
    }
    spec.size = size.ok_or(SpecError::NoSize)?;
    check_can_act(&spec)?;
    Ok(spec.canonical())
}

/// Puts an item into its place, which must be free.
fn place(size: &mut Option<SpecSize>, spec: &mut Spec, item: SpecItem, part: &str) -> Result<(), SpecError> {
    match item {
        SpecItem::Size(value) => match size.replace(value) {
            Some(_) => Err(SpecError::SecondSize(SpecPart::new(part))),
            None => Ok(()),
        },
        SpecItem::Fit(value) => set(&mut spec.fit, value, part),
        SpecItem::Gravity(value) => set(&mut spec.gravity, value, part),
        SpecItem::Dpr(value) => set(&mut spec.dpr, value, part),
        SpecItem::Up => raise(&mut spec.up, part),
        SpecItem::Quality(value) => set(&mut spec.quality, value, part),
        SpecItem::Crop(value) => set(&mut spec.crop, value, part),
        SpecItem::Turn(value) => set(&mut spec.turn, value, part),
        SpecItem::Flip => raise(&mut spec.flip, part),
        SpecItem::Flop => raise(&mut spec.flop, part),
        SpecItem::Blur(value) => set(&mut spec.blur, value, part),
        SpecItem::Sharpen(value) => set(&mut spec.sharpen, value, part),
        SpecItem::Grey => raise(&mut spec.grey, part),
        SpecItem::Trim => raise(&mut spec.trim, part),
        SpecItem::Background(value) => set(&mut spec.background, value, part),
        SpecItem::P3 => raise(&mut spec.p3, part),
        SpecItem::Frame(value) => set(&mut spec.frame, value, part),
        SpecItem::Meta => raise(&mut spec.meta, part),
    }
}

fn set<T: PartialEq>(place: &mut Option<T>, value: T, part: &str) -> Result<(), SpecError> {
    match place {
        Some(earlier) if *earlier == value => Err(SpecError::Repeated(SpecPart::new(part))),
        Some(_) => Err(SpecError::Contradicts(SpecPart::new(part))),
        None => {
            *place = Some(value);
            Ok(())
        }
    }
}

fn raise(flag: &mut bool, part: &str) -> Result<(), SpecError> {
    if std::mem::replace(flag, true) { Err(SpecError::Repeated(SpecPart::new(part))) } else { Ok(()) }
}

/// Refuses an option that does nothing, which is always a mistake in the URL.
pub(super) fn check_can_act(spec: &Spec) -> Result<(), SpecError> {
    if matches!(spec.size, SpecSize::Preset(_)) {
        return Ok(());
    }
    let refuse = |option: &str, needs| Err(SpecError::CannotAct { part: SpecPart::new(option), needs });
    let is_box = matches!(spec.size, SpecSize::Box { .. });
    let is_cover = matches!(spec.size, SpecSize::Square(_)) || spec.fit == Some(Fit::Fill);
    match spec {
        Spec { fit: Some(fit), .. } if !is_box => refuse(&fit.to_string(), Needs::Box),
        Spec { gravity: Some(gravity), .. } if !is_cover => refuse(&gravity.to_string(), Needs::Cover),
        Spec { size: SpecSize::Full, dpr: Some(dpr), .. } => refuse(&format!("dpr{dpr}"), Needs::Scaling),
        Spec { size: SpecSize::Full, up: true, .. } => refuse("up", Needs::Scaling),
        _ => Ok(()),
    }
}

fn read_item(part: &str) -> Result<SpecItem, SpecError> {
    Ok(match part {
        "full" => SpecItem::Size(SpecSize::Full),
        "fill" => SpecItem::Fit(Fit::Fill),
        "pad" => SpecItem::Fit(Fit::Pad),
        "stretch" => SpecItem::Fit(Fit::Stretch),
        "up" => SpecItem::Up,
        "flip" => SpecItem::Flip,
        "flop" => SpecItem::Flop,
        "grey" => SpecItem::Grey,
        "trim" => SpecItem::Trim,
        "p3" => SpecItem::P3,
        "meta" => SpecItem::Meta,
        _ if part.starts_with(|first: char| first.is_ascii_digit()) => SpecItem::Size(read_sides(part)?),
        _ => return read_valued(part),
    })
}

fn read_valued(part: &str) -> Result<SpecItem, SpecError> {
    let wrong = |cause: fn(SpecPart) -> SpecError| cause(SpecPart::new(part));
    if let Some(name) = part.strip_prefix("p-") {
        let name = PresetName::parse(name).ok_or_else(|| wrong(SpecError::BadPreset))?;
        return Ok(SpecItem::Size(SpecSize::Preset(name)));
    }
    if let Some(place) = part.strip_prefix("g-") {
        return read_gravity(place, part).map(SpecItem::Gravity);
    }
    if let Some(numbers) = part.strip_prefix("crop-") {
        return read_crop(numbers, part).map(SpecItem::Crop);
    }
    if let Some(digits) = part.strip_prefix("bg-") {
        return read_color(digits).map(SpecItem::Background).ok_or_else(|| wrong(SpecError::BadColor));
    }
    // A letter after the name makes it another word: `qx` is unknown, `q` and `q-1` lack a number.
    let start = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
    let (name, number) = part.split_at(start);
    match name {
        "dpr" => decimal(number, &DPR, part).map(SpecItem::Dpr),
        "q" => integer(number, &QUALITY, part).map(|quality| SpecItem::Quality(quality as u8)),
        "rot" => read_turn(number, part).map(SpecItem::Turn),
        "blur" => decimal(number, &BLUR, part).map(SpecItem::Blur),
        "sharpen" => decimal(number, &SHARPEN, part).map(SpecItem::Sharpen),
        "frame" => integer(number, &FRAME, part).map(SpecItem::Frame),
        _ => Err(wrong(SpecError::Unknown)),
    }
}

/// `200w`, `100h`, `100s`, or a width and a height in either order.
fn read_sides(part: &str) -> Result<SpecSize, SpecError> {
    let wrong = || SpecError::BadSize(SpecPart::new(part));
    let (first, unit, rest) = read_side(part, part)?;
    if rest.is_empty() {
        return match unit {
            'w' => Ok(SpecSize::Width(first)),
            'h' => Ok(SpecSize::Height(first)),
            's' => Ok(SpecSize::Square(first)),
            _ => Err(wrong()),
        };
    }
    let (second, second_unit, rest) = read_side(rest, part)?;
    match (unit, second_unit, rest) {
        ('w', 'h', "") => Ok(SpecSize::Box { width: first, height: second }),
        ('h', 'w', "") => Ok(SpecSize::Box { width: second, height: first }),
        _ => Err(wrong()),
    }
}

/// A number, its unit and what follows.
fn read_side<'a>(text: &'a str, part: &str) -> Result<(u32, char, &'a str), SpecError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let mut rest = rest.chars();
    match rest.next() {
        Some(unit) if !number.is_empty() => Ok((integer(number, &SIDE, part)?, unit, rest.as_str())),
        _ => Err(SpecError::BadSize(SpecPart::new(part))),
    }
}

fn read_gravity(place: &str, part: &str) -> Result<Gravity, SpecError> {
    if place == "smart" {
        return Ok(Gravity::Smart);
    }
    for (row, names) in (0..).zip(COMPASS) {
        for (column, name) in (0..).zip(names) {
            if name == place {
                return Ok(Gravity::Compass { column, row });
            }
        }
    }
    let (x, y) = place
        .strip_prefix('x')
        .and_then(|numbers| numbers.split_once('y'))
        .ok_or_else(|| SpecError::BadGravity(SpecPart::new(part)))?;
    Ok(Gravity::Focus { x: decimal(x, &FRACTION, part)?, y: decimal(y, &FRACTION, part)? })
}

/// A zero width or height is good grammar: whether anything is left is the image's matter.
fn read_crop(numbers: &str, part: &str) -> Result<Crop, SpecError> {
    if numbers.split('-').count() != 4 {
        return Err(SpecError::BadCrop(SpecPart::new(part)));
    }
    let mut numbers = numbers.split('-');
    let mut next = || integer(numbers.next().unwrap_or_default(), &PIXELS, part);
    Ok(Crop { x: next()?, y: next()?, width: next()?, height: next()? })
}

fn read_color(digits: &str) -> Option<[u8; 3]> {
    // The digits are checked first because from_str_radix takes a sign.
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}

fn read_turn(degrees: &str, part: &str) -> Result<QuarterTurns, SpecError> {
    match integer(degrees, &TURN, part)? {
        90 => Ok(QuarterTurns::Quarter),
        180 => Ok(QuarterTurns::Half),
        270 => Ok(QuarterTurns::ThreeQuarters),
        _ => Err(SpecError::OutOfRange { part: SpecPart::new(part), allowed: TURN.words }),
    }
}

fn integer(text: &str, allowed: &Allowed, part: &str) -> Result<u32, SpecError> {
    let value = digits(text, 5).ok_or_else(|| SpecError::BadNumber(SpecPart::new(part)))?;
    in_range(value, allowed, part)
}

fn decimal(text: &str, allowed: &Allowed, part: &str) -> Result<Hundredths, SpecError> {
    let value = hundredths(text).ok_or_else(|| SpecError::BadNumber(SpecPart::new(part)))?;
    in_range(value, allowed, part).map(Hundredths)
}

fn in_range(value: u32, allowed: &Allowed, part: &str) -> Result<u32, SpecError> {
    if (allowed.min..=allowed.max).contains(&value) {
        Ok(value)
    } else {
        Err(SpecError::OutOfRange { part: SpecPart::new(part), allowed: allowed.words })
    }
}

/// At most 9,999,999, for the whole part has at most five digits.
fn hundredths(text: &str) -> Option<u32> {
    let Some((whole, places)) = text.split_once('.') else {
        return Some(digits(text, 5)? * 100);
    };
    let scale = if places.len() == 1 { 10 } else { 1 };
    Some(digits(whole, 5)? * 100 + digits(places, 2)? * scale)
}

/// The value of 1 to `count_max` digits and nothing else.
fn digits(text: &str, count_max: usize) -> Option<u32> {
    let valid = (1..=count_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}
