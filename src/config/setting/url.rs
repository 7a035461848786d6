//! URLs of nodes, and origins of web pages.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ::http::Uri;

use super::text::is_of_name;
use super::{RawValue, Value, quote};

/// `http://host:port`, in lower case, without anything after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct UrlSetting {
    host: String,
    port: u16,
}

/// `*`, or scheme, host and perhaps port of a web page, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Origin(String);

const ORIGIN_BYTES_MAX: usize = 256;

/// Ten less than a host name may have, so that a whole URL has at most 256 bytes.
const HOST_BYTES_MAX: usize = 243;

impl UrlSetting {
    /// Whether other nodes could connect to it: neither the unspecified address nor port 0.
    pub(in crate::config) fn is_reachable(&self) -> bool {
        self.port != 0 && !self.address().is_some_and(|address| address.is_unspecified())
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn parse(text: &str) -> Option<Self> {
        // `Uri` drops a fragment silently.
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
    host.len() <= HOST_BYTES_MAX
        && host.bytes().all(is_of_name)
        && (!like_ipv4 || host.parse::<Ipv4Addr>().is_ok())
}

impl From<SocketAddr> for UrlSetting {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { host, port: address.port() }
    }
}

impl fmt::Display for UrlSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl Value for UrlSetting {
    fn read(given: RawValue<'_>) -> Option<Self> {
        Self::parse(given.text()?)
    }

    fn print(&self) -> String {
        quote(&self.to_string())
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
    fn read(given: RawValue<'_>) -> Option<Self> {
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
        quote(&self.0)
    }

    fn takes() -> String {
        "\"*\" for all, or an origin such as \"https://example.org\", without a path".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn read<T: Value>(text: &str) -> Option<T> {
        T::read(RawValue::Words(OsStr::new(text)))
    }

    fn url(text: &str) -> Option<String> {
        read::<UrlSetting>(text).map(|url| url.to_string())
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
    fn a_node_url_is_no_longer_than_the_cluster_takes() {
        let longest = format!("http://{}:65535", "a".repeat(HOST_BYTES_MAX));
        assert!(crate::cluster::node::NodeUrl::parse(&url(&longest).unwrap()).is_ok());
        assert_eq!(url(&longest.replace("aa", "aaa")), None);
    }

    #[test]
    fn hosts_that_nobody_can_connect_to_are_told() {
        let is_reachable = |text| read::<UrlSetting>(text).unwrap().is_reachable();
        for text in ["http://127.3.2.1:80", "http://[::1]:80", "http://LocalHost:80", "http://10.0.0.1:80"] {
            assert!(is_reachable(text), "{text}");
        }
        for text in ["http://0.0.0.0:80", "http://[::]:80", "http://10.0.0.1:0"] {
            assert!(!is_reachable(text), "{text}");
        }
    }

    #[test]
    fn a_url_of_an_address_reads_again() {
        for address in ["127.0.0.1:0", "0.0.0.0:8080", "[::1]:443"] {
            let made = UrlSetting::from(address.parse::<SocketAddr>().unwrap());
            assert_eq!(read::<UrlSetting>(&made.to_string()), Some(made));
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
}
