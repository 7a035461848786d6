//! Finds the boundaries of requests in the bytes of a connection. Pure.
//!
//! The socket reads these boundaries itself, so that it gives hyper one request at a time and answers a hit only at the
//! start of a request. Heads are read by the parser that hyper uses, and chunks by the same steps as hyper's, so both
//! find the same ends. If a byte is wrong, this module reports it and hyper refuses the request.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

/// Headers of one request, as many as hyper takes.
pub(in crate::http) const FIELDS_MAX: usize = 100;

/// Room for the headers of one head. It is not initialised, so it costs nothing.
pub(in crate::http) type Fields<'b> = [MaybeUninit<Header<'b>>; FIELDS_MAX];

/// Bytes of a `Host` that is taken: a name has at most 253, and a port six.
const HOST_BYTES_MAX: usize = 260;

/// The beginning of some bytes, parsed.
pub(in crate::http) enum ParsedHead<'h, 'b> {
    /// A part of a head.
    Partial,
    /// No request.
    Unreadable,
    /// A whole head.
    Head(Head<'h, 'b>),
}

/// One request's head.
pub(in crate::http) struct Head<'h, 'b> {
    /// Bytes up to and with the empty line.
    pub(in crate::http) length: usize,
    pub(in crate::http) method: &'b str,
    pub(in crate::http) path: &'b str,
    /// Whether it is HTTP/1.1.
    pub(in crate::http) is_11: bool,
    pub(in crate::http) fields: &'h [Header<'b>],
}

/// The coding of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Coding {
    /// So many bytes; 0 is no body.
    Length(u64),
    Chunks,
}

/// Why a head is refused although it can be read: two readers may see two different requests in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum FramingError {
    /// A length beside a transfer coding.
    LengthAndCoding,
    /// Lengths that differ, or one that is no number.
    Lengths,
    /// A transfer coding that HTTP/1.0 does not have.
    CodingIn10,
    /// A transfer coding other than `chunked` alone.
    Coding,
    /// No `Host`, several, or one that is no host.
    Host,
}

/// The part of a request to which the next byte of a connection belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramePosition {
    /// A request's first.
    Between,
    /// A body's, which has so many left.
    Body(u64),
    /// A chunked body's.
    Chunks(ChunkedPosition),
    /// Not known: hyper was given what is no request, or no body, and ends the connection.
    Lost,
}

/// The position in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkedPosition {
    /// The first digit of a size.
    Start,
    /// The digits after it; the size so far.
    Size(u64),
    /// White space behind the size.
    Blank(u64),
    Extension(u64),
    SizeLf(u64),
    /// So many bytes of data are left.
    Data(u64),
    DataCr,
    DataLf,
    /// A line of the trailer begins, or the empty line.
    LineStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl<'h, 'b> ParsedHead<'h, 'b> {
    /// Reads a head from `bytes`, which begin with no empty line.
    pub(in crate::http) fn read(bytes: &'b [u8], fields: &'h mut Fields<'b>) -> Self {
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, fields) {
            Ok(Status::Complete(length)) => match (request.method, request.path, request.version) {
                (Some(method), Some(path), Some(version)) => {
                    Self::Head(Head { length, method, path, is_11: version == 1, fields: request.headers })
                }
                _ => Self::Unreadable,
            },
            Ok(Status::Partial) => Self::Partial,
            Err(_) => Self::Unreadable,
        }
    }
}

impl Head<'_, '_> {
    /// The body's coding.
    ///
    /// # Errors
    /// [`FramingError`]: the connection ends with a refusal.
    pub(in crate::http) fn coding(&self) -> Result<Coding, FramingError> {
        let (mut hosts, mut codings, mut length) = (0_u32, 0_u32, None);
        let (mut is_host, mut is_chunked) = (true, true);
        for Header { name, value } in self.fields {
            // By length first: that is one comparison for most headers.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => {
                    hosts += 1;
                    is_host &= is_host_and_port(value);
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let one = parse_length(value).ok_or(FramingError::Lengths)?;
                    if length.replace(one).is_some_and(|other| other != one) {
                        return Err(FramingError::Lengths);
                    }
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    codings += 1;
                    is_chunked &= value.eq_ignore_ascii_case(b"chunked");
                }
                _ => {}
            }
        }
        let hosts_min = u32::from(self.is_11);
        if !is_host || hosts > 1 || hosts < hosts_min {
            return Err(FramingError::Host);
        }
        match (codings, length) {
            (0, length) => Ok(Coding::Length(length.unwrap_or(0))),
            (_, Some(_)) => Err(FramingError::LengthAndCoding),
            (_, None) if !self.is_11 => Err(FramingError::CodingIn10),
            (1, None) if is_chunked => Ok(Coding::Chunks),
            (_, None) => Err(FramingError::Coding),
        }
    }
}

impl Coding {
    /// The position of the byte after the head.
    pub(super) const fn place(self) -> FramePosition {
        match self {
            Self::Length(0) => FramePosition::Between,
            Self::Length(length) => FramePosition::Body(length),
            Self::Chunks => FramePosition::Chunks(ChunkedPosition::Start),
        }
    }
}

impl FramePosition {
    /// Goes over those of `bytes` that belong to the present request; how many these are.
    pub(in crate::http) fn advance(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Between => 0,
            Self::Body(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::Between;
                }
                taken
            }
            Self::Chunks(chunks) => match chunks.advance(bytes) {
                Some(taken) => {
                    if *chunks == ChunkedPosition::End {
                        *self = Self::Between;
                    }
                    taken
                }
                None => {
                    *self = Self::Lost;
                    bytes.len()
                }
            },
            Self::Lost => bytes.len(),
        }
    }
}

impl ChunkedPosition {
    /// The number of `bytes` that belong to the body; `None` where they are none.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && *self != Self::End {
            if let Self::Data(left) = self {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= taken as u64;
                at += taken;
                if *left == 0 {
                    *self = Self::DataCr;
                }
            } else {
                *self = self.step(bytes[at])?;
                at += 1;
            }
        }
        Some(at)
    }

    /// The place behind `byte`, which is not one of the data.
    fn step(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Start, byte) => Self::Size(hex(byte)?),
            (Self::Size(size), b'\t' | b' ') | (Self::Blank(size), b'\t' | b' ') => Self::Blank(size),
            (Self::Size(size) | Self::Blank(size), b';') => Self::Extension(size),
            (Self::Size(size) | Self::Blank(size) | Self::Extension(size), b'\r') => Self::SizeLf(size),
            (Self::Size(size), byte) => Self::Size(size.checked_mul(16)?.checked_add(hex(byte)?)?),
            (Self::Extension(_), b'\n') => return None,
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeLf(0), b'\n') => Self::LineStart,
            (Self::SizeLf(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Start,
            (Self::LineStart, b'\r') => Self::EndLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::LineStart | Self::Trailer, _) => Self::Trailer,
            (Self::TrailerLf, b'\n') => Self::LineStart,
            (Self::EndLf, b'\n') => Self::End,
            _ => return None,
        })
    }
}

/// The length of empty lines at the beginning, which may stand before a request.
pub(super) fn empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// Digits alone, without a sign, a list or a number that a `u64` does not hold.
fn parse_length(value: &[u8]) -> Option<u64> {
    let is_digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if is_digits { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}

/// A name or an address, with or without a port. A list of hosts is none.
fn is_host_and_port(value: &[u8]) -> bool {
    if value.len() > HOST_BYTES_MAX {
        return false;
    }
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let is_address = rest[..end].iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
            match &rest[end + 1..] {
                [] => return is_address && end > 0,
                [b':', port @ ..] => return is_address && end > 0 && is_port(port),
                _ => return false,
            }
        }
        value => match value.iter().position(|byte| *byte == b':') {
            Some(colon) => (&value[..colon], &value[colon + 1..]),
            None => (value, &[][..]),
        },
    };
    let is_of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte);
    !host.is_empty() && host.iter().all(is_of_a_name) && is_port(port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coding(text: &str) -> Result<Coding, FramingError> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        match ParsedHead::read(text.as_bytes(), &mut fields) {
            ParsedHead::Head(head) => {
                assert_eq!(head.length, text.len());
                head.coding()
            }
            _ => panic!("{text} is no head"),
        }
    }

    fn of(headers: &str) -> Result<Coding, FramingError> {
        coding(&format!("POST /image HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
    }

    #[test]
    fn a_body_is_sent_in_one_way_or_refused() {
        assert_eq!(of(""), Ok(Coding::Length(0)));
        assert_eq!(of("Content-Length: 7\r\ncontent-length: 7\r\n"), Ok(Coding::Length(7)));
        assert_eq!(of("Transfer-Encoding: Chunked\r\n"), Ok(Coding::Chunks));
        for both in [
            "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\nContent-Length: 7\r\n",
        ] {
            assert_eq!(of(both), Err(FramingError::LengthAndCoding));
        }
        for lengths in ["7\r\nContent-Length: 8", "7, 7", "+7", "", "99999999999999999999999"] {
            assert_eq!(
                of(&format!("Content-Length: {lengths}\r\n")),
                Err(FramingError::Lengths),
                "{lengths}"
            );
        }
        for coding in [
            "gzip",
            "chunked, gzip",
            "gzip, chunked",
            "identity",
            "",
            "chunked\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(
                of(&format!("Transfer-Encoding: {coding}\r\n")),
                Err(FramingError::Coding),
                "{coding}"
            );
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(coding(old), Err(FramingError::CodingIn10));
    }

    #[test]
    fn a_request_names_one_host() {
        let of = |version: &str, hosts: &[&str]| {
            let lines: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
            coding(&format!("GET / HTTP/{version}\r\n{lines}\r\n"))
        };
        for host in ["a", "a.example:8080", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443", "xn--a_b", "a:"] {
            assert_eq!(of("1.1", &[host]), Ok(Coding::Length(0)), "{host}");
        }
        for host in ["", "a, b", "a,b", "a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "[]", "[::1]x", ":80"] {
            assert_eq!(of("1.1", &[host]), Err(FramingError::Host), "{host}");
        }
        assert_eq!(of("1.1", &[&"a".repeat(300)]), Err(FramingError::Host));
        for hosts in [&[][..], &["a", "a"]] {
            assert_eq!(of("1.1", hosts), Err(FramingError::Host));
        }
        assert_eq!(of("1.0", &[]), Ok(Coding::Length(0)));
        assert_eq!(of("1.0", &["a", "b"]), Err(FramingError::Host));
    }

    /// Goes over `bytes` in the given pieces; where the body ends, if it does.
    fn end(bytes: &[u8], cuts: &[usize]) -> (FramePosition, usize) {
        let (mut place, mut total) = (Coding::Chunks.place(), 0);
        let mut begin = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            let piece = &bytes[begin.min(cut)..cut];
            begin = begin.max(cut);
            let taken = place.advance(piece);
            total += taken;
            if taken < piece.len() {
                return (place, total);
            }
        }
        (place, total)
    }

    #[test]
    fn a_chunked_body_ends_where_hyper_ends_it() {
        for (body, rest) in [
            (&b"0\r\n\r\n"[..], &b"GET"[..]),
            (b"3\r\nabc\r\n0\r\n\r\n", b""),
            (b"A ;x=y\r\n0123456789\r\n000\r\nA: b\r\nC: d\r\n\r\n", b"0\r\n\r\n"),
            (b"1\t\r\n\r\r\n0;\r\n\r\n", b"\r\n"),
        ] {
            let all = [body, rest].concat();
            for cut in 0..=all.len() {
                assert_eq!(end(&all, &[cut]), (FramePosition::Between, body.len()), "{body:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_broken_chunk_loses_the_place() {
        for body in [
            "zz\r\n",
            "\r\n",
            "-1\r\n",
            "3\r\nabcd\r\n",
            "1\nx\r\n",
            "fffffffffffffffff\r\n",
            "0\r\n\rx",
            "0;\n",
            "1 2\r\n",
        ] {
            assert_eq!(end(body.as_bytes(), &[]).0, FramePosition::Lost, "{body:?}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_passed_over() {
        for (text, count) in [("GET", 0), ("\r\nGET", 2), ("\n\r\n\nGET", 4), ("\r", 0), ("\r\n\r", 2)] {
            assert_eq!(empty_lines(text.as_bytes()), count, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_place_as_the_whole(
            bytes in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'2'), Just(b'\r'), Just(b'\n'), Just(b';'), any::<u8>()], 0..60),
            cuts in proptest::collection::vec(0_usize..60, 0..8),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            prop_assert_eq!(end(&bytes, &cuts), end(&bytes, &[]));
        }
    }
}
