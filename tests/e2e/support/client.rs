//! An HTTP/1.1 client that sends exactly the bytes it is given and shows exactly what came back.
//!
//! It mends nothing and hides nothing: no redirects, no retries, no headers that a test did not ask for but
//! `Host` (unless it names its own) and, for a body, `Content-Length`. Every read has a deadline, so a silent server fails a test.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// How long a read may stay without a byte. Generous, for a loaded machine; no test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// One request.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self
    }

    /// The bytes up to and with the empty line; `Content-Length` only when there is a body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name == "Host") {
            text += "Host: 127.0.0.1\r\n";
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text.into_bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

/// A multipart form, part by part in the order of the calls.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    const BOUNDARY: &str = "----7d93ab20e1f64";

    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), "", value.as_bytes())
    }

    pub(crate) fn file(self, name: &str, file_name: &str, bytes: &[u8]) -> Self {
        let disposition = format!("name=\"{name}\"; filename=\"{file_name}\"");
        self.part(&disposition, "Content-Type: image/jpeg\r\n", bytes)
    }

    fn part(mut self, disposition: &str, more: &str, bytes: &[u8]) -> Self {
        let boundary = Self::BOUNDARY;
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// The body with its closing boundary.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.0;
        bytes.extend_from_slice(format!("--{}--\r\n", Self::BOUNDARY).as_bytes());
        bytes
    }

    /// `POST /` that announces a form and carries these bytes, whole or not.
    pub(crate) fn request(body: &[u8]) -> Request {
        Self::announce().body(body)
    }

    /// `POST /` that announces a form and as yet carries nothing.
    pub(crate) fn announce() -> Request {
        Self::announce_at("/")
    }

    /// The same for `/` with a query.
    pub(crate) fn announce_at(target: &str) -> Request {
        let kind = format!("multipart/form-data; boundary={}", Self::BOUNDARY);
        Request::new("POST", target).header("Content-Type", &kind)
    }

    pub(crate) fn post(self) -> Request {
        Self::request(&self.bytes())
    }
}

/// `bytes` as a chunked body, in chunks of at most `size`.
pub(crate) fn chunked(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in bytes.chunks(size) {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

/// One answer, whole.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Statuses of the 1xx answers before it.
    pub(crate) informational: Vec<u16>,
    /// In the order sent; names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header that must be there.
    #[track_caller]
    pub(crate) fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// What it says that it took, in milliseconds, by name and in the order given.
    #[track_caller]
    pub(crate) fn times(&self) -> Vec<(&str, f64)> {
        let entries = self.expect_header("server-timing").split(", ");
        let parsed = entries.map(|entry| {
            let (name, milliseconds) = entry.split_once(";dur=")?;
            Some((name, milliseconds.parse().ok()?))
        });
        parsed.collect::<Option<_>>().unwrap_or_else(|| panic!("no times in {self:?}"))
    }

    /// Panics with the whole answer unless its status is this.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Panics unless this is a refusal with that status as every refusal must be: RFC 9457, one sentence, and
    /// nothing of this machine in it. Returns the detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "no {key}: {self:?}");
        }
        assert_eq!(problem["status"], status, "{self:?}");
        let text = problem.to_string();
        let temporary = std::env::temp_dir();
        for secret in [temporary.to_str().expect("a UTF-8 temporary directory"), ".rs:", "panicked"] {
            assert!(!text.contains(secret), "an error shows {secret:?}: {self:?}");
        }
        problem["detail"].as_str().expect("checked above").to_owned()
    }

    /// The seconds of `Retry-After`, at least one.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u32 {
        let seconds = self.expect_header("retry-after").parse().expect("Retry-After in seconds");
        assert!(seconds > 0, "{self:?}");
        seconds
    }
}

impl Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.body[..self.body.len().min(300)];
        let (status, headers) = (self.status, &self.headers);
        write!(f, "{status} {headers:?}, {} bytes: {:?}", self.body.len(), String::from_utf8_lossy(start))
    }
}

/// A connection to a node.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read, not yet given out.
    received: Vec<u8>,
}

impl Connection {
    #[track_caller]
    pub(crate) fn open(port: u16) -> Self {
        Self::try_open(port).unwrap_or_else(|error| panic!("cannot connect to port {port}: {error}"))
    }

    pub(crate) fn try_open(port: u16) -> io::Result<Self> {
        Self::over(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
    }

    /// From this address of the machine, 127.0.0.0/8 among them.
    #[track_caller]
    pub(crate) fn open_from(address: Ipv4Addr, port: u16) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddrV4::new(address, 0)).expect("an address of this machine");
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("somebody listens");
        Self::over(socket.into()).expect("options of a socket")
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// From now on little waits on this side unread, so that the server cannot send far ahead.
    #[track_caller]
    pub(crate) fn narrow(&self) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.stream, 128 << 10).expect("a small buffer");
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("cannot send: {error}"));
    }

    /// Sends nothing more, and still reads.
    #[track_caller]
    pub(crate) fn finish(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("a connected socket");
    }

    /// Reads what has come, at most so many bytes, and throws them away; false at the end.
    pub(crate) fn sip(&mut self, bytes_max: usize) -> bool {
        self.received.clear();
        self.stream.read(&mut vec![0; bytes_max]).is_ok_and(|count| count > 0)
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        self.try_ask(request).unwrap_or_else(|error| panic!("no answer to {}: {error}", request.target))
    }

    /// The body may be cut short by an early answer, so a failed write still reads.
    pub(crate) fn try_ask(&mut self, request: &Request) -> io::Result<Answer> {
        let sent = self.try_send(&request.bytes());
        let answer = if request.method == "HEAD" { self.read_answer(true) } else { self.try_answer() };
        answer.map_err(|error| sent.err().unwrap_or(error))
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// An answer to HEAD, or one that has no body by its status.
    #[track_caller]
    pub(crate) fn answer_without_body(&mut self) -> Answer {
        self.read_answer(true).unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// Whether the server ends the connection before this time is over.
    #[track_caller]
    pub(crate) fn is_closed_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a time above zero");
        let read = self.stream.read(&mut [0; 4096]);
        !matches!(read, Ok(count) if count > 0) && !read.is_err_and(|error| is_timeout(&error))
    }

    pub(crate) fn try_answer(&mut self) -> io::Result<Answer> {
        self.read_answer(false)
    }

    /// The status of the next answer's head, of which no body is read: for a 100 alone.
    #[track_caller]
    pub(crate) fn interim_status(&mut self) -> u16 {
        let (status, _) = self.read_head().unwrap_or_else(|error| panic!("no interim answer: {error}"));
        status
    }

    /// Everything until the server ends the connection, in whatever way it does.
    #[track_caller]
    pub(crate) fn read_until_closed(&mut self) -> Vec<u8> {
        loop {
            match self.read_more() {
                Ok(()) => {}
                Err(error) if is_timeout(&error) => panic!("the server kept the connection open"),
                Err(_) => return std::mem::take(&mut self.received),
            }
        }
    }

    /// Whether any byte has come that was not given out.
    #[track_caller]
    pub(crate) fn has_received(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a socket");
        !self.received.is_empty() || peeked.is_ok_and(|count| count > 0)
    }

    /// Panics unless the server ends the connection without another byte.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let rest = self.read_until_closed();
        assert!(rest.is_empty(), "more than one answer: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Sends one byte after another, `pace` apart, until the server ends the connection; what it said by then.
    /// Panics when it is still listening after [`PATIENCE`].
    #[track_caller]
    pub(crate) fn trickle_until_closed(&mut self, byte: u8, pace: Duration) -> Vec<u8> {
        self.stream.set_read_timeout(Some(pace)).expect("a pace above zero");
        let begin = std::time::Instant::now();
        while begin.elapsed() < PATIENCE {
            let sent = self.try_send(&[byte]);
            match self.read_more() {
                Err(error) if is_timeout(&error) && sent.is_ok() => {}
                Err(_) => return std::mem::take(&mut self.received),
                Ok(()) => {}
            }
        }
        panic!("the server listens to a trickle for ever");
    }

    fn read_answer(&mut self, head_only: bool) -> io::Result<Answer> {
        let mut informational = Vec::new();
        let (status, headers) = loop {
            match self.read_head()? {
                (status @ 100..200, _) => informational.push(status),
                head => break head,
            }
        };
        let mut answer = Answer { status, informational, headers, body: Vec::new() };
        if !head_only && status != 204 && status != 304 {
            answer.body = self.read_body(&answer)?;
        }
        Ok(answer)
    }

    fn read_head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let text = self.read_past(b"\r\n\r\n")?;
        let text = String::from_utf8(text).map_err(|_| malformed("a head that is no UTF-8"))?;
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| malformed("no status line"))?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header without a colon"))?;
            Ok((name.to_lowercase(), value.trim().to_owned()))
        });
        Ok((status, headers.collect::<io::Result<_>>()?))
    }

    fn read_body(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks();
        }
        match answer.header("content-length") {
            Some(length) => self.read_exactly(length.parse().map_err(|_| malformed("a Content-Length"))?),
            None => Ok(self.read_until_closed()),
        }
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_past(b"\r\n")?;
            let digits = str::from_utf8(&line).unwrap_or_default().trim_end();
            let size = usize::from_str_radix(digits, 16).map_err(|_| malformed("a chunk size"))?;
            body.extend(self.read_exactly(size)?);
            self.read_exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_past(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                return Ok(self.received.drain(..at + end.len()).collect());
            }
            self.read_more()?;
        }
    }

    fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.read_more()?;
        }
        Ok(self.received.drain(..length).collect())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}

/// Serves one connection these bytes, whatever it asks.
fn canned(bytes: &'static [u8]) -> Connection {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let connection = Connection::open(listener.local_addr().expect("an address").port());
    let (mut stream, _) = listener.accept().expect("our own connection");
    stream.write_all(bytes).expect("room for a few bytes");
    connection
}

#[test]
fn the_client_reads_interim_answers_lengths_and_chunks() {
    let mut connection = canned(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\nabc\
          HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n\
          HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    );
    let first = connection.answer().expect(200);
    assert_eq!((first.informational.as_slice(), first.header("a")), (&[100][..], Some("b")));
    let bodies = [first.body, connection.answer().expect(404).body, connection.answer().expect(304).body];
    assert_eq!(bodies, [&b"abc"[..], b"abc", b""]);
    connection.expect_closed();
}

#[test]
fn the_client_takes_no_part_of_an_answer_for_the_whole() {
    for cut in [&b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"[..], b"HTTP/1.1 200 OK\r\nContent-"] {
        let error = canned(cut).try_answer().expect_err("the end is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_chunked_body_has_its_sizes_and_its_end() {
    assert_eq!(chunked(b"abcde", 3), b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
}
