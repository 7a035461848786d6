//! What is written as text: names, addresses, URLs, origins, secrets, paths, choices; and flags.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ::http::Uri;
use log::LevelFilter;
use toml::de::DeValue;

use super::{Given, MASK, Value, quoted};
use crate::http::access::RequireSignature;
use crate::telemetry::log::Form;

/// The name of a node, a zone or a cluster: 1 to 64 letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Name(String);

/// `http://host:port`, in lower case, without anything after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct NodeUrl {
    host: String,
    port: u16,
}

/// `*`, or scheme, host and perhaps port of a web page, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Origin(String);

/// A key or secret of `MIN` to 1024 bytes, without control characters and blanks at its ends.
/// Prints, also for debugging, as a mask.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::config) struct Secret<const MIN: usize>(String);

/// Where a file or directory is; not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FilePath(pub(in super::super) PathBuf);

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
const ORIGIN_BYTES_MAX: usize = 256;

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

impl Choice for RequireSignature {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("variants", Self::Variants), ("all", Self::All)];
}

impl Value for bool {
    fn read(given: Given<'_>) -> Option<Self> {
        match given {
            Given::Toml(DeValue::Boolean(flag)) => Some(*flag),
            Given::Toml(_) => None,
            Given::Words(words) => words.to_str()?.parse().ok(),
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
    fn read(given: Given<'_>) -> Option<Self> {
        let text = given.text()?;
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
    }

    fn print(&self) -> String {
        quoted(self.word())
    }

    fn takes() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| quoted(word)).collect();
        format!("one of {}", words.join(", "))
    }
}

impl Name {
    const BYTES_MAX: usize = 64;

    /// The name that is most like this one; hosts may have names that are none here.
    pub(in crate::config) fn like(text: &str) -> Self {
        let like = |byte: u8| if is_of_name(byte) { byte.into() } else { '-' };
        let name: String = text.bytes().map(like).take(Self::BYTES_MAX).collect();
        Self(if name.is_empty() { "node".to_owned() } else { name })
    }

    pub(in crate::config) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

impl Value for Name {
    fn read(given: Given<'_>) -> Option<Self> {
        let text = given.text()?;
        let valid = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_name);
        valid.then(|| Self(text.to_owned()))
    }

    fn print(&self) -> String {
        quoted(&self.0)
    }

    fn takes() -> String {
        format!("a name of 1 to {} letters, digits, \".\", \"_\" and \"-\"", Self::BYTES_MAX)
    }
}

impl Value for SocketAddr {
    fn read(given: Given<'_>) -> Option<Self> {
        given.text()?.parse().ok()
    }

    fn print(&self) -> String {
        quoted(&self.to_string())
    }

    fn takes() -> String {
        "an IP address and port such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned()
    }
}

impl NodeUrl {
    /// Whether it leads to the own machine.
    pub(in crate::config) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Whether anybody could connect to it: not the address that stands for all, not port 0.
    pub(in crate::config) fn is_reachable(&self) -> bool {
        self.port != 0 && !self.address().is_some_and(|address| address.is_unspecified())
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn parse(text: &str) -> Option<Self> {
        // Uri drops a fragment without a word.
        let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
        let authority = uri.authority()?;
        if uri.scheme_str() != Some("http") || uri.path() != "/" || uri.query().is_some() {
            return None;
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host)? {
            "" => 80,
            port => port.strip_prefix(':').filter(|port| !port.starts_with('+'))?.parse().ok()?,
        };
        is_host(host).then(|| Self { host: host.to_ascii_lowercase(), port })
    }
}

/// An IPv6 address in brackets, an IPv4 address, or a name that is not like one.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    let like_ipv4 =
        host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.bytes().all(is_of_name) && (!like_ipv4 || host.parse::<Ipv4Addr>().is_ok())
}

impl From<SocketAddr> for NodeUrl {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { host, port: address.port() }
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl Value for NodeUrl {
    fn read(given: Given<'_>) -> Option<Self> {
        Self::parse(given.text()?)
    }

    fn print(&self) -> String {
        quoted(&self.to_string())
    }

    fn takes() -> String {
        "a URL such as \"http://10.0.0.1:8080\", with host and port alone".to_owned()
    }
}

impl Origin {
    pub(in crate::config) fn any() -> Self {
        Self("*".to_owned())
    }

    pub(in crate::config) fn into_text(self) -> String {
        self.0
    }
}

impl Value for Origin {
    fn read(given: Given<'_>) -> Option<Self> {
        let text = given.text()?;
        let is_origin = |text: &str| {
            let uri = text.parse::<Uri>().ok()?;
            let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
            let bare = text.len() == scheme.len() + "://".len() + authority.as_str().len();
            Some(bare && !authority.as_str().contains('@'))
        };
        let valid = text == "*" || text.len() <= ORIGIN_BYTES_MAX && is_origin(text) == Some(true);
        valid.then(|| Self(text.to_ascii_lowercase()))
    }

    fn print(&self) -> String {
        quoted(&self.0)
    }

    fn takes() -> String {
        "\"*\" for all, or an origin such as \"https://example.org\", without a path".to_owned()
    }
}

impl<const MIN: usize> Secret<MIN> {
    /// The secret itself.
    pub(in crate::config) fn into_text(self) -> String {
        self.0
    }

    /// The secret of this text, if it is one.
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        // The mask is what check-config prints: taken for a secret, it would be one that everybody knows.
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

    fn read(given: Given<'_>) -> Option<Self> {
        Self::parse(given.text()?)
    }

    fn print(&self) -> String {
        quoted(if self.0.is_empty() { "" } else { MASK })
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
    fn read(given: Given<'_>) -> Option<Self> {
        let path = match given {
            Given::Toml(value) => PathBuf::from(value.as_str()?),
            Given::Words(words) => PathBuf::from(words),
        };
        let bytes = path.as_os_str().as_encoded_bytes();
        (!bytes.is_empty() && !bytes.contains(&0)).then_some(Self(path))
    }

    fn print(&self) -> String {
        quoted(&self.0.to_string_lossy())
    }

    fn takes() -> String {
        "a path".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn read<T: Value>(text: &str) -> Option<T> {
        T::read(Given::Words(OsStr::new(text)))
    }

    fn url(text: &str) -> Option<String> {
        read::<NodeUrl>(text).map(|url| url.to_string())
    }

    #[test]
    fn a_node_url_is_scheme_host_and_port() {
        for (text, expected) in [
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("HTTP://Img-1.Example:8080/", "http://img-1.example:8080"),
            ("http://[2001:DB8::1]:80", "http://[2001:db8::1]:80"),
            ("http://img1", "http://img1:80"),
        ] {
            assert_eq!(url(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "img1:8080",
            "https://img1:8080",
            "http://",
            "http://:8080",
            "http://img1:",
            "http://img1:+80",
            "http://img1:65536",
            "http://me@img1:80",
            "http://img1:80/path",
            "http://img1:80/?q",
            "http://img1:80/#f",
            "http://img1:80#f",
            "http://img 1:80",
            "http://300.1.1.1:80",
            "http://[::1:80",
            "http://[1.2.3.4]:80",
            "http://a!b:80",
        ] {
            assert_eq!(url(text), None, "{text:?}");
        }
    }

    #[test]
    fn loopback_and_unreachable_hosts_are_told_apart() {
        let is = |text| {
            let url = read::<NodeUrl>(text).unwrap();
            (url.is_loopback(), url.is_reachable())
        };
        assert_eq!(is("http://127.3.2.1:80"), (true, true));
        assert_eq!(is("http://[::1]:80"), (true, true));
        assert_eq!(is("http://LocalHost:80"), (true, true));
        assert_eq!(is("http://10.0.0.1:80"), (false, true));
        assert_eq!(is("http://localhost.example:80"), (false, true));
        assert_eq!(is("http://0.0.0.0:80"), (false, false));
        assert_eq!(is("http://[::]:80"), (false, false));
        assert_eq!(is("http://10.0.0.1:0"), (false, false));
    }

    #[test]
    fn a_url_of_an_address_reads_again() {
        for address in ["127.0.0.1:0", "0.0.0.0:8080", "[::1]:443"] {
            let made = NodeUrl::from(address.parse::<SocketAddr>().unwrap());
            assert_eq!(read::<NodeUrl>(&made.to_string()), Some(made));
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        for text in ["*", "https://example.org", "http://localhost:3000", "capacitor://localhost"] {
            assert!(read::<Origin>(text).is_some(), "{text}");
        }
        assert_eq!(read::<Origin>("https://Example.ORG").unwrap().into_text(), "https://example.org");
        for text in [
            "",
            "example.org",
            "https://example.org/",
            "https://a@example.org",
            "https://",
            "null",
            "https://*.a b",
        ] {
            assert_eq!(read::<Origin>(text), None, "{text:?}");
        }
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
    fn a_choice_takes_its_words_alone() {
        assert_eq!(read::<RequireSignature>("variants"), Some(RequireSignature::Variants));
        assert_eq!(read::<Form>("Text"), None);
        assert_eq!(<LevelFilter as Value>::takes().matches('"').count(), 12);
        assert_eq!((read::<bool>("true"), read::<bool>("1")), (Some(true), None));
    }
}
