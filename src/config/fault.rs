//! The faults of a configuration, each with its place and the correction.
//!
//! A fault never shows a secret: settings print a mask instead.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::rule::Rule;
use super::setting::ValueError;

/// All faults of a configuration, at least one. Prints one line for each.
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
    /// The default.
    Default,
    /// This file as a whole.
    File(PathBuf),
    /// This line of this file, counted from 1.
    Line(PathBuf, usize),
    /// This variable of the environment.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

/// The cause of a fault.
#[derive(Debug)]
pub(super) enum Cause {
    /// The system's error when it is read.
    Unreadable(io::Error),
    /// Longer than a configuration file may be.
    TooLong {
        /// The bound, in bytes.
        bytes_max: u64,
    },
    /// Not UTF-8.
    NotUtf8,
    /// Not TOML; the message of the parser.
    Syntax(String),
    /// An unknown key.
    UnknownKey {
        /// As written, with its section.
        key: String,
        /// The known key that is most like it.
        nearest: &'static str,
    },
    /// An unknown section.
    UnknownSection {
        /// As written.
        section: String,
        /// The known section that is most like it.
        nearest: &'static str,
    },
    /// A value for a section or a table of keys.
    NotATable {
        /// The section or table.
        section: String,
    },
    /// A value that the key does not take.
    Value {
        /// The key with its section.
        key: &'static str,
        /// The fault of the value.
        wrong: ValueError,
    },
    /// Two variables with the same meaning have different values.
    TwoVariables {
        /// The other one.
        other: String,
    },
    /// Values that contradict each other.
    Rule(Rule),
}

impl Cause {
    /// Whether keys may have been left unread.
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
            Self::Unreadable(error) => {
                write!(f, "cannot be read: {error}; give the path of a configuration file")
            }
            Self::TooLong { bytes_max } => {
                write!(f, "is longer than {bytes_max} bytes: give the path of a configuration file")
            }
            Self::NotUtf8 => f.write_str("is not UTF-8: save the file as UTF-8 text"),
            Self::Syntax(message) => write!(f, "this is not TOML: {message}"),
            Self::UnknownKey { key, nearest } => {
                write!(f, "{key:?} is not a key: remove it, or did you mean {nearest}?")
            }
            Self::UnknownSection { section, nearest } => {
                write!(f, "{section:?} is not a section: remove it, or did you mean [{nearest}]?")
            }
            Self::NotATable { section } => {
                write!(
                    f,
                    "{section} has keys and cannot be a value: write [{section}], and key = value in the lines below it"
                )
            }
            Self::Value { key, wrong } => write!(f, "{key}{wrong}"),
            Self::TwoVariables { other } => {
                write!(f, "{other} sets the same key to another value: unset one of the two")
            }
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}
