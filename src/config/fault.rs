//! Why a configuration cannot be used: every fault with its place, and what would be right.
//!
//! A fault never shows a secret: settings hand over a mask in its stead.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::rule::Rule;
use super::setting::ValueError;

/// Why a configuration cannot be used: all of its faults, at least one. Prints one line for each.
#[derive(Debug)]
pub struct ConfigError {
    pub(super) faults: Vec<ConfigFault>,
}

/// One fault.
#[derive(Debug)]
pub(super) struct ConfigFault {
    pub(super) place: SettingOrigin,
    pub(super) cause: Cause,
}

/// The origin of a setting, in the order in which faults are reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SettingOrigin {
    /// Nowhere: it is so by default.
    Default,
    /// In this file as a whole.
    File(PathBuf),
    /// In this line of this file, counted from 1.
    Line(PathBuf, usize),
    /// In this variable of the environment.
    Variable(String),
    /// In this flag.
    Flag(&'static str),
}

/// The cause of a fault.
#[derive(Debug)]
pub(super) enum Cause {
    /// The system does not let it be read.
    Unreadable(io::Error),
    /// More bytes than a configuration can sensibly have.
    TooLong {
        /// The bound.
        bytes_max: u64,
    },
    /// Not UTF-8.
    NotUtf8,
    /// Not TOML; what the parser says.
    Syntax(String),
    /// No such key.
    UnknownKey {
        /// As written, with its section.
        key: String,
        /// The known key that is most like it.
        nearest: &'static str,
    },
    /// No such section.
    UnknownSection {
        /// As written.
        section: String,
        /// The known section that is most like it.
        nearest: &'static str,
    },
    /// A value where a section or a table of keys stands.
    NotATable {
        /// The section or table.
        section: String,
    },
    /// A value that the key does not take.
    Value {
        /// The key with its section.
        key: &'static str,
        /// Why.
        wrong: ValueError,
    },
    /// Two variables of one meaning with different values.
    TwoVariables {
        /// The other one.
        other: String,
    },
    /// Values that do not go together.
    Rule(Rule),
}

impl Cause {
    /// Whether there may be keys that were not seen.
    pub(super) fn hides_keys(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::TooLong { .. } | Self::NotUtf8 | Self::Syntax(_))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ConfigFault { place, cause }) in self.faults.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{place}: {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}; name a file that is there"),
            Self::TooLong { bytes_max } => {
                write!(f, "is longer than {bytes_max} bytes: name a configuration file")
            }
            Self::NotUtf8 => f.write_str("is not UTF-8: write it as UTF-8 text"),
            Self::Syntax(message) => write!(f, "this is not TOML: {message}"),
            Self::UnknownKey { key, nearest } => {
                write!(f, "{key:?} is not a key: remove it, or did you mean {nearest}?")
            }
            Self::UnknownSection { section, nearest } => {
                write!(f, "{section:?} is not a section: remove it, or did you mean [{nearest}]?")
            }
            Self::NotATable { section } => {
                write!(f, "{section} has keys of its own: write [{section}] and below it key = value")
            }
            Self::Value { key, wrong } => write!(f, "{key}{wrong}"),
            Self::TwoVariables { other } => write!(f, "{other} says otherwise: unset one of the two"),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}
