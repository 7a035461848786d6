//! Addresses and keys as they are typed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

/// A node's address, `http://host[:port]`, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress(String);

/// The part of a URL before `/image`: `http` or `https`, perhaps with a path, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// A key that goes into a header: printable ASCII without spaces. An empty one is absent.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderKey(String);

/// The reason why a text is not an address or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Not `http://host[:port]`.
    Node,
    /// Not `http(s)://host[:port][/path]`.
    Base,
    /// A character that a header cannot carry.
    Key,
}

impl NodeAddress {
    /// The node at a socket address.
    pub fn at(address: std::net::SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }

    /// The text, to which a path can be appended.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names this machine: `localhost`, or a loopback address. Other names are not looked up.
    pub fn is_loopback(&self) -> bool {
        let uri: Option<Uri> = self.0.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_address = |address: IpAddr| address.to_canonical().is_loopback();
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_address)
    }
}

impl BaseUrl {
    /// The text, to which a path can be appended.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (uri, text) = uri(text).ok_or(AddressError::Node)?;
        let bare = uri.scheme_str() == Some("http") && uri.path() == "/";
        if bare { Ok(Self(text)) } else { Err(AddressError::Node) }
    }
}

impl FromStr for BaseUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (uri, text) = uri(text).ok_or(AddressError::Base)?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        if web { Ok(Self(text)) } else { Err(AddressError::Base) }
    }
}

impl FromStr for HeaderKey {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if printable { Ok(Self(text.to_owned())) } else { Err(AddressError::Key) }
    }
}

/// The parsed URL and its text without slashes at the end. `None` unless it is an absolute URL with a host and a valid
/// port, without password and query.
fn uri(text: &str) -> Option<(Uri, String)> {
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let plain = !authority.host().is_empty() && authority.as_str() == format!("{}{port}", authority.host());
    (uri.scheme().is_some() && plain && uri.query().is_none()).then(|| (uri, text.to_owned()))
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key is never printed.
impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "write it as http://host:port, with nothing behind (this program speaks no https)",
            Self::Base => "write it as http://host:port or https://host, without a query",
            Self::Key => "a key is printable ASCII without spaces",
        })
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_node_is_a_host_and_perhaps_a_port() {
        for (text, kept) in [
            ("http://a:80", "http://a:80"),
            ("http://a.b/", "http://a.b"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ] {
            assert_eq!(text.parse::<NodeAddress>().unwrap().as_str(), kept);
        }
        for text in [
            "",
            "/",
            "a",
            "a:80",
            "http://",
            "http:///x",
            "http://a/x",
            "http://a?b",
            "https://a",
            "http://u:p@a",
            "http://a:99999",
            "http://a:",
            "http://a b",
            "http://a\n",
            "ftp://a",
        ] {
            assert_eq!(text.parse::<NodeAddress>(), Err(AddressError::Node), "{text:?}");
        }
    }

    #[test]
    fn this_machine_is_localhost_or_a_loopback_address_and_nothing_that_looks_like_it() {
        let is = |text: &str| text.parse::<NodeAddress>().unwrap().is_loopback();
        for text in
            ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.9.9.9", "[::1]:80", "[::ffff:127.0.0.1]"]
        {
            assert!(is(&format!("http://{text}")), "{text}");
        }
        for text in [
            "10.0.0.1",
            "0.0.0.0",
            "localhost.example",
            "127.0.0.1.example",
            "xlocalhost",
            "[::2]",
            "[fe80::1]",
            "128.0.0.1",
        ] {
            assert!(!is(&format!("http://{text}")), "{text}");
        }
    }

    #[test]
    fn a_base_may_have_a_path_and_https() {
        assert_eq!(
            "https://cdn.example/pictures/".parse::<BaseUrl>().unwrap().as_str(),
            "https://cdn.example/pictures"
        );
        assert_eq!("https://a?x=1".parse::<BaseUrl>(), Err(AddressError::Base));
        assert_eq!("//a".parse::<BaseUrl>(), Err(AddressError::Base));
    }
}
