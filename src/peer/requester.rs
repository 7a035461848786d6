//! On whose behalf work is done: a client by its address, or the node itself. Pure.
//!
//! Nodes pass it on inside what a request's proof covers, so that the node that does the work shares it out by
//! clients and not by the nodes that they happen to ask.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that belong to its client: a provider gives each customer a /64 at least, of which the
/// customer may use every address.
const HOST_BITS: u32 = 64;

/// The address that identifies a client: an IPv4 address, or the /64 of an IPv6 address. IPv4 mapped
/// into IPv6 is IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(u128);

/// On whose behalf work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requester {
    /// A client that waits for it.
    Client(ClientAddress),
    /// Nobody waits: it is made ahead, and comes after everything that a client waits for.
    Background,
}

/// The text of [`Requester::Background`].
const BACKGROUND: &str = "background";

impl Requester {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text == BACKGROUND {
            return Some(Self::Background);
        }
        text.parse::<IpAddr>().ok().map(|address| Self::Client(address.into()))
    }

    /// The client that waits; `None` where nobody does.
    pub const fn client(self) -> Option<ClientAddress> {
        match self {
            Self::Client(client) => Some(client),
            Self::Background => None,
        }
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() >> HOST_BITS << HOST_BITS),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::V6(Ipv6Addr::from_bits(self.0)).to_canonical().fmt(f)
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => client.fmt(f),
            Self::Background => f.write_str(BACKGROUND),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_the_64_of_an_ipv6_address() {
        assert_eq!(client("10.1.2.3"), client("::ffff:10.1.2.3"));
        assert_ne!(client("10.1.2.3"), client("10.1.2.4"));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        // No IPv6 client is taken for an IPv4 one.
        assert_ne!(client("0.0.0.0"), client("::1"));
    }

    #[test]
    fn a_requester_prints_what_it_parsed() {
        for text in ["10.1.2.3", "255.255.255.255", "2001:db8:1:2::", "::", "background"] {
            assert_eq!(Requester::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Requester::parse("::ffff:10.1.2.3").unwrap().to_string(), "10.1.2.3");
        for text in ["", "10.1.2", "10.1.2.3:80", "[::1]", "Background", "10.1.2.3 "] {
            assert_eq!(Requester::parse(text), None, "{text}");
        }
    }
}
