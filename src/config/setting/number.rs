//! Counts, sizes and times, each between the bounds of its type.

use std::fmt::Display;
use std::time::Duration;

use super::{RawValue, Value, quote};

/// An integer from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct BoundedInteger<T, const MIN: u64, const MAX: u64>(pub(in super::super) T);

/// Bytes from `MIN` to `MAX`: an integer, or a text with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct ByteSize<const MIN: u64, const MAX: u64>(pub(in super::super) u64);

/// A time from `MIN` to `MAX` milliseconds: a text with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct BoundedTime<const MIN: u64, const MAX: u64>(pub(in super::super) Duration);

/// Larger first, and powers of two before powers of ten: a size is printed in the first unit that divides it.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Milliseconds; larger first.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl<T: TryFrom<u64> + Display, const MIN: u64, const MAX: u64> Value for BoundedInteger<T, MIN, MAX> {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let count = given.integer().filter(|count| (MIN..=MAX).contains(count))?;
        T::try_from(count).ok().map(Self)
    }

    fn print(&self) -> String {
        self.0.to_string()
    }

    fn takes() -> String {
        format!("an integer from {MIN} to {MAX}")
    }
}

impl<const MIN: u64, const MAX: u64> Value for ByteSize<MIN, MAX> {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let bytes = given.integer().or_else(|| with_unit(given.text()?, &SIZE_UNITS))?;
        (MIN..=MAX).contains(&bytes).then_some(Self(bytes))
    }

    fn print(&self) -> String {
        if self.0 == 0 { "0".to_owned() } else { quote(&size(self.0)) }
    }

    fn takes() -> String {
        let (min, max) = (if MIN == 0 { "0".to_owned() } else { size(MIN) }, size(MAX));
        format!(
            "a size from {min} to {max}: an integer of bytes, or a text with B, KiB, MiB, GiB, TiB, kB, MB or GB"
        )
    }
}

impl<const MIN: u64, const MAX: u64> Value for BoundedTime<MIN, MAX> {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let milliseconds = with_unit(given.text()?, &TIME_UNITS)?;
        (MIN..=MAX).contains(&milliseconds).then(|| Self(Duration::from_millis(milliseconds)))
    }

    fn print(&self) -> String {
        // The duration was read from milliseconds within MAX.
        quote(&time(self.0.as_millis().try_into().unwrap_or(MAX)))
    }

    fn takes() -> String {
        format!("a time from {} to {}: a text with ms, s, m, h or d", time(MIN), time(MAX))
    }
}

/// Bytes with the largest unit that divides them.
pub(in crate::config) fn size(bytes: u64) -> String {
    in_units(bytes, &SIZE_UNITS, "B")
}

fn time(milliseconds: u64) -> String {
    in_units(milliseconds, &TIME_UNITS, "s")
}

fn in_units(number: u64, units: &[(&str, u64)], of_zero: &str) -> String {
    let fits = |(_, factor): &&(&str, u64)| number > 0 && number.is_multiple_of(*factor);
    let (unit, factor) = units.iter().find(fits).copied().unwrap_or((of_zero, 1));
    format!("{}{unit}", number / factor)
}

/// Digits, perhaps blanks, then a unit.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let unit = text[digits..].trim_start();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn read<T: Value>(text: &str) -> Option<T> {
        T::read(RawValue::Words(OsStr::new(text)))
    }

    fn bytes(text: &str) -> Option<u64> {
        read::<ByteSize<0, { u64::MAX }>>(text).map(|size| size.0)
    }

    fn milliseconds(text: &str) -> Option<u128> {
        read::<BoundedTime<0, { u64::MAX }>>(text).map(|time| time.0.as_millis())
    }

    #[test]
    fn every_unit_has_its_factor() {
        for (text, expected) in [
            ("7", 7),
            ("7B", 7),
            ("3kB", 3_000),
            ("3MB", 3_000_000),
            ("3 GB", 3_000_000_000),
            ("3KiB", 3 << 10),
            ("3MiB", 3 << 20),
            ("3GiB", 3 << 30),
            ("3TiB", 3 << 40),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for (text, expected) in [("5ms", 5), ("5s", 5_000), ("5 m", 300_000), ("5h", 18_000_000), ("0s", 0)] {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
        assert_eq!(milliseconds("2d"), Some(172_800_000));
    }

    #[test]
    fn what_is_no_number_with_a_unit_is_refused() {
        for text in
            ["", " ", "B", "-1B", "+1B", "1.5GiB", "1 Gib", "1gib", "1K", "0x10", "1_000", "99999999TiB"]
        {
            assert_eq!(bytes(text), None, "{text:?}");
        }
        for text in ["", "5", "s", "-5s", "5 sec", "5S", "1.5s", "99999999999999d"] {
            assert_eq!(milliseconds(text), None, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_part_of_the_range() {
        type Few = BoundedInteger<u8, 2, 4>;
        let kept =
            ["1", "2", "4", "5", "258", "-2", "2.0", ""].map(|text| read::<Few>(text).map(|few| few.0));
        assert_eq!(kept, [None, Some(2), Some(4), None, None, None, None, None]);
        let kept = ["1B", "2B", "1KiB", "1025"].map(|text| read::<ByteSize<2, 1024>>(text).is_some());
        assert_eq!(kept, [false, true, true, false]);
        let kept = ["1ms", "2ms", "1s", "1001ms"].map(|text| read::<BoundedTime<2, 1000>>(text).is_some());
        assert_eq!(kept, [false, true, true, false]);
    }

    #[test]
    fn numbers_print_in_the_largest_unit_that_divides_them() {
        let print = |bytes| ByteSize::<0, { u64::MAX }>(bytes).print();
        assert_eq!(print(32 << 20), "\"32MiB\"");
        assert_eq!(print(3_000_000_000), "\"3GB\"");
        assert_eq!(print(1_025), "\"1025B\"");
        assert_eq!(print(0), "0");
        let print = |milliseconds| BoundedTime::<0, 1000>(Duration::from_millis(milliseconds)).print();
        assert_eq!([print(75_000), print(120_000), print(0)], ["\"75s\"", "\"2m\"", "\"0s\""]);
    }
}
