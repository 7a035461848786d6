//! The calls between nodes, as a line of HTTP and back. Pure.
//!
//! Every call is safe to repeat: it asks, or it says something that is as true the second time.

use std::time::{Duration, SystemTime};

use http::Method;

use super::auth::{AuthError, PeerMetadata};
use super::comparison::CompareCall;
use super::erasure::{EraseCall, PageCall};
use super::query::parameter;
use super::requester::Requester;
use crate::cluster::core::JoinRefusal;
use crate::cluster::erasure::COUNTER_MAX;
use crate::cluster::layout::SyncHash;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::object::{Format, ObjectId};

/// Images that a page may have.
pub const IMAGES_MAX: usize = 1000;

/// The target of a connection's first request.
pub const HANDSHAKE_TARGET: &str = "/cluster/v1/hello";

const PREFIX: &str = "/cluster/v1/";

/// Whether a path is for nodes alone.
pub fn is_peer_path(path: &str) -> bool {
    path == "/cluster" || path.starts_with("/cluster/")
}

/// Whether what has come of a head is another node's, as far as can be seen without reading it whole.
pub fn is_peer_request(head: &[u8]) -> bool {
    let target = head.split(|byte| *byte == b' ').nth(1);
    target.is_some_and(|target| target.starts_with(b"/cluster/"))
}

/// The causes of a refusal that the other node may log.
pub const REASONS: [(AuthError, &str); 3] =
    [(AuthError::Version, "version"), (AuthError::Cluster, "cluster"), (AuthError::Proof, "proof")];

/// Status of an answer that gives what was asked.
pub const GIVEN: u16 = 200;
/// Status of an answer of a node that has no such image.
pub const LACKED: u16 = 404;
/// Status of an answer that the image is deleted or banned; the metadata say by which record.
pub const GONE: u16 = 410;
/// Status of an answer that the image is broken, or that this variant of it cannot be made: anywhere.
pub const IMPOSSIBLE: u16 = 422;
/// Status of an answer of a node without room on its disk.
pub const FULL: u16 = 507;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// One message of the other's core, in the body.
    Gossip,
    /// The stored bytes.
    Image(ObjectId),
    /// The metadata of the stored image: the same as [`Call::Image`] without the body.
    Head(ObjectId),
    /// Take a copy, the image in the body.
    Copy(Copy),
    /// Made or found.
    Variant(VariantCall),
    /// Whether it is there.
    Has(ObjectId),
    /// Whether it is there, and when the node verified its copy last.
    Verified(ObjectId),
    /// Whether it is there, read from disk and right, after this was asked; and live with this counter from now on, 0 of
    /// an image that was never deleted.
    Receipt(ObjectId, u64),
    /// Its `/info`.
    Info(ObjectId),
    /// The next images in the node's own store.
    List(ListCall),
    /// A question of a comparison.
    Compare(CompareCall),
    /// The erasure record of an image.
    Erasure(ObjectId),
    /// Take an erasure record.
    Erase(EraseCall),
    /// The digests of the node's erasure records, unless the digest of all of them is this one.
    ErasureDigests(u64),
    /// The next erasure records of a bucket.
    ErasurePage(PageCall),
    /// Remove the variants of an image.
    Purge(ObjectId),
    /// Read all copies back now, at full pace.
    BeginScrub,
    /// The progress of that.
    Scrub,
}

/// Which images a node is to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCall {
    /// The id before the first one.
    pub after: Option<ObjectId>,
    /// The number of ids, at most [`IMAGES_MAX`].
    pub limit: usize,
}

/// A copy on its way to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Of which image.
    pub id: ObjectId,
    /// When it was uploaded; goes along with every copy.
    pub uploaded: SystemTime,
    /// Whether the receiver takes it in place of an owner.
    pub misplaced: bool,
    /// The counter with which the image is live; 0 of one that was never deleted.
    pub live: u64,
}

/// A variant that another node is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantCall {
    /// Of which image.
    pub id: ObjectId,
    /// The recipe's canonical text.
    pub recipe: String,
    /// The bound on its sides that the recipe's text does not hold.
    pub dimension_max: u32,
    /// On whose behalf: the one who makes it shares its work out by clients. Without it, this is no call.
    pub requester: Requester,
}

/// The metadata of a stored image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredMetadata {
    /// By content.
    pub format: Format,
    /// Bytes.
    pub length: u64,
    /// When it was uploaded.
    pub uploaded: SystemTime,
}

impl Call {
    /// Reads a request's line; `None` for what is no call.
    pub fn parse(method: &str, target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut segments = path.strip_prefix(PREFIX)?.split('/');
        let parts = [segments.next(), segments.next(), segments.next(), segments.next()];
        let [Some(name), rest @ ..] = parts else { return None };
        let id = || rest[0].filter(|text| !text.bytes().any(|byte| byte.is_ascii_uppercase()));
        let id = || ObjectId::parse(id()?).ok();
        match (method, name, rest) {
            ("POST", "gossip", [None, ..]) => Some(Self::Gossip),
            ("GET", "image", [_, None, _]) => id().map(Self::Image),
            ("HEAD", "image", [_, None, _]) => id().map(Self::Head),
            ("PUT", "image", [_, None, _]) => {
                let uploaded = read_time(parameter(query, "uploaded")?)?;
                let misplaced = parameter(query, "stray").is_some_and(|value| value == "1");
                Some(Self::Copy(Copy { id: id()?, uploaded, misplaced, live: read_live(query)? }))
            }
            ("GET", "variant", [_, Some(recipe), None]) => Some(Self::Variant(VariantCall {
                id: id()?,
                recipe: recipe.to_owned(),
                dimension_max: parameter(query, "max")?.parse().ok()?,
                requester: Requester::parse(parameter(query, "for")?)?,
            })),
            ("GET", "has", [_, None, _]) => id().map(Self::Has),
            ("GET", "verified", [_, None, _]) => id().map(Self::Verified),
            ("GET", "receipt", [_, None, _]) => Some(Self::Receipt(id()?, read_live(query)?)),
            ("GET", "info", [_, None, _]) => id().map(Self::Info),
            ("GET", "compare", [Some(kind), None, _]) => CompareCall::parse(kind, query).map(Self::Compare),
            ("GET", "images", [None, ..]) => ListCall::parse(query).map(Self::List),
            ("GET", "erasure", [_, None, _]) => id().map(Self::Erasure),
            ("PUT", "erasure", [_, None, _]) => EraseCall::parse(id()?, query).map(Self::Erase),
            ("GET", "erasures", [None, ..]) => {
                u64::from_str_radix(parameter(query, "digest")?, 16).ok().map(Self::ErasureDigests)
            }
            ("GET", "erasures", [Some(bucket), None, _]) => {
                PageCall::parse(bucket, query).map(Self::ErasurePage)
            }
            ("POST", "purge", [_, None, _]) => id().map(Self::Purge),
            ("POST", "scrub", [None, ..]) => Some(Self::BeginScrub),
            ("GET", "scrub", [None, ..]) => Some(Self::Scrub),
            _ => None,
        }
    }

    /// The method.
    pub const fn method(&self) -> Method {
        match self {
            Self::Gossip | Self::Purge(_) | Self::BeginScrub => Method::POST,
            Self::Copy(_) | Self::Erase(_) => Method::PUT,
            Self::Head(_) => Method::HEAD,
            Self::Image(_)
            | Self::Variant(_)
            | Self::Has(_)
            | Self::Verified(_)
            | Self::Receipt(..)
            | Self::Info(_)
            | Self::List(_)
            | Self::Erasure(_)
            | Self::ErasureDigests(_)
            | Self::ErasurePage(_)
            | Self::Compare(_)
            | Self::Scrub => Method::GET,
        }
    }

    /// Path and query.
    pub fn target(&self) -> String {
        match self {
            Self::Gossip => format!("{PREFIX}gossip"),
            Self::Image(id) | Self::Head(id) => format!("{PREFIX}image/{id}"),
            Self::Copy(Copy { id, uploaded, misplaced, live }) => {
                let misplaced = if *misplaced { "&stray=1" } else { "" };
                format!(
                    "{PREFIX}image/{id}?uploaded={}{misplaced}{}",
                    nanoseconds(*uploaded),
                    live_text('&', *live)
                )
            }
            Self::Variant(VariantCall { id, recipe, dimension_max, requester }) => {
                format!("{PREFIX}variant/{id}/{recipe}?max={dimension_max}&for={requester}")
            }
            Self::Has(id) => format!("{PREFIX}has/{id}"),
            Self::Verified(id) => format!("{PREFIX}verified/{id}"),
            Self::Receipt(id, live) => format!("{PREFIX}receipt/{id}{}", live_text('?', *live)),
            Self::Info(id) => format!("{PREFIX}info/{id}"),
            Self::Compare(compare) => format!("{PREFIX}compare/{}", compare.target()),
            Self::List(ListCall { after, limit }) => {
                let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
                format!("{PREFIX}images?limit={limit}{after}")
            }
            Self::Erasure(id) => format!("{PREFIX}erasure/{id}"),
            Self::Erase(EraseCall { id, record }) => format!("{PREFIX}erasure/{id}?record={record}"),
            Self::ErasureDigests(root) => format!("{PREFIX}erasures?digest={root:016x}"),
            Self::ErasurePage(page) => format!("{PREFIX}erasures/{}", page.target()),
            Self::Purge(id) => format!("{PREFIX}purge/{id}"),
            Self::BeginScrub | Self::Scrub => format!("{PREFIX}scrub"),
        }
    }

    /// Whether a body goes with it.
    pub const fn has_body(&self) -> bool {
        matches!(self, Self::Gossip | Self::Copy(_))
    }
}

impl ListCall {
    fn parse(query: &str) -> Option<Self> {
        let limit =
            parameter(query, "limit")?.parse().ok().filter(|limit| (1..=IMAGES_MAX).contains(limit))?;
        let after = match parameter(query, "after") {
            Some(id) => Some(ObjectId::parse(id).ok()?),
            None => None,
        };
        Some(Self { after, limit })
    }
}

impl StoredMetadata {
    /// The text of a metadata header.
    pub fn metadata(&self) -> String {
        let Self { format, length, uploaded } = self;
        format!("format={} length={length} uploaded={}", format.extension(), nanoseconds(*uploaded))
    }

    /// Reads [`StoredMetadata::metadata`].
    pub fn parse(metadata: PeerMetadata<'_>) -> Option<Self> {
        let extension = metadata.get("format")?;
        Some(Self {
            format: Format::ALL.into_iter().find(|format| format.extension() == extension)?,
            length: metadata.get("length")?.parse().ok()?,
            uploaded: read_time(metadata.get("uploaded")?)?,
        })
    }
}

/// The text of the metadata header of an answer to [`Call::Has`] and [`Call::Receipt`].
pub fn presence_metadata(said: LookupReply) -> String {
    match said {
        LookupReply::Present => "says=yes".to_owned(),
        LookupReply::Absent(Some(hash)) => format!("says=no synced={hash}"),
        LookupReply::Absent(None) => "says=no".to_owned(),
        LookupReply::Unknown => "says=nothing".to_owned(),
        LookupReply::Gone => "says=gone".to_owned(),
    }
}

/// Reads [`presence_metadata`]; whatever is none says nothing.
pub fn read_presence(metadata: PeerMetadata<'_>) -> LookupReply {
    match metadata.get("says") {
        Some("yes") => LookupReply::Present,
        Some("no") => LookupReply::Absent(metadata.get("synced").and_then(|hash| SyncHash::parse(hash).ok())),
        Some("gone") => LookupReply::Gone,
        _ => LookupReply::Unknown,
    }
}

/// The text of the metadata header of an answer to [`Call::Verified`].
pub fn verified_metadata(said: LookupReply, at: Option<SystemTime>) -> String {
    let at = at.map(|at| format!(" verified={}", nanoseconds(at))).unwrap_or_default();
    presence_metadata(said) + &at
}

/// Reads when the copy was verified from [`verified_metadata`]; `None` where the node does not know.
pub fn read_verified(metadata: PeerMetadata<'_>) -> Option<SystemTime> {
    read_time(metadata.get("verified")?)
}

/// The text of the metadata header of a refusal because a client asks too fast: when it may ask again.
pub fn retry_metadata(seconds: u64) -> String {
    format!("retry={seconds}")
}

/// Reads [`retry_metadata`]; one second without one.
pub fn read_retry(metadata: PeerMetadata<'_>) -> u64 {
    metadata.get("retry").and_then(|seconds| seconds.parse().ok()).unwrap_or(1)
}

/// The text of the metadata header of an answer to [`Call::Gossip`] of a node that is no member.
pub fn rejection_metadata(refusal: JoinRefusal) -> String {
    format!("refused={refusal}")
}

/// Reads [`rejection_metadata`]; `None` where the sender is not refused.
pub fn read_rejection(metadata: PeerMetadata<'_>) -> Option<JoinRefusal> {
    metadata.get("refused").and_then(JoinRefusal::parse)
}

/// Type and detail of a refusal's text; empty where there is none.
pub fn read_problem(text: &[u8]) -> (String, String) {
    let problem: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let field = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (field("type"), field("detail"))
}

/// The challenge that goes with a 401 of this cause.
pub fn challenge(reason: &str) -> String {
    format!("Reticulum-Peer error=\"{reason}\"")
}

/// The counter of a live image, as a parameter; none of one that was never deleted.
fn live_text(before: char, live: u64) -> String {
    if live == 0 { String::new() } else { format!("{before}live={live}") }
}

/// Reads [`live_text`].
fn read_live(query: &str) -> Option<u64> {
    let Some(text) = parameter(query, "live") else { return Some(0) };
    text.parse().ok().filter(|live| *live <= COUNTER_MAX)
}

/// Since 1970; a time before that is 1970.
pub(super) fn nanoseconds(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Nanoseconds since 1970, up to the year 9999: later ones cannot be printed as a date.
pub(super) fn read_time(text: &str) -> Option<SystemTime> {
    const END_S: u64 = 253_402_300_800;
    let nanoseconds: u128 = text.parse().ok()?;
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).ok().filter(|seconds| *seconds < END_S)?;
    let rest = u32::try_from(nanoseconds % 1_000_000_000).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::erasure::{ErasureRecord, Intent};

    fn id() -> ObjectId {
        ObjectId::from_digest([0xab; 20])
    }

    fn uploaded() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)
    }

    #[test]
    fn calls_print_what_they_parsed() {
        let copy = Copy { id: id(), uploaded: uploaded(), misplaced: false, live: 0 };
        let variant = |requester| {
            let recipe = "v2,jpg,100w100h,fill,g-c,q82".to_owned();
            let requester = Requester::parse(requester).unwrap();
            Call::Variant(VariantCall { id: id(), recipe, dimension_max: 8192, requester })
        };
        let calls = [
            Call::Gossip,
            Call::Image(id()),
            Call::Head(id()),
            Call::Copy(copy),
            Call::Copy(Copy { misplaced: true, ..copy }),
            Call::Copy(Copy { live: 7, ..copy }),
            variant("10.0.0.1"),
            variant("2001:db8:1:2::"),
            variant("background"),
            Call::Has(id()),
            Call::Verified(id()),
            Call::Receipt(id(), 0),
            Call::Receipt(id(), 7),
            Call::Erasure(id()),
            Call::Erase(EraseCall { id: id(), record: ErasureRecord::live(2).fulfil(Intent::Ban) }),
            Call::ErasureDigests(0x1234),
            Call::ErasurePage(PageCall { bucket: 0xab, after: None }),
            Call::ErasurePage(PageCall { bucket: 3, after: Some(id()) }),
            Call::Purge(id()),
            Call::BeginScrub,
            Call::Scrub,
            Call::Info(id()),
            Call::List(ListCall { after: None, limit: 1 }),
            Call::List(ListCall { after: Some(id()), limit: IMAGES_MAX }),
            Call::Compare(CompareCall::ExcessSlots),
        ];
        for call in calls {
            assert_eq!(Call::parse(call.method().as_str(), &call.target()), Some(call));
        }
    }

    #[test]
    fn other_lines_are_no_calls() {
        let id = id();
        for (method, target) in [
            ("GET", "/cluster/v1/gossip".to_owned()),
            ("GET", "/cluster/v1".to_owned()),
            ("GET", "/cluster/v2/has/00".to_owned()),
            ("GET", "/cluster/v1/has/00".to_owned()),
            ("GET", format!("/cluster/v1/has/{}", id.to_string().to_uppercase())),
            ("GET", format!("/cluster/v1/has/{id}/")),
            ("GET", format!("/cluster/v1/image/{id}/x")),
            ("PUT", format!("/cluster/v1/image/{id}")),
            ("PUT", format!("/cluster/v1/image/{id}?uploaded=-1")),
            ("PUT", format!("/cluster/v1/image/{id}?uploaded=253402300800000000000")),
            ("GET", format!("/cluster/v1/variant/{id}/v2")),
            ("GET", format!("/cluster/v1/variant/{id}?max=1&for=background")),
            ("GET", format!("/cluster/v1/variant/{id}/v2?max=1")),
            ("GET", format!("/cluster/v1/variant/{id}/v2?max=1&for=nobody")),
            ("GET", format!("/cluster/v1/variant/{id}/v2?for=background")),
            ("GET", "/cluster/v1/images".to_owned()),
            ("GET", "/cluster/v1/images?limit=0".to_owned()),
            ("GET", "/cluster/v1/images?limit=1001".to_owned()),
            ("GET", "/cluster/v1/images?limit=9&after=x".to_owned()),
            ("GET", "/cluster/v1/images/9?limit=9".to_owned()),
            ("GET", "/cluster/v1/compare".to_owned()),
            ("GET", "/cluster/v1/compare/excess/1".to_owned()),
            ("POST", HANDSHAKE_TARGET.to_owned()),
            ("GET", format!("/cluster/v1/receipt/{id}?live=-1")),
            ("GET", format!("/cluster/v1/receipt/{id}?live=999999999999999999")),
            ("PUT", format!("/cluster/v1/erasure/{id}")),
            ("PUT", format!("/cluster/v1/erasure/{id}?record=0d-0f")),
            ("GET", "/cluster/v1/erasures".to_owned()),
            ("GET", "/cluster/v1/erasures?digest=x".to_owned()),
            ("GET", "/cluster/v1/erasures/256".to_owned()),
            ("GET", "/cluster/v1/erasures/1?after=x".to_owned()),
            ("GET", format!("/cluster/v1/purge/{id}")),
            ("POST", format!("/cluster/v1/scrub/{id}")),
            ("PUT", "/cluster/v1/scrub".to_owned()),
        ] {
            assert_eq!(Call::parse(method, &target), None, "{method} {target}");
        }
    }

    #[test]
    fn what_a_node_says_comes_across() {
        let hash = SyncHash::parse("00112233445566778899aabbccddeeff").unwrap();
        for said in [
            LookupReply::Present,
            LookupReply::Absent(Some(hash)),
            LookupReply::Absent(None),
            LookupReply::Unknown,
            LookupReply::Gone,
        ] {
            assert_eq!(read_presence(PeerMetadata::new(&presence_metadata(said))), said);
        }
        assert_eq!(read_presence(PeerMetadata::new("")), LookupReply::Unknown);
        for at in [Some(uploaded()), None] {
            let metadata = verified_metadata(LookupReply::Present, at);
            let metadata = PeerMetadata::new(&metadata);
            assert_eq!((read_presence(metadata), read_verified(metadata)), (LookupReply::Present, at));
        }
        assert_eq!(
            read_rejection(PeerMetadata::new(&rejection_metadata(JoinRefusal::Full))),
            Some(JoinRefusal::Full)
        );
        assert_eq!(read_rejection(PeerMetadata::new("")), None);
        let stored = StoredMetadata { format: Format::Png, length: 7, uploaded: uploaded() };
        assert_eq!(StoredMetadata::parse(PeerMetadata::new(&stored.metadata())), Some(stored));
        assert_eq!(read_retry(PeerMetadata::new(&retry_metadata(7))), 7);
        assert_eq!(read_retry(PeerMetadata::new("retry=-1")), 1);
    }
}
