//! The address that identifies a client: that of its connection, or the one that a trusted proxy names. Pure.
//!
//! A proxy appends the address that it sees to `X-Forwarded-For`; whatever stands before that was sent by somebody
//! else. So the list is read from its end, past the proxies that are trusted, and never beyond the first address
//! that is not: a client can write what it likes to the left of its own address, and nobody reads it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::peer::requester::ClientAddress;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The word for 127.0.0.0/8 and ::1.
const LOOPBACK: &str = "loopback";

/// Bits before an IPv4 address within IPv6 (::ffff:0:0/96).
const IPV4_BITS: u8 = 96;

/// Addresses of proxies that are trusted when they name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// This machine.
    Loopback,
    /// All addresses that begin as this one.
    Network {
        /// IPv4 as mapped into IPv6; zero beyond the prefix.
        bits: u128,
        /// Bits that count, of 128.
        prefix: u8,
    },
}

impl TrustedProxy {
    /// Reads `loopback`, an address, or a network such as `10.0.0.0/8`, without bits beyond its prefix.
    pub fn parse(text: &str) -> Option<Self> {
        if text == LOOPBACK {
            return Some(Self::Loopback);
        }
        let (address, prefix) = match text.split_once('/') {
            // No sign, no leading zero: one network has one text.
            Some((address, prefix)) => {
                (address, Some(prefix.parse().ok().filter(|n: &u8| n.to_string() == prefix)?))
            }
            None => (text, None),
        };
        let (bits, prefix) = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => {
                let prefix = prefix.unwrap_or(32);
                (mapped(IpAddr::V4(address)), (prefix <= 32).then_some(IPV4_BITS + prefix)?)
            }
            IpAddr::V6(address) => (address.to_bits(), prefix.unwrap_or(128)),
        };
        let is_network = prefix <= 128 && bits & !mask(prefix) == 0;
        is_network.then_some(Self::Network { bits, prefix })
    }

    fn holds(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Network { bits, prefix } => mapped(address) & mask(prefix) == bits,
        }
    }
}

/// The client's address: that of its connection, unless that is a trusted proxy's, which then names it.
pub(in crate::http) fn address(
    connection: IpAddr,
    headers: &HeaderMap,
    proxies: &[TrustedProxy],
) -> ClientAddress {
    let is_trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.holds(address));
    let mut client = connection;
    // Several headers are one list.
    let lists = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let mut named = lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
    while is_trusted(client) {
        // A proxy does not write what cannot be parsed: such an element ends the walk where it began.
        let Some(before) = named.next().and_then(element) else { break };
        client = before;
    }
    client.into()
}

/// An address, perhaps with a port, as some proxies write it.
fn element(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    bare.or_else(with_port).or_else(in_brackets)
}

/// As IPv6.
fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// So many bits from the left.
const fn mask(prefix: u8) -> u128 {
    match 128_u8.checked_sub(prefix) {
        Some(128) | None => 0,
        Some(rest) => u128::MAX << rest,
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Network { bits, prefix } = *self else { return f.write_str(LOOPBACK) };
        let address = Ipv6Addr::from_bits(bits);
        match address.to_ipv4_mapped() {
            Some(address) if prefix >= IPV4_BITS => write_network(f, address, prefix - IPV4_BITS, 32),
            _ => write_network(f, address, prefix, 128),
        }
    }
}

fn write_network(
    f: &mut fmt::Formatter<'_>,
    address: impl fmt::Display,
    prefix: u8,
    whole: u8,
) -> fmt::Result {
    if prefix == whole { write!(f, "{address}") } else { write!(f, "{address}/{prefix}") }
}

/// A connection whose peer is gone already has no address; nobody reads the answer.
pub(in crate::http) const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn client(connection: &str, lists: &[&str], proxies: &[&str]) -> String {
        let lists = lists.iter().map(|list| (X_FORWARDED_FOR, HeaderValue::from_str(list).unwrap()));
        let proxies: Vec<_> = proxies.iter().map(|text| TrustedProxy::parse(text).unwrap()).collect();
        address(connection.parse().unwrap(), &lists.collect(), &proxies).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_connection_counts() {
        assert_eq!(client("10.0.0.1", &["1.2.3.4"], &[]), "10.0.0.1");
        assert_eq!(client("127.0.0.1", &["1.2.3.4"], &["10.0.0.0/8", "::1"]), "127.0.0.1");
        assert_eq!(client("2001:db8:1:2:3::4", &[], &["loopback"]), "2001:db8:1:2::");
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_trusted_proxys_is_the_client() {
        let proxies = ["loopback", "10.0.0.0/8", "2001:db8::/32"];
        for (lists, expected) in [
            (&["1.2.3.4"][..], "1.2.3.4"),
            (&["9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            (&["9.9.9.9,1.2.3.4 ,\t10.2.3.4,  10.1.1.1"], "1.2.3.4"),
            // One list, in the order of the headers.
            (&["9.9.9.9", "1.2.3.4", "10.1.1.1"], "1.2.3.4"),
            (&["1.2.3.4, 2001:db8::7, ::ffff:10.9.9.9"], "1.2.3.4"),
            (&["[2a00:1:2:3:4::5]:443, 10.0.0.1:80"], "2a00:1:2:3::"),
            (&["[2a00:1:2:3:4::5]"], "2a00:1:2:3::"),
            (&["1.2.3.4:5678"], "1.2.3.4"),
            (&["::ffff:1.2.3.4"], "1.2.3.4"),
            // All are trusted: the one that is farthest away.
            (&["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ] {
            assert_eq!(client("127.0.0.1", lists, &proxies), expected, "{lists:?}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_walk_where_it_began() {
        let proxies = ["loopback", "10.0.0.0/8"];
        for lists in [
            &["1.2.3.4, unknown, 10.2.2.2"][..],
            &["1.2.3.4, , 10.2.2.2"],
            &["1.2.3.4, 10.2.2.2.2, 10.2.2.2"],
            &["1.2.3.4", "_hidden, 10.2.2.2"],
            &["1.2.3.4,for=5.6.7.8,10.2.2.2"],
            &["1.2.3.4, fe80::1%eth0, 10.2.2.2"],
        ] {
            assert_eq!(client("127.0.0.1", lists, &proxies), "10.2.2.2", "{lists:?}");
        }
        assert_eq!(client("::1", &[""], &["loopback"]), "::");
        assert_eq!(client("127.0.0.1", &[], &["loopback"]), "127.0.0.1");
    }

    #[test]
    fn a_network_is_read_in_one_way_and_printed_so() {
        for text in
            ["loopback", "10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0", "fd00::/8"]
        {
            assert_eq!(TrustedProxy::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "localhost",
            "Loopback",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "::1/129",
            "fd00::1/8",
            "10.0/8",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(TrustedProxy::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ipv4_is_the_same_in_ipv6() {
        let holds =
            |proxy: &str, address: &str| TrustedProxy::parse(proxy).unwrap().holds(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "::ffff:10.2.3.4") && holds("::ffff:10.0.0.0/104", "10.2.3.4"));
        assert!(holds("loopback", "::ffff:127.0.0.9") && holds("loopback", "::1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1") && !holds("loopback", "::2"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("::/0", "1.2.3.4"));
    }

    proptest! {
        /// A client behind one trusted proxy cannot pass for another one, whatever it sends.
        #[test]
        fn nothing_left_of_the_proxys_word_counts(forged in "[ -~]{0,60}") {
            let proxies = [TrustedProxy::Loopback];
            let list = format!("{forged}, 1.2.3.4");
            let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_str(&list).unwrap())]);
            let found = address("127.0.0.1".parse().unwrap(), &headers, &proxies);
            prop_assert_eq!(found.to_string(), "1.2.3.4");
        }
    }
}
