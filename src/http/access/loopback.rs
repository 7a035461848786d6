//! Free loopback: who may do without a key what needs one elsewhere. Pure.
//!
//! Addresses alone do not tell: a reverse proxy on this machine connects from loopback for the whole
//! world, and a page of any site can make a browser on this machine ask a name that resolves to it.
//! The first adds its headers, the second its name in `Host`.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use http::header::{FORWARDED, HOST, VIA};

/// Whether this is an address of the machine itself, IPv4 written as IPv6 included.
pub(in crate::http) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a request is for this machine by name and came without a proxy. `authority` is that of a
/// request line with a whole URL, which must then agree.
pub(super) fn is_direct(authority: Option<&str>, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(names_loopback)
        && authority.is_none_or(names_loopback)
        && !headers
            .keys()
            .any(|name| *name == FORWARDED || *name == VIA || name.as_str().starts_with("x-forwarded-"))
}

/// Whether the value of a `Host` is `localhost` or a loopback address, with any port.
fn names_loopback(host: &str) -> bool {
    let (name, port) = match host.rfind(':') {
        // The colons of an address in brackets are not the port's.
        Some(colon) if !host[colon..].contains(']') => (&host[..colon], &host[colon + 1..]),
        _ => (host, ""),
    };
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => name.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse().ok().map(IpAddr::V4),
    };
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (name.eq_ignore_ascii_case("localhost") || address.is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn direct(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        is_direct(None, &headers)
    }

    #[test]
    fn loopback_is_127_and_one_in_every_notation() {
        for address in ["127.0.0.1", "127.255.3.4", "::1", "::ffff:127.0.0.1", "::ffff:127.9.9.9"] {
            assert!(is_loopback(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "0.0.0.0", "128.0.0.1", "::", "::2", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(!is_loopback(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_host_is_localhost_or_a_loopback_address_with_any_port() {
        for host in [
            "localhost",
            "LocalHost",
            "localhost:8080",
            "localhost:",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.3.2.1:65535",
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(direct(&[("host", host)]), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org",
            "xlocalhost",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "127.1",
            "::1",
            "[::1",
            "::1]:80",
            "[127.0.0.1]",
            "localhost:80x",
            "a@localhost",
            "localhost:80:80",
            "[::2]:80",
            "0.0.0.0",
            "localhost ",
            "127.0.0.1,127.0.0.1",
        ] {
            assert!(!names_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_proxys_header_ends_it() {
        let host = ("host", "localhost:8080");
        assert!(direct(&[host, ("x-forward", "a"), ("accept", "*/*")]));
        for name in ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-anything"] {
            assert!(!direct(&[host, (name, "")]), "{name}");
        }
    }

    #[test]
    fn no_host_two_hosts_or_a_foreign_url_in_the_request_line_end_it() {
        let one = ("host", "localhost");
        assert!(!direct(&[]) && !direct(&[one, one]));
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
        assert!(is_direct(Some("127.0.0.1:80"), &headers));
        assert!(!is_direct(Some("example.org"), &headers));
    }
}
