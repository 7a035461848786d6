//! The shard's listener.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Poll, ready};

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};

use super::poller::{Poller, Registration};

/// A listener of this shard.
pub(super) struct Listener {
    // Before the descriptor, so that its place is given up first.
    registration: Registration,
    descriptor: OwnedFd,
}

impl Listener {
    /// A listener that already listens.
    ///
    /// # Errors
    /// The kernel's refusal to watch it.
    pub(in crate::http) fn new(descriptor: OwnedFd, poller: &Rc<Poller>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        // Sockets inherit it. Answers leave whole in one call, so waiting for more to send never helps.
        sockopt::set_tcp_nodelay(&descriptor, true)?;
        Ok(Self { registration: poller.register(&descriptor)?, descriptor })
    }

    /// The next connection.
    ///
    /// # Errors
    /// No descriptor left, or the like: try again after a pause.
    pub(in crate::http) async fn accept(&self) -> io::Result<OwnedFd> {
        std::future::poll_fn(|context| {
            loop {
                ready!(self.registration.poll_readable(context));
                match self.accept_waiting() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.registration.not_readable()
                    }
                    done => return Poll::Ready(done),
                }
            }
        })
        .await
    }

    /// A connection that waits already.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, or as [`Listener::accept`].
    pub(super) fn accept_waiting(&self) -> io::Result<OwnedFd> {
        loop {
            match accept_with(&self.descriptor, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                // A client that has gone while it waited is not worth a word.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                done => return Ok(done?),
            }
        }
    }
}
