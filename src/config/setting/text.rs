//! Values that are text: names, addresses, secrets, paths, choices; and flags.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use log::LevelFilter;
use toml::de::DeValue;

use super::{MASK, RawValue, Value, quote};
use crate::http::access::RequireSignature;
use crate::http::access::client::TrustedProxy;
use crate::image::light::{Light, LightSetting};
use crate::image::recipe::Originals;
use crate::telemetry::log::Form;

/// The name of a node, a zone or a cluster: 1 to 64 letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Name(String);

/// A key or secret of `MIN` to 1024 bytes, without control characters and blanks at its ends.
/// Prints, also for debugging, as a mask.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::config) struct Secret<const MIN: usize>(String);

/// The path of a file or directory; not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FilePath(pub(in super::super) PathBuf);

/// Permissions of a directory, in octal digits as `chmod` takes them: all rights for the owner, optional ones for
/// others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Permissions(pub(in super::super) u32);

/// One of a few words.
pub(in crate::config) trait Choice: Copy + PartialEq + 'static {
    /// Every word with its meaning.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this meaning.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, meaning)| *meaning == self).map_or("", |(word, _)| word)
    }
}

const SECRET_BYTES_MAX: usize = 1024;

impl Choice for LevelFilter {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Choice for Form {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Choice for Originals {
    const WORDS: &'static [(&'static str, Self)] =
        &[("as_is", Self::AsIs), ("stripped", Self::Stripped), ("off", Self::Off)];
}

impl Choice for LightSetting {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("linear", Self::Always(Light::Linear)),
        ("encoded", Self::Always(Light::Encoded)),
    ];
}

impl Choice for RequireSignature {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("variants", Self::Variants), ("all", Self::All)];
}

impl Value for bool {
    fn read(given: RawValue<'_>) -> Option<Self> {
        match given {
            RawValue::Toml(DeValue::Boolean(flag)) => Some(*flag),
            RawValue::Toml(_) => None,
            RawValue::Words(words) => words.to_str()?.parse().ok(),
        }
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn takes() -> String {
        "true or false".to_owned()
    }
}

impl<T: Choice> Value for T {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let text = given.text()?;
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
    }

    fn print(&self) -> String {
        quote(self.word())
    }

    fn takes() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| quote(word)).collect();
        format!("one of {}", words.join(", "))
    }
}

impl Name {
    const BYTES_MAX: usize = 64;

    /// The name that is most like this host name, which may be invalid as a name.
    pub(in crate::config) fn like(text: &str) -> Self {
        let like = |byte: u8| if is_of_name(byte) { byte.into() } else { '-' };
        let name: String = text.bytes().map(like).take(Self::BYTES_MAX).collect();
        Self(if name.is_empty() { "node".to_owned() } else { name })
    }

    pub(in crate::config) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name may hold this byte.
pub(super) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

impl Value for Name {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let text = given.text()?;
        let valid = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_name);
        valid.then(|| Self(text.to_owned()))
    }

    fn print(&self) -> String {
        quote(&self.0)
    }

    fn takes() -> String {
        format!("a name of 1 to {} letters, digits, \".\", \"_\" and \"-\"", Self::BYTES_MAX)
    }
}

impl Value for SocketAddr {
    fn read(given: RawValue<'_>) -> Option<Self> {
        given.text()?.parse().ok()
    }

    fn print(&self) -> String {
        quote(&self.to_string())
    }

    fn takes() -> String {
        "an IP address and port such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned()
    }
}

impl Value for TrustedProxy {
    fn read(given: RawValue<'_>) -> Option<Self> {
        Self::parse(given.text()?)
    }

    fn print(&self) -> String {
        quote(&self.to_string())
    }

    fn takes() -> String {
        "\"loopback\", an IP address, or a network such as \"10.0.0.0/8\" without bits beyond its prefix"
            .to_owned()
    }
}

impl<const MIN: usize> Secret<MIN> {
    /// The secret itself.
    pub(in crate::config) fn into_text(self) -> String {
        self.0
    }

    /// Whether there is none.
    pub(in crate::config) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has fewer than `BYTES` bytes.
    pub(in crate::config) fn is_under<const BYTES: usize>(&self) -> bool {
        self.0.len() < BYTES
    }

    /// The secret of this text, if it is one.
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        // `check-config` prints the mask: as a secret it would be one that everybody knows.
        let valid = (MIN..=SECRET_BYTES_MAX).contains(&text.len())
            && text == text.trim()
            && text != MASK
            && !text.contains(char::is_control);
        valid.then(|| Self(text.to_owned()))
    }
}

impl<const MIN: usize> Default for Secret<MIN> {
    /// The empty one; for `MIN` 0 alone.
    fn default() -> Self {
        const { assert!(MIN == 0) };
        Self(String::new())
    }
}

impl<const MIN: usize> Value for Secret<MIN> {
    const SECRET: bool = true;

    fn read(given: RawValue<'_>) -> Option<Self> {
        Self::parse(given.text()?)
    }

    fn print(&self) -> String {
        quote(if self.0.is_empty() { "" } else { MASK })
    }

    fn takes() -> String {
        format!(
            "a text of {MIN} to {SECRET_BYTES_MAX} bytes without control characters and blanks at its ends, and not \"{MASK}\""
        )
    }
}

impl<const MIN: usize> fmt::Debug for Secret<MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Value for FilePath {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let path = match given {
            RawValue::Toml(value) => PathBuf::from(value.as_str()?),
            RawValue::Words(words) => PathBuf::from(words),
        };
        let bytes = path.as_os_str().as_encoded_bytes();
        (!bytes.is_empty() && !bytes.contains(&0)).then_some(Self(path))
    }

    fn print(&self) -> String {
        quote(&self.0.to_string_lossy())
    }

    fn takes() -> String {
        "a path".to_owned()
    }
}

impl Value for Permissions {
    fn read(given: RawValue<'_>) -> Option<Self> {
        let text = given.text()?;
        let is_octal =
            (3..=4).contains(&text.len()) && text.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
        // Without its own rights the server could not use the directory.
        (mode & 0o700 == 0o700 && mode <= 0o777).then_some(Self(mode))
    }

    fn print(&self) -> String {
        quote(&format!("{:04o}", self.0))
    }

    fn takes() -> String {
        "a text of octal digits from \"0700\" to \"0777\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn read<T: Value>(text: &str) -> Option<T> {
        T::read(RawValue::Words(OsStr::new(text)))
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(read::<Name>("img-1.a_B").is_some() && read::<Name>(&"x".repeat(64)).is_some());
        for text in ["", "a b", "ä", "a/b", "a\"", &"x".repeat(65)] {
            assert_eq!(read::<Name>(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_host_name_gives_a_name() {
        for (host, expected) in [("img1", "img1"), ("(none)", "-none-"), ("", "node"), ("ä", "--")] {
            let name = Name::like(host);
            assert_eq!(name.as_str(), expected);
            assert_eq!(read::<Name>(name.as_str()), Some(name));
        }
    }

    #[test]
    fn a_secret_is_never_shown_and_never_the_mask() {
        let secret = read::<Secret<1>>("s3cret").unwrap();
        assert!(!format!("{secret:?} {}", secret.print()).contains("s3cret"));
        assert_eq!(secret.into_text(), "s3cret");
        for text in ["", " a", "a\n", "a\u{7f}b", MASK, &"x".repeat(1025)] {
            assert_eq!(read::<Secret<1>>(text), None, "{text:?}");
        }
        assert_eq!(read::<Secret<0>>("").unwrap().print(), "\"\"");
    }

    #[test]
    fn permissions_are_octal_and_leave_the_owner_all() {
        for (text, mode) in [("0700", 0o700), ("750", 0o750), ("0777", 0o777)] {
            assert_eq!(read::<Permissions>(text), Some(Permissions(mode)));
        }
        assert_eq!(Permissions(0o700).print(), "\"0700\"");
        for text in ["", "0600", "0077", "07", "0o700", "1777", "0788", "+700", "00700", "rwx"] {
            assert_eq!(read::<Permissions>(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_choice_takes_its_words_alone() {
        assert_eq!(read::<RequireSignature>("variants"), Some(RequireSignature::Variants));
        assert_eq!(read::<Form>("Text"), None);
        assert_eq!(<LevelFilter as Value>::takes().matches('"').count(), 12);
        assert_eq!((read::<bool>("true"), read::<bool>("1")), (Some(true), None));
    }
}
