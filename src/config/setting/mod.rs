//! The values of keys: reading, bounds and printing of every type.
//!
//! Nothing here knows a key's name, a file or the environment. Bounds are part of the types, so a value that exists is
//! within them.
//!
//! * [`number`]: counts, sizes, times. [`text`]: names, addresses, secrets, paths, choices.
//! * [`url`]: URLs of nodes and origins of web pages. [`preset`]: named specs.
//! * [`output`]: pixels by format.

pub(super) mod number;
pub(super) mod output;
pub(super) mod preset;
pub(super) mod text;
pub(super) mod url;

use std::ffi::OsStr;
use std::fmt;

use toml::de::DeValue;

pub(super) use self::preset::PresetFault;

/// The text that replaces a secret in any output.
pub(super) const MASK: &str = "…";

/// Characters of a value that are shown in a fault.
const SHOWN_MAX: usize = 80;

/// A value as written for a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum RawValue<'a> {
    /// In a file.
    Toml(&'a DeValue<'a>),
    /// In a variable or a flag, where everything is text.
    Words(&'a OsStr),
}

/// The reason why a key does not accept a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueError {
    /// Another type, or outside of the bounds.
    Value {
        /// The text as written, perhaps cut or masked.
        value: String,
        /// The values that are allowed.
        takes: String,
    },
    /// One item of a list.
    Item {
        /// The text as written, perhaps cut or masked.
        item: String,
        /// The values that are allowed.
        takes: String,
    },
    /// One preset.
    Preset {
        /// Its name as written, perhaps cut.
        name: String,
        /// Why.
        fault: PresetFault,
    },
}

/// The place where the value of a key is stored.
pub(super) trait Setting {
    /// Sets the value as written. On an error nothing changes, and every fault is reported.
    fn set(&mut self, given: RawValue<'_>) -> Result<(), Vec<ValueError>>;
    /// As a TOML value, with secrets masked; `None` where nothing is set.
    fn print(&self) -> Option<String>;
    /// The values that are allowed, to follow "write".
    fn takes(&self) -> String;
}

/// One value of a bounded kind.
pub(super) trait Value: Sized {
    /// Whether it must not be shown.
    const SECRET: bool = false;
    /// The value, if it is one and within its bounds.
    fn read(given: RawValue<'_>) -> Option<Self>;
    /// As TOML.
    fn print(&self) -> String;
    /// The values that are allowed, to follow "write".
    fn takes() -> String;
}

/// Values of one kind; in a variable they are separated by commas.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a> RawValue<'a> {
    /// The text, if it is one in UTF-8.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Toml(value) => value.as_str(),
            Self::Words(words) => words.to_str(),
        }
    }

    /// The integer, if the value is one that fits.
    pub(super) fn integer(self) -> Option<u64> {
        match self {
            Self::Toml(value) => {
                let integer = value.as_integer()?;
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            // Only digits: no sign.
            Self::Words(words) => {
                let text = words.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
                text.parse().ok()
            }
        }
    }

    /// As a fault shows it: escaped, and cut so that no line is endless.
    pub(super) fn print(self) -> String {
        match self {
            Self::Toml(DeValue::Integer(integer)) => cut(&integer.to_string()),
            Self::Toml(DeValue::Float(float)) => cut(float.as_str()),
            Self::Toml(DeValue::Boolean(flag)) => flag.to_string(),
            Self::Toml(DeValue::Datetime(time)) => time.to_string(),
            Self::Toml(DeValue::String(text)) => format!("{:?}", cut(text)),
            Self::Toml(DeValue::Array(_)) => "[…]".to_owned(),
            Self::Toml(DeValue::Table(_)) => "{…}".to_owned(),
            Self::Words(words) => format!("{:?}", cut(&words.to_string_lossy())),
        }
    }
}

impl<T: Value> Setting for T {
    fn set(&mut self, given: RawValue<'_>) -> Result<(), Vec<ValueError>> {
        *self = T::read(given).ok_or_else(|| vec![wrong::<T>(given, T::takes())])?;
        Ok(())
    }

    fn print(&self) -> Option<String> {
        Some(Value::print(self))
    }

    fn takes(&self) -> String {
        T::takes()
    }
}

impl<T: Value> Setting for Option<T> {
    fn set(&mut self, given: RawValue<'_>) -> Result<(), Vec<ValueError>> {
        *self = Some(T::read(given).ok_or_else(|| vec![wrong::<T>(given, T::takes())])?);
        Ok(())
    }

    fn print(&self) -> Option<String> {
        self.as_ref().map(Value::print)
    }

    fn takes(&self) -> String {
        T::takes()
    }
}

impl<T: Value> Setting for List<T> {
    fn set(&mut self, given: RawValue<'_>) -> Result<(), Vec<ValueError>> {
        let (values, faults): (Vec<_>, Vec<_>) = match given {
            RawValue::Toml(DeValue::Array(items)) => {
                let items = items.iter().map(|item| read_item(RawValue::Toml(item.get_ref())));
                items.partition(Result::is_ok)
            }
            RawValue::Words(words) if words.to_str().is_some() => {
                let items = split(words, ',').map(|item| read_item(RawValue::Words(OsStr::new(item))));
                items.partition(Result::is_ok)
            }
            _ => return Err(vec![wrong::<T>(given, self.takes())]),
        };
        if !faults.is_empty() {
            return Err(faults.into_iter().filter_map(Result::err).collect());
        }
        self.0 = values.into_iter().filter_map(Result::ok).collect();
        Ok(())
    }

    fn print(&self) -> Option<String> {
        Some(format!("[{}]", self.0.iter().map(Value::print).collect::<Vec<_>>().join(", ")))
    }

    fn takes(&self) -> String {
        format!("a list, each item {}", T::takes())
    }
}

/// The parts of a variable's list, without the blanks around them; none in an empty text.
fn split(words: &OsStr, separator: char) -> impl Iterator<Item = &str> {
    let text = words.to_str().unwrap_or_default().trim();
    let parts = (!text.is_empty()).then(|| text.split(separator).map(str::trim));
    parts.into_iter().flatten()
}

fn read_item<T: Value>(given: RawValue<'_>) -> Result<T, ValueError> {
    T::read(given).ok_or_else(|| ValueError::Item { item: print_masked::<T>(given), takes: T::takes() })
}

fn wrong<T: Value>(given: RawValue<'_>, takes: String) -> ValueError {
    ValueError::Value { value: print_masked::<T>(given), takes }
}

fn print_masked<T: Value>(given: RawValue<'_>) -> String {
    if T::SECRET { format!("{MASK:?}") } else { given.print() }
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// A text as TOML.
fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { value, takes } => write!(f, " = {value} is not valid: write {takes}"),
            Self::Item { item, takes } => write!(f, " has {item}, which is not valid: write {takes}"),
            Self::Preset { name, fault } => write!(f, ".{name}{fault}"),
        }
    }
}
