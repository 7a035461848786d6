//! Nouns of the cluster: node ids, labels, URLs. Parse and print only.

use std::fmt;
use std::sync::Arc;

use super::wire::Malformed;

/// A node's id, forever: 16 random bytes that its data directory keeps. Printed as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId([u8; 16]);

/// The name of a node, a zone or a cluster: 1 to 64 letters, digits, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(Arc<str>);

/// The URL by which other nodes reach a node: `http://`, a host name or address, and a port, 256 bytes at most. Nothing else can
/// stand in it: no user, path or query. It is only carried and compared here; resolving it is the caller's business.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeUrl(Arc<str>);

/// The share of the data that a node takes relative to the others: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u32);

impl NodeId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads 32 hex digits of either case.
    ///
    /// # Errors
    /// [`Malformed`] for any other text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if hex { u128::from_str_radix(text, 16).ok() } else { None };
        number.map(|number| Self(number.to_be_bytes())).ok_or(Malformed)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Label {
    const BYTES_MAX: usize = 64;

    /// Reads a label.
    ///
    /// # Errors
    /// [`Malformed`] for an empty or longer text and for any other character.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(valid) {
            Ok(Self(text.into()))
        } else {
            Err(Malformed)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NodeUrl {
    const BYTES_MAX: usize = 256;

    /// Reads a URL.
    ///
    /// # Errors
    /// [`Malformed`] for anything but `http://host:port` of at most 256 bytes.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (host, port) =
            text.strip_prefix("http://").and_then(|rest| rest.rsplit_once(':')).ok_or(Malformed)?;
        let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => is_like_ipv6(address),
            None => {
                !host.is_empty()
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            }
        };
        // One way to write a port: equal URLs must have equal bytes.
        let is_port = port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
        if !is_host || !is_port || text.len() > Self::BYTES_MAX {
            return Err(Malformed);
        }
        Ok(Self(text.into()))
    }

    /// Equal for URLs that differ in case alone, which lead to one place.
    pub(in crate::cluster) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The characters of an IPv6 address; whether it is one shows when somebody connects to it.
fn is_like_ipv6(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    text.matches(':').count() >= 2 && text.bytes().all(is_part)
}

impl Weight {
    /// The largest weight.
    pub const MAX: u32 = 1_000_000;

    /// This weight.
    ///
    /// # Errors
    /// [`Malformed`] for 0 and above [`Self::MAX`].
    pub const fn new(weight: u32) -> Result<Self, Malformed> {
        if weight == 0 || weight > Self::MAX { Err(Malformed) } else { Ok(Self(weight)) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ids_print_what_they_parsed() {
        let text = "00ff00ff00ff00ff0123456789abcdef";
        assert_eq!(NodeId::parse(text).unwrap().to_string(), text);
        assert_eq!(NodeId::parse(&text.to_uppercase()).unwrap().to_string(), text);
        for bad in ["", &text[1..], &format!("{text}0"), &text.replace("01", "+1"), &text.replace("01", "g1")]
        {
            assert_eq!(NodeId::parse(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn labels_urls_and_weights_have_bounds() {
        assert_eq!(Label::parse("rack-1.a_B").unwrap().as_str(), "rack-1.a_B");
        for bad in ["", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(Label::parse(bad), Err(Malformed), "{bad}");
        }
        assert_eq!(NodeUrl::parse("http://[::1]:80").unwrap().as_str(), "http://[::1]:80");
        assert!(NodeUrl::parse(&format!("http://{}:1", "a".repeat(247))).is_ok());
        assert_eq!(
            NodeUrl::parse("http://A.b:1").unwrap().key(),
            NodeUrl::parse("http://a.B:1").unwrap().key()
        );
        for bad in [
            "",
            "http://",
            "http://a",
            "https://a:1",
            "http://a b:1",
            "http://ä:1",
            "http://a:01",
            "http://a:+1",
            "http://a:65536",
            "http://a:1/",
            "http://a:1/x",
            "http://a:1?x",
            "http://u@a:1",
            "http://u:p@a:1",
            "http://[::1]",
            "http://[x]:1",
            "http://::1:1",
            "http://:1",
            "http://a:1:1",
            &format!("http://{}:1", "a".repeat(300)),
        ] {
            assert_eq!(NodeUrl::parse(bad), Err(Malformed), "{bad}");
        }
        assert_eq!(Weight::new(4).unwrap().get(), 4);
        assert!(Weight::new(0).is_err() && Weight::new(Weight::MAX + 1).is_err());
    }
}
