//! The fast path: memory hits of URLs that were answered from memory before.
//!
//! The cost of an answer from memory is not its bytes but parsing a URL into a spec, resolving the spec into a
//! recipe and its key, and building and writing a dozen headers, each time with the same result. So the handler
//! inserts the response head of a URL's second answer from memory here. From the third on the socket itself
//! answers: look up the path, add date and timing, send. Everything that is not plainly such a request
//! (another method, a query, a range, a body, HTTP/1.0) goes to hyper and the handler, whose
//! answers these are, byte for byte but for the date, the timing and the order of the two.
//!
//! Invariants: the memory tier alone keeps bodies, so an entry that it dropped is not answered; heads are
//! forgotten when the configuration is loaded again, and none is kept of an answer made by older rules.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, VARY};
use http::{Method, Request, Response, Version};
use quick_cache::Weighter;
use quick_cache::unsync::Cache as HeadCache;

use super::access::cors::Verdict;
use super::body::Body;
use super::conditional;
use super::live::Rules;
use super::reply::{self, Freshness, Problem};
use super::server::ImmediateAnswers;
use super::server::framing::{FramingError, Head};
use crate::shard::cache::{CacheKey, CachedResponse};
use crate::shard::{Phase, Shard};
use crate::telemetry::metrics::{Cache, Route};

/// Bytes of a cached head beside its own: key, allocations, the cache's bookkeeping.
const HEAD_EXTRA_BYTES: u64 = 256;

/// The mean cost of a kept head that the books are laid out for.
const HEAD_BYTES_USUAL: u64 = 1 << 10;

/// The response heads that one shard caches, and its clock for their dates.
pub(super) struct FastPath {
    shard: Rc<Shard>,
    rules: Rc<Rules>,
    cached: RefCell<HeadCache<Box<[u8]>, Rc<ResponseHeads>, HeadWeigher>>,
    /// The rules under which the heads were made.
    version: Cell<u64>,
    date: RefCell<Date>,
}

/// An answer from memory, as the handler found it.
pub(super) struct Hit {
    pub(super) key: CacheKey,
    pub(super) entry: Arc<CachedResponse>,
    pub(super) freshness: Freshness,
}

/// The answers of one URL, all but date and timing.
struct ResponseHeads {
    key: CacheKey,
    /// The entry from which the heads were made. Another entry may have the key by now.
    entry: Weak<CachedResponse>,
    whole: Vec<u8>,
    not_modified: Vec<u8>,
}

/// The `date` header and until when it is right.
struct Date {
    until: Instant,
    line: Vec<u8>,
}

#[derive(Clone)]
struct HeadWeigher;

impl FastPath {
    /// Keeps heads of at most `bytes` in all.
    pub(super) fn new(shard: Rc<Shard>, rules: Rc<Rules>, bytes: u64) -> Self {
        let items = usize::try_from(bytes / HEAD_BYTES_USUAL).unwrap_or(usize::MAX);
        let cached = RefCell::new(HeadCache::with_weighter(items, bytes, HeadWeigher));
        let date = RefCell::new(Date { until: Instant::now(), line: Vec::new() });
        Self { shard, version: Cell::new(rules.version()), rules, cached, date }
    }

    /// Inserts the head of a hit that the handler answered with `response` to a plain request for `path`, by the rules
    /// of `version`. The rules may have changed since they were asked; then the answer is one of yesterday.
    pub(super) fn insert(
        &self,
        path: &str,
        hit: &Hit,
        response: &Response<Body>,
        origin: &Verdict,
        version: u64,
    ) {
        let varies = [VARY, CONNECTION].iter().any(|name| response.headers().contains_key(name));
        if varies || !reply::is_whole(response) || !self.is_open() || self.version.get() != version {
            return;
        }
        let known = self.cached.borrow().get(path.as_bytes()).is_some_and(|heads| heads.are_of(&hit.entry));
        if known {
            return;
        }
        // The tag was made of hex digits.
        let etag = std::str::from_utf8(&hit.entry.etag).unwrap_or_default();
        let mut not_modified = reply::not_modified(etag, hit.freshness);
        origin.mark_image(not_modified.headers_mut());
        let heads = ResponseHeads {
            key: hit.key,
            entry: Arc::downgrade(&hit.entry),
            whole: reply::head(response),
            not_modified: reply::head(&not_modified),
        };
        self.cached.borrow_mut().insert(path.as_bytes().into(), Rc::new(heads));
    }

    /// Whether answers are as they were when their heads were kept.
    fn is_open(&self) -> bool {
        let version = self.rules.version();
        if self.version.replace(version) != version {
            self.cached.borrow_mut().clear();
        }
        self.shard.node.phase() == Phase::Ready && !self.shard.lifecycle.stopping.is_set()
    }
}

impl ImmediateAnswers for FastPath {
    fn answer(&self, head: &Head<'_, '_>, out: &mut Vec<u8>) -> Option<(Bytes, Instant)> {
        let is_plain = head.is_11 && head.method == "GET" && head.path.starts_with("/image/");
        if !is_plain || !self.is_open() {
            return None;
        }
        let started = Instant::now();
        let heads = self.cached.borrow().get(head.path.as_bytes()).cloned()?;
        let condition = Condition::of(head.fields)?;
        let entry = self.shard.cached(&heads.key)?;
        if !heads.are_of(&entry) {
            return None;
        }
        let fresh = condition.is_some_and(|Condition(tags)| conditional::lists(tags, &entry.etag));
        out.clear();
        out.extend_from_slice(if fresh { &heads.not_modified } else { &heads.whole });
        let now = Instant::now();
        let elapsed = now - started;
        self.date.borrow_mut().write(now, out);
        let (status, cache, body) = if fresh {
            (304, Cache::None, Bytes::new())
        } else {
            // As `reply::timing` writes it.
            let _ = write!(out, "server-timing: total;dur={:.3}\r\n", elapsed.as_secs_f64() * 1000.0);
            (200, Cache::Memory, entry.bytes.clone())
        };
        out.extend_from_slice(b"\r\n");
        self.shard.metrics.request(Route::Image, status, cache, elapsed);
        Some((body, now))
    }

    fn refuse(&self, fault: FramingError) -> Vec<u8> {
        let problem = Problem::from(fault);
        self.shard.metrics.request(Route::Other, problem.status(), Cache::None, Duration::ZERO);
        reply::closing_response(problem)
    }
}

/// The tags of `If-None-Match`.
struct Condition<'a>(&'a str);

impl<'a> Condition<'a> {
    /// The condition of a request, if it has one; outer `None` where a header asks for more than that.
    fn of(headers: &[httparse::Header<'a>]) -> Option<Option<Self>> {
        let mut condition = None;
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            match header.name.len() {
                2 if is("te") => return None,
                5 if is("range") => return None,
                6 if is("expect") => return None,
                7 if is("upgrade") || is("trailer") => return None,
                8 if is("if-range") || is("if-match") => return None,
                10 if is("connection") && !header.value.eq_ignore_ascii_case(b"keep-alive") => return None,
                13 if is("if-none-match") => {
                    let tags = std::str::from_utf8(header.value).ok()?;
                    if condition.replace(Self(tags)).is_some() {
                        return None;
                    }
                }
                14 if is("content-length") => return None,
                17 if is("transfer-encoding") || is("if-modified-since") => return None,
                19 if is("if-unmodified-since") => return None,
                _ => {}
            }
        }
        Some(condition)
    }
}

impl ResponseHeads {
    fn are_of(&self, entry: &Arc<CachedResponse>) -> bool {
        std::ptr::eq(self.entry.as_ptr(), Arc::as_ptr(entry))
    }
}

impl Date {
    fn write(&mut self, now: Instant, head: &mut Vec<u8>) {
        if now >= self.until {
            let wall = SystemTime::now();
            let part = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
            self.until = now + Duration::from_secs(1) - Duration::from_nanos(u64::from(part));
            self.line = format!("date: {}\r\n", httpdate::fmt_http_date(wall)).into_bytes();
        }
        head.extend_from_slice(&self.line);
    }
}

impl Weighter<Box<[u8]>, Rc<ResponseHeads>> for HeadWeigher {
    fn weight(&self, path: &Box<[u8]>, heads: &Rc<ResponseHeads>) -> u64 {
        (path.len() + heads.whole.len() + heads.not_modified.len()) as u64 + HEAD_EXTRA_BYTES
    }
}

impl From<FramingError> for Problem {
    fn from(fault: FramingError) -> Self {
        match fault {
            FramingError::LengthAndCoding => {
                Self::Framing("Send Content-Length or Transfer-Encoding, not both.")
            }
            FramingError::Lengths => Self::Framing("Send one Content-Length, a number of bytes."),
            FramingError::CodingIn10 => {
                Self::Framing("Send a Content-Length; HTTP/1.0 has no Transfer-Encoding.")
            }
            FramingError::Coding => Self::Coding,
            FramingError::Host => Self::Host,
        }
    }
}

/// Whether the answer to this request may be kept, as far as the request's first line goes.
pub(super) fn is_plain<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    *request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && uri.query().is_none()
        && uri.authority().is_none()
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::http::conditional::Range;
    use crate::http::live::Live;
    use crate::http::server::framing::{FIELDS_MAX, ParsedHead};
    use crate::object::{Format, ObjectId};
    use crate::shard::service::tests::support::idle_shard;

    fn condition(headers: &[(&'static str, &'static str)]) -> Option<Option<&'static str>> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| httparse::Header { name, value: value.as_bytes() }).collect();
        Condition::of(&headers).map(|condition| condition.map(|Condition(tags)| tags))
    }

    #[test]
    fn a_head_made_by_older_rules_is_not_kept() {
        let (shard, config, _directory) = idle_shard();
        let live = Arc::new(Live::new(config.http.clone()));
        let rules = Rc::new(Rules::new(Arc::clone(&live)));
        let fast_path = FastPath::new(Rc::clone(&shard), Rc::clone(&rules), 1 << 20);
        let key = (ObjectId::from_digest([1; 20]), [2; 16]);
        let entry =
            CachedResponse::new(Bytes::from_static(b"bytes"), Format::Png, "\"ab\"", SystemTime::UNIX_EPOCH);
        shard.insert_cached(key, &entry);
        let freshness = Freshness::ForEver;
        let response = reply::ready(&entry, Range::Whole, freshness, Cache::Memory);
        let hit = Hit { key, entry, freshness };
        let text = b"GET /image/x HTTP/1.1\r\nHost: a\r\n\r\n";
        let is_answered = || {
            let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
            let ParsedHead::Head(head) = ParsedHead::read(text, &mut fields) else { panic!("no head") };
            fast_path.answer(&head, &mut Vec::new()).is_some()
        };
        let learn = |version| {
            let origin = rules.current().1.origin(&http::HeaderMap::new());
            fast_path.insert("/image/x", &hit, &response, &origin, version);
        };
        let (_, _, old) = rules.current();
        live.reload(config.http);
        learn(old);
        assert!(!is_answered());
        learn(rules.current().2);
        assert!(is_answered());
    }

    #[test]
    fn what_browsers_send_is_plain_and_tags_are_seen() {
        let browser = [("Host", "a"), ("Accept", "*/*"), ("Connection", "keep-alive"), ("Cookie", "a=b")];
        assert_eq!(condition(&browser), Some(None));
        assert_eq!(condition(&[("IF-NONE-MATCH", "\"a\"")]), Some(Some("\"a\"")));
    }

    #[test]
    fn a_header_that_changes_the_answer_is_not_plain() {
        for (name, value) in [
            ("Range", "bytes=0-1"),
            ("If-Range", "\"a\""),
            ("If-Modified-Since", "Sun, 22 Nov 2026 19:11:32 GMT"),
            ("Connection", "close"),
            ("Connection", "keep-alive, upgrade"),
            ("Upgrade", "h2c"),
            ("Expect", "100-continue"),
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert_eq!(condition(&[("Host", "a"), (name, value)]), None, "{name}: {value}");
        }
        assert_eq!(condition(&[("If-None-Match", "\"a\""), ("If-None-Match", "\"b\"")]), None);
    }

    #[test]
    fn a_date_is_written_anew_when_its_second_is_over() {
        let now = Instant::now();
        let mut date = Date { until: now, line: Vec::new() };
        let mut head = Vec::new();
        date.write(now, &mut head);
        assert!(head.starts_with(b"date: ") && head.ends_with(b" GMT\r\n"));
        assert!(date.until > now && date.until <= now + Duration::from_secs(1));
        date.line = b"kept".to_vec();
        head.clear();
        date.write(date.until - Duration::from_nanos(1), &mut head);
        assert_eq!(head, b"kept");
        head.clear();
        date.write(date.until, &mut head);
        assert!(head.starts_with(b"date: "));
    }
}
