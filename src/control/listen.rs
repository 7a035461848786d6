//! The listening sockets: one per shard on one address, the kernel spreading connections over them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections that wait to be accepted, per shard; the kernel cuts it to its own maximum.
const BACKLOG: i32 = 4096;

/// The kernel takes a ring apart after its process has ended, and until then the ring holds the
/// listener: a node that is started again at once finds its own port taken for a moment.
const RELEASED_WITHIN: Duration = Duration::from_secs(2);

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// Whether the address is free. A socket that shares its port with others never sees that another
/// server holds it already, so this asks with one that does not share.
///
/// # Errors
/// [`ListenError`]
pub(super) fn probe(address: SocketAddr) -> Result<(), ListenError> {
    let deadline = Instant::now() + RELEASED_WITHIN;
    loop {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(error) => return Err(ListenError { address, error }),
        }
    }
}

/// Opens `count` listeners on `address`. With port 0 the system chooses one port for all; the first
/// part of the result is the address in use.
///
/// # Errors
/// [`ListenError`]
pub(super) fn open(address: SocketAddr, count: usize) -> Result<(SocketAddr, Vec<OwnedFd>), ListenError> {
    let fault = |error: rustix::io::Errno| ListenError { address, error: error.into() };
    let mut bound = address;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let listener = listener(bound).map_err(fault)?;
        let name = net::getsockname(&listener).map_err(fault)?;
        bound = SocketAddr::try_from(name).map_err(fault)?;
        listeners.push(listener);
    }
    Ok((bound, listeners))
}

fn listener(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another --listen",
            io::ErrorKind::PermissionDenied => "ports under 1024 need a privilege; choose another --listen",
            io::ErrorKind::AddrNotAvailable => {
                "this host does not have that address; choose another --listen"
            }
            _ => "choose another --listen",
        };
        write!(f, "cannot listen on {address}: {error}; {hint}")
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_told_even_when_it_is_shared() {
        let (address, _listeners) = open(SocketAddr::from(([127, 0, 0, 1], 0)), 2).unwrap();
        let error = probe(address).unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
    }
}
