//! Bytes between the kernel and hyper: hyper gets one request at a time.
//!
//! A client may send several requests at once, and the kernel cuts them where it likes. Only whole heads leave this
//! place, and nothing behind a request before its answer has left. So where hyper asks for a head, the
//! next byte is the first of one, whatever came before; a hit can be answered there, and a head that two readers
//! may read differently is refused before hyper sees it.
//!
//! For a request that comes whole and alone nothing is copied or allocated here, and its head is read once. What came
//! too early is kept: at most one read, behind a head that is not whole yet.

use std::mem::{self, MaybeUninit};

use super::framing::{
    Coding, FIELDS_MAX, Fields, FramePosition, FramingError, Head, ParsedHead, empty_lines,
};

/// The longest head. hyper's buffer has this length too, so that it refuses what is longer.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// The action for bytes of a connection. Each count is of bytes at the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GateAction<H> {
    /// These are hyper's. With them comes whether they are a whole head of a request of HTTP/1.1 (true) or 1.0 (false),
    /// perhaps with a part of its body.
    Give(usize, Option<bool>),
    /// These were a hit.
    Hit(usize, H),
    /// These mean nothing.
    Pass(usize),
    /// They are a part of a head.
    Wait,
    /// Refuse the request and end the connection.
    Refuse(FramingError),
}

/// One connection's bytes.
#[derive(Debug)]
pub(super) struct RequestGate {
    place: FramePosition,
    /// From `at` on: received, but neither given nor used.
    kept: Vec<u8>,
    at: usize,
    /// So many of those are hyper's.
    allowed: usize,
    /// So many of those are a part of a head, as far as is known.
    looked_at: usize,
    /// A request was refused: nothing more is read.
    is_over: bool,
}

impl RequestGate {
    pub(in crate::http) const fn new() -> Self {
        Self {
            place: FramePosition::Between,
            kept: Vec::new(),
            at: 0,
            allowed: 0,
            looked_at: 0,
            is_over: false,
        }
    }

    /// Whether the next byte that hyper gets is a request's first.
    pub(super) fn is_between(&self) -> bool {
        self.place == FramePosition::Between && self.allowed == 0
    }

    /// Whether nothing is kept.
    pub(in crate::http) const fn is_empty(&self) -> bool {
        self.at == self.kept.len()
    }

    /// Whether unread bytes are kept.
    pub(super) const fn is_waiting(&self) -> bool {
        self.at + self.looked_at < self.kept.len()
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Nothing more is read.
    pub(in crate::http) fn end(&mut self) {
        self.is_over = true;
        self.kept = Vec::new();
        (self.at, self.allowed, self.looked_at) = (0, 0, 0);
    }

    /// Decides on bytes that have just come while nothing is kept. The caller keeps those that are not used.
    pub(in crate::http) fn look<H>(
        &mut self,
        bytes: &[u8],
        hit: impl FnOnce(&Head<'_, '_>) -> Option<H>,
    ) -> GateAction<H> {
        self.look_at(bytes, 0, hit)
    }

    /// Decides on the kept bytes. Those that are hyper's are allowed from then on.
    pub(super) fn look_at_kept<H>(&mut self, hit: impl FnOnce(&Head<'_, '_>) -> Option<H>) -> GateAction<H> {
        let kept = mem::take(&mut self.kept);
        let step = self.look_at(&kept[self.at..], self.looked_at, hit);
        self.kept = kept;
        match &step {
            GateAction::Give(count, _) => (self.allowed, self.looked_at) = (*count, 0),
            GateAction::Hit(count, _) | GateAction::Pass(count) => self.use_up(*count),
            GateAction::Wait => self.looked_at = self.kept.len() - self.at,
            GateAction::Refuse(_) => {}
        }
        step
    }

    /// Keeps bytes that came behind those that are kept.
    pub(in crate::http) fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// The same for a part of a head.
    pub(super) fn keep_part(&mut self, bytes: &[u8]) {
        self.keep(bytes);
        self.looked_at = self.kept.len() - self.at;
    }

    /// The kept bytes that hyper may have, at most so many; they count as given.
    pub(super) fn take_allowed(&mut self, room: usize, give: impl FnOnce(&[u8])) -> bool {
        let count = self.allowed.min(room);
        if count == 0 {
            return false;
        }
        give(&self.kept[self.at..self.at + count]);
        self.allowed -= count;
        self.use_up(count);
        true
    }

    fn use_up(&mut self, count: usize) {
        self.at += count;
        self.looked_at = 0;
        if self.is_empty() {
            // Few clients send ahead, so the room is not held for as long as the connection lives.
            self.kept = Vec::new();
            self.at = 0;
        }
    }

    /// `looked_at` bytes of `bytes` were found to be a part of a head before the others came.
    fn look_at<H>(
        &mut self,
        bytes: &[u8],
        looked_at: usize,
        hit: impl FnOnce(&Head<'_, '_>) -> Option<H>,
    ) -> GateAction<H> {
        if self.place != FramePosition::Between {
            return GateAction::Give(self.place.advance(bytes), None);
        }
        let empty = empty_lines(bytes);
        let text = &bytes[empty..];
        if text.is_empty() {
            return GateAction::Pass(empty);
        }
        // A head ends with a line, and is found to be none line by line: between the ends of lines it is not read
        // again and again, which would cost the square of its length.
        let is_worth_reading = looked_at == 0 || memchr::memchr(b'\n', &bytes[looked_at..]).is_some();
        let mut fields: Fields<'_> = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let begin = if is_worth_reading { ParsedHead::read(text, &mut fields) } else { ParsedHead::Partial };
        match begin {
            ParsedHead::Head(head) => self.begin(&head, &bytes[empty + head.length..], empty, hit),
            ParsedHead::Partial if bytes.len() < HEAD_BYTES_MAX => GateAction::Wait,
            // hyper refuses it in its own words.
            ParsedHead::Partial | ParsedHead::Unreadable => {
                self.place = FramePosition::Lost;
                GateAction::Give(bytes.len(), None)
            }
        }
    }

    fn begin<H>(
        &mut self,
        head: &Head<'_, '_>,
        rest: &[u8],
        empty: usize,
        hit: impl FnOnce(&Head<'_, '_>) -> Option<H>,
    ) -> GateAction<H> {
        let coding = match head.coding() {
            Ok(coding) => coding,
            Err(fault) => return GateAction::Refuse(fault),
        };
        if coding == Coding::Length(0)
            && let Some(hit) = hit(head)
        {
            return GateAction::Hit(empty + head.length, hit);
        }
        self.place = coding.place();
        GateAction::Give(empty + head.length + self.place.advance(rest), Some(head.is_11))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that is answered at once: what hyper gets, request by request, and the hits among them.
    fn run(pieces: &[&[u8]]) -> (Vec<String>, Option<FramingError>) {
        let mut gate = RequestGate::new();
        let mut out: Vec<String> = Vec::new();
        let hit = |head: &Head<'_, '_>| (head.path == "/hot").then_some(());
        let put = |out: &mut Vec<String>, bytes: &[u8], is_first: bool| {
            let text = String::from_utf8_lossy(bytes);
            // Empty lines may come along where they are cut off from nothing; hyper passes over them, too.
            let text = if is_first { text.trim_start_matches("\r\n") } else { &*text };
            match out.last_mut() {
                Some(last) if !is_first => *last += text,
                _ => out.push(text.to_owned()),
            }
        };
        let mut pieces = pieces.iter();
        loop {
            let is_first = gate.is_between();
            let step = if gate.is_waiting() {
                gate.look_at_kept(hit)
            } else {
                let Some(piece) = pieces.next() else { return (out, None) };
                if gate.is_empty() {
                    let step = gate.look(piece, hit);
                    match &step {
                        GateAction::Give(count, _) => {
                            put(&mut out, &piece[..*count], is_first);
                            gate.keep(&piece[*count..]);
                        }
                        GateAction::Hit(count, ()) | GateAction::Pass(count) => gate.keep(&piece[*count..]),
                        GateAction::Wait => gate.keep_part(piece),
                        GateAction::Refuse(_) => {}
                    }
                    step
                } else {
                    gate.keep(piece);
                    continue;
                }
            };
            let mut rest = Vec::new();
            // Two bytes at a time, as into a small buffer.
            while gate.take_allowed(2, |bytes| rest.extend_from_slice(bytes)) {}
            if !rest.is_empty() {
                put(&mut out, &rest, is_first);
            }
            match step {
                GateAction::Hit(..) => out.push("hit".to_owned()),
                GateAction::Refuse(fault) => return (out, Some(fault)),
                _ => {}
            }
        }
    }

    const HOT: &str = "GET /hot HTTP/1.1\r\nHost: a\r\n\r\n";
    const COLD: &str = "GET /cold HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET /hot HTTP/1.1\r\nHost: a\r\n\r\n!";
    const CHUNKS: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    const BOTH: &str =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    #[test]
    fn hyper_gets_one_request_at_a_time_however_they_are_cut() {
        let all = [HOT, COLD, "\r\n", POST, HOT, CHUNKS, CHUNKS, HOT, BOTH, HOT].concat();
        let expected = ["hit", COLD, POST, "hit", CHUNKS, CHUNKS, "hit"];
        let cuts = (0..all.len()).map(|cut| vec![&all.as_bytes()[..cut], &all.as_bytes()[cut..]]);
        let bytewise = all.as_bytes().chunks(1).collect();
        for pieces in cuts.chain([bytewise]) {
            let pieces: Vec<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
            let (given, fault) = run(&pieces);
            assert_eq!(given, expected, "{pieces:?}");
            assert_eq!(fault, Some(FramingError::LengthAndCoding));
        }
    }

    proptest::proptest! {
        /// With anything before them, and cut anywhere, hyper gets the requests one by one or not at all.
        #[test]
        fn any_requests_in_any_pieces_give_what_each_gives_alone(
            picks in proptest::collection::vec(0_usize..7, 1..8),
            cuts in proptest::collection::vec(0_usize..900, 0..12),
        ) {
            let pool = [HOT, COLD, POST, CHUNKS, BOTH, "\r\n", "NONE\r\n\r\n"];
            let requests: Vec<_> = picks.iter().map(|pick| pool[*pick]).collect();
            let (mut expected, mut fault) = (Vec::new(), None);
            for (place, request) in requests.iter().enumerate() {
                let (given, refused) = run(&[request.as_bytes()]);
                fault = refused;
                if request.starts_with("NONE") {
                    expected.push(requests[place..].concat());
                    break;
                }
                expected.extend(given);
                if fault.is_some() {
                    break;
                }
            }
            let all = requests.concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &all.as_bytes()[cut[0]..cut[1]]).collect();
            proptest::prop_assert_eq!(run(&pieces), (expected, fault));
        }
    }

    #[test]
    fn what_is_no_request_is_hypers_with_all_that_follows() {
        let (given, fault) = run(&[b"NONE\r\n\r\n", HOT.as_bytes()]);
        assert_eq!((given, fault), (vec![format!("NONE\r\n\r\n{HOT}")], None));
        let long = format!("GET /hot HTTP/1.1\r\nHost: a\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        let (given, _) = run(&[&long.as_bytes()[..100], &long.as_bytes()[100..], b"\r\n\r\n"]);
        assert_eq!(given, [long + "\r\n\r\n"]);
    }

    #[test]
    fn empty_lines_are_not_collected() {
        let mut gate = RequestGate::new();
        for _ in 0..10 {
            assert_eq!(gate.look(b"\r\n\r\n", |_| None::<()>), GateAction::Pass(4));
        }
        assert!(gate.is_empty());
    }
}
