//! A connection to a node: one request at a time, on a socket that never blocks.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::response::{self, ResponseHead};
use crate::schedule::Moment;
use crate::tally::Failure;
use crate::verdict::WholeAnswer;
use crate::work::{Job, Workload};

/// Bytes that are read at once at least.
const READ_BYTES: usize = 64 << 10;

/// A request on its way.
#[derive(Debug)]
struct Pending {
    job: Job,
    /// When it was to begin.
    intended: Moment,
    body: Option<Arc<[u8]>>,
    /// Bytes of head and body that are sent.
    sent: usize,
}

/// A connection, or the place of one.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: usize,
    pub(crate) stream: Option<TcpStream>,
    pending: Option<Pending>,
    head: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that hold something.
    filled: usize,
    response: Option<ResponseHead>,
}

/// The end of a request.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) job: Job,
    pub(crate) intended: Moment,
    pub(crate) outcome: Result<(), Failure>,
    /// Of both bodies.
    pub(crate) bytes: u64,
}

impl Connection {
    pub(crate) const fn new(node: usize) -> Self {
        Self {
            node,
            stream: None,
            pending: None,
            head: Vec::new(),
            input: Vec::new(),
            filled: 0,
            response: None,
        }
    }

    pub(crate) const fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Begins to connect.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn connect(&mut self, work: &Workload) -> io::Result<&TcpStream> {
        let address = work.nodes[self.node].address;
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        (self.filled, self.response) = (0, None);
        Ok(self.stream.insert(stream))
    }

    /// Begins a request and sends what it can of it; the connection must be idle.
    pub(crate) fn begin(&mut self, work: &Workload, job: Job, intended: Moment) {
        assert!(self.pending.is_none(), "invariant: one request at a time");
        self.head.clear();
        let body = work.write(&job, self.node, &mut self.head);
        self.pending = Some(Pending { job, intended, body, sent: 0 });
        (self.filled, self.response) = (0, None);
    }

    /// Sends what the socket takes; the request that has ended by that.
    pub(crate) fn send(&mut self) -> Option<Ended> {
        let (Some(stream), Some(pending)) = (&mut self.stream, &mut self.pending) else { return None };
        match send(stream, &self.head, pending) {
            Ok(()) => None,
            // A node that refuses an upload may answer before it has all of it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => None,
            Err(error) => self.fail(of_error(&error)),
        }
    }

    /// Sends and receives what it can; the request that has ended by that.
    pub(crate) fn advance(&mut self, work: &Workload, judge: Judge) -> Option<Ended> {
        if self.pending.is_none() {
            self.check_idle();
            return None;
        }
        if let Some(ended) = self.send() {
            return Some(ended);
        }
        match self.receive() {
            Ok(true) => Some(self.end(work, judge)),
            Ok(false) => None,
            Err(failure) => self.fail(failure),
        }
    }

    /// Gives the request up.
    pub(crate) fn fail(&mut self, failure: Failure) -> Option<Ended> {
        self.stream = None;
        let Pending { job, intended, .. } = self.pending.take()?;
        Some(Ended { job, intended, outcome: Err(failure), bytes: 0 })
    }

    /// Lets an idle connection go that the server has ended, or on which it says something unasked for.
    fn check_idle(&mut self) {
        let read = self.stream.as_mut().map(|stream| stream.read(&mut [0]));
        if !matches!(read, Some(Err(error)) if error.kind() == ErrorKind::WouldBlock) {
            self.stream = None;
        }
    }

    /// Reads until the answer is whole, or until there is nothing more for now.
    fn receive(&mut self) -> Result<bool, Failure> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        loop {
            if self.response.is_none() && self.filled > 0 {
                self.response = response::parse(&self.input[..self.filled]).map_err(|_| Failure::Http)?;
            }
            let whole = self.response.as_ref().map(|head| head.length.saturating_add(head.body));
            if let Some(whole) = whole.filter(|whole| *whole <= self.filled) {
                return if whole == self.filled { Ok(true) } else { Err(Failure::Http) };
            }
            // Memory grows with what arrives, by doubling, up to what the answer announces.
            if self.filled == self.input.len() {
                let most = whole.unwrap_or(READ_BYTES).max(READ_BYTES);
                self.input.resize((self.filled * 2).clamp(READ_BYTES, most).max(self.filled + 1), 0);
            }
            match stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err(Failure::Broken),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(of_error(&error)),
            }
        }
    }

    fn end(&mut self, work: &Workload, judge: Judge) -> Ended {
        let (Some(Pending { job, intended, body, .. }), Some(head)) =
            (self.pending.take(), self.response.take())
        else {
            unreachable!("invariant: an answer belongs to a request")
        };
        let media_type = head.media_type.map(|place| &self.input[place]).unwrap_or_default();
        let answered =
            WholeAnswer { status: head.status, media_type, body: &self.input[head.length..self.filled] };
        let outcome = judge(work, &job, &answered);
        if head.closes {
            self.stream = None;
        }
        let sent = body.map_or(0, |body| body.len());
        Ended { job, intended, outcome, bytes: (head.body + sent) as u64 }
    }
}

/// Judges an answer.
pub(crate) type Judge = fn(&Workload, &Job, &WholeAnswer<'_>) -> Result<(), Failure>;

/// Sends what is left of a request, until the socket takes no more.
fn send(stream: &mut TcpStream, head: &[u8], pending: &mut Pending) -> io::Result<()> {
    let tail: &[u8] = match &pending.job {
        Job::Upload { tail, .. } => tail,
        Job::Fetch(_) => &[],
    };
    let body = pending.body.as_deref().unwrap_or_default();
    let whole = head.len() + body.len() + tail.len();
    while pending.sent < whole {
        let mut skip = pending.sent;
        let left = [head, body, tail].map(|part| {
            let (_, left) = part.split_at(skip.min(part.len()));
            skip = skip.saturating_sub(part.len());
            IoSlice::new(left)
        });
        match stream.write_vectored(&left) {
            Ok(count) => pending.sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Also while the connection is being made.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn of_error(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Failure::Connect
        }
        _ => Failure::Broken,
    }
}
