//! Answers: the only table of status codes, and the headers that all answers of a kind share.
//!
//! The client reads one sentence that says what to do. Details for the log only (paths,
//! causes inside the node) never comes here.

mod details;
mod freshness;
mod kind;
mod layout;
mod sentence;
mod timing;

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, ALLOW,
    CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED, LOCATION, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Body as _;
use serde::Serialize;

use super::access::AccessError;
use super::access::sign::UrlRefusal;
use super::body::Body;
use super::conditional::Range;
use crate::object::Format;
use crate::peer::call;
use crate::shard::cache::CachedResponse;
use crate::shard::control_link::MembershipStatus;
use crate::shard::rate::TooFast;
use crate::store::health::DiskTrouble;
use crate::telemetry::metrics::Cache;
use freshness::A_DAY;
pub(super) use freshness::Freshness;
pub(super) use layout::{LayoutProblem, Moves};
pub(super) use timing::timing;

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Headers that a page may send beside those that need no leave.
const CORS_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since",
);

/// Every refusal, by cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Anything unsigned below `/cluster/`.
    Unsigned,
    /// No such route, or an extension that is none.
    UnknownRoute,
    /// The route does not take this method; these it takes.
    Method(&'static str),
    /// The id in the URL is none.
    BadId,
    /// The URL holds what it must not.
    BadUrl(&'static str),
    /// The spec is wrong; the sentence names the part.
    BadSpec(String),
    /// A variant without a preset, where only presets are made.
    OnlyPresets,
    /// The image as it was uploaded is not given to strangers.
    Originals,
    /// An upload without the right key.
    Upload(AccessError),
    /// Another call without the right key.
    Call(AccessError),
    /// A URL without the right signature.
    Url(UrlRefusal),
    /// No request can be read from what came.
    Unreadable,
    /// A request's head is longer than is read, or has more headers.
    HeadTooLong,
    /// The message's framing is ambiguous.
    Framing(&'static str),
    /// A transfer coding that is not understood here.
    Coding,
    /// The request names no host, several, or what is none.
    Host,
    /// The form or one of its fields is wrong.
    BadForm(String),
    /// The body did not arrive whole.
    Aborted,
    /// No byte for too long.
    Stalled,
    /// Longer than this many bytes.
    TooLong(u64),
    /// Not an image that is taken.
    UnsupportedImage(String),
    /// An image that is broken or over a limit.
    BadImage(String),
    /// The bytes do not have the id in the URL.
    WrongId,
    /// No such image.
    Absent,
    /// The image is deleted or banned.
    Gone,
    /// The image was deleted while it was uploaded.
    DeletedMeanwhile,
    /// The image is banned, so that it cannot be uploaded.
    Banned,
    /// The image is not deleted, so that there is no erasure to tell of.
    NotDeleted,
    /// It may be on a node that does not answer.
    Unproven,
    /// Every copy here is damaged.
    Damaged,
    /// This variant of this image cannot be made.
    CannotMake(String),
    /// The client wants another representation than the one that there is.
    Precondition,
    /// The asked part lies outside; the whole has this many bytes.
    OutsideRange(u64),
    /// Too much of this is under way.
    Busy(&'static str),
    /// This client asks for more than it may.
    TooFast(TooFast),
    /// It took too long.
    Deadline,
    /// It took too long the last time, and is not tried again for so many seconds.
    TooSlow(u64),
    /// The node is about to stop.
    Stopping,
    /// New images are not taken here.
    ReadOnly,
    /// The node does not belong to its cluster, or must not act for it.
    NotMember(MembershipStatus),
    /// The same as the reason why the node is not ready. The sentence says whom it has asked to join, too.
    NotReady(MembershipStatus, String),
    /// Fewer nodes than are needed hold the upload: these.
    TooFewCopies(Vec<String>),
    /// Fewer owners than are needed have the record of a deletion.
    TooFewRecords,
    /// The variants of an image may be left on these nodes.
    NotPurged(Vec<String>),
    /// No space left.
    DiskFull,
    /// The disk failed.
    Disk,
    /// The disk cannot be relied on, for this reason.
    Unusable(DiskTrouble),
    /// An operator's change of the layout.
    Layout(LayoutProblem),
    /// A fault of the program.
    Internal,
}

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        let (status, ..) = problem.kind();
        let mut response = plain(status, "application/problem+json", problem.json());
        let headers = response.headers_mut();
        let cache = if problem == Problem::Absent { "public, max-age=10" } else { "no-store" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        match &problem {
            Problem::Method(allow) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Problem::OutsideRange(length) => {
                headers.insert(CONTENT_RANGE, text_value(format!("bytes */{length}")));
            }
            Problem::Unsigned => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Reticulum-Peer"));
            }
            _ if status == StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"reticulum\""));
            }
            Problem::TooFast(TooFast { retry_after_s }) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after_s));
            }
            Problem::TooSlow(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// The answer below `/cluster/` to what is not proven. `reason` is for the log of a node that asks.
pub(super) fn unproven(reason: Option<&str>) -> Response<Body> {
    let mut response = Response::from(Problem::Unsigned);
    if let Some(reason) = reason {
        response.headers_mut().insert(WWW_AUTHENTICATE, text_value(call::challenge(reason)));
    }
    response
}

/// 200 to another node.
pub(super) fn peer_response(body: Body) -> Response<Body> {
    let length = body.size_hint().exact();
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length.unwrap_or_default()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A refusal to another node, and the bytes of its body.
pub(super) fn problem_with_bytes(problem: Problem) -> (Response<Body>, Vec<u8>) {
    let bytes = problem.json();
    (problem.into(), bytes)
}

/// The headers of every answer with an image's bytes.
#[derive(Debug)]
pub(super) struct Representation<'a> {
    /// The media type.
    pub(super) media_type: &'static str,
    /// Bytes of the whole.
    pub(super) length: u64,
    /// Strong and quoted.
    pub(super) etag: &'a str,
    /// Upload time of the image.
    pub(super) modified: SystemTime,
    /// For how long it holds.
    pub(super) freshness: Freshness,
    /// The source of the bytes.
    pub(super) cache: Cache,
}

/// 200 or 206 with the bytes, or 416.
pub(super) fn representation(about: &Representation<'_>, range: Range, body: Body) -> Response<Body> {
    let status = match range {
        Range::Whole => StatusCode::OK,
        Range::Part { .. } => StatusCode::PARTIAL_CONTENT,
        Range::Outside => return Problem::OutsideRange(about.length).into(),
    };
    let (start, end) = range.bounds(about.length);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let part = (status == StatusCode::PARTIAL_CONTENT).then_some((start, end, about.length));
    let headers = response.headers_mut();
    image_headers(headers, about.media_type, end - start, part, about.cache);
    headers.insert(LAST_MODIFIED, text_value(httpdate::fmt_http_date(about.modified)));
    validators(headers, about.etag, about.freshness);
    response
}

/// The headers of all answers with an image's bytes; `part` is start, end and length of the whole.
fn image_headers(
    headers: &mut HeaderMap,
    media_type: &'static str,
    length: u64,
    part: Option<(u64, u64, u64)>,
    cache: Cache,
) {
    headers.reserve(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some((start, end, whole)) = part {
        headers.insert(CONTENT_RANGE, text_value(format!("bytes {start}-{}/{whole}", end - 1)));
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(X_CACHE, HeaderValue::from_static(cache_text(cache)));
    common(headers);
}

/// 200 or 206 of an answer in memory, or 416.
pub(super) fn ready(
    entry: &CachedResponse,
    range: Range,
    freshness: Freshness,
    cache: Cache,
) -> Response<Body> {
    let length = entry.bytes.len() as u64;
    let (status, start, end) = match range {
        Range::Whole => (StatusCode::OK, 0, length),
        Range::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start, end),
        Range::Outside => return Problem::OutsideRange(length).into(),
    };
    // The range was cut to the length, which is that of a buffer.
    let mut response = Response::new(Body::bytes(entry.bytes.slice(start as usize..end as usize)));
    *response.status_mut() = status;
    let part = (status == StatusCode::PARTIAL_CONTENT).then_some((start, end, length));
    let headers = response.headers_mut();
    image_headers(headers, entry.format.media_type(), end - start, part, cache);
    headers.insert(LAST_MODIFIED, shared_value(&entry.last_modified));
    headers.insert(ETAG, shared_value(&entry.etag));
    headers.insert(CACHE_CONTROL, freshness.value());
    response
}

/// 304.
pub(super) fn not_modified(etag: &str, freshness: Freshness) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    validators(response.headers_mut(), etag, freshness);
    common(response.headers_mut());
    response
}

/// Whether an answer is a whole representation.
pub(super) fn is_whole(response: &Response<Body>) -> bool {
    response.status() == StatusCode::OK
}

/// An answer's status line and headers as they are sent, without the empty line at the end.
pub(super) fn head(response: &Response<Body>) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head
}

/// A refusal as it is sent where the connection ends with it.
pub(super) fn closing_response(problem: Problem) -> Vec<u8> {
    let text = problem.json();
    let mut response = problem.into();
    close(&mut response);
    response.headers_mut().insert(DATE, text_value(httpdate::fmt_http_date(SystemTime::now())));
    [&head(&response), &b"\r\n"[..], &text].concat()
}

/// 301 to the canonical form of an image's URL.
pub(super) fn redirect(location: String) -> Response<Body> {
    let mut response = plain(StatusCode::MOVED_PERMANENTLY, "text/plain; charset=utf-8", Vec::new());
    let headers = response.headers_mut();
    headers.insert(LOCATION, text_value(location));
    headers.insert(CACHE_CONTROL, A_DAY);
    response
}

/// 204 to a browser that asks which methods a page may use.
pub(super) fn preflight(methods: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, CORS_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    common(headers);
    response
}

/// The format of the image that an answer carries, whole or in part.
pub(super) fn image_format(response: &Response<Body>) -> Option<Format> {
    let media_type = response.headers().get(CONTENT_TYPE)?;
    Format::ALL.into_iter().find(|format| media_type == format.media_type())
}

/// Makes browsers save the body instead of showing it.
pub(super) fn download(response: &mut Response<Body>, disposition: HeaderValue) {
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
}

/// 200 with a JSON object.
pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).expect("the answers' types always serialise");
    let mut response = plain(StatusCode::OK, "application/json", text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 202 with a JSON object.
pub(super) fn accepted(value: &impl Serialize) -> Response<Body> {
    let mut response = json(value);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// 204.
pub(super) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::bytes(Vec::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    common(response.headers_mut());
    response
}

/// 200 with a text.
pub(super) fn text(media_type: &str, text: Vec<u8>) -> Response<Body> {
    let mut response = plain(StatusCode::OK, media_type, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Tells caches that the answer depends on `Accept`.
pub(super) fn vary_by_accept(response: &mut Response<Body>) {
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
}

/// Asks the client to use another connection from now on.
pub(super) fn close(response: &mut Response<Body>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

fn plain(status: StatusCode, media_type: &str, text: Vec<u8>) -> Response<Body> {
    let length = text.len();
    let mut response = Response::new(Body::bytes(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, text_value(media_type.to_owned()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    common(headers);
    response
}

fn validators(headers: &mut HeaderMap, etag: &str, freshness: Freshness) {
    headers.insert(ETAG, text_value(etag.to_owned()));
    headers.insert(CACHE_CONTROL, freshness.value());
}

fn common(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

const fn cache_text(cache: Cache) -> &'static str {
    match cache {
        Cache::None => "none",
        Cache::Memory => "memory",
        Cache::Disk => "disk",
        Cache::Peer => "peer",
        Cache::Miss => "miss",
        Cache::Coalesced => "coalesced",
    }
}

/// The same as a header's value without a copy.
fn shared_value(text: &Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.clone()).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

/// Texts made here are ASCII without control characters; anything else would be a fault, which must
/// not take the connection down.
fn text_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

#[cfg(test)]
mod tests;
