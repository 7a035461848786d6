//! The stored bytes of an image: from this node's disk, and where that has no good copy or takes its time, from another
//! node.

use std::pin::pin;
use std::rc::Rc;

use futures_lite::future;
use http::HeaderMap;
use sha1::{Digest, Sha1};

use super::{ready, respond_from_disk, respond_from_peer};
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::http::body::{Body, EndReport, ReadEnd};
use crate::http::conditional::{self, Range};
use crate::http::exchange::{Context, HandlerResponse};
use crate::http::reply::{self, Freshness, Problem, Representation};
use crate::object::{Format, ObjectId};
use crate::shard::Shard;
use crate::shard::cache::{self, CachedResponse};
use crate::shard::message::{Opened, Verified};
use crate::shard::service::NotFound;
use crate::shard::service::read::{Fetched, PATIENCE};
use crate::store::StoreError;
use crate::store::originals::{Found, Original};
use crate::store::read::{CHUNK_BYTES, FileReader};
use crate::telemetry::metrics::Cache;

/// Stored bytes up to this length are proven before the first one is sent; longer ones on the way.
const PROVEN_FIRST_BYTES: u64 = 1 << 20;

/// A request for stored bytes.
#[derive(Clone, Copy)]
struct StoredRequest<'a> {
    id: ObjectId,
    format: Format,
    freshness: Freshness,
    headers: &'a HeaderMap,
}

/// The result of this node's own disk.
enum OwnDisk {
    Answer(Box<HandlerResponse>),
    /// The image is stored, in another format.
    OtherFormat,
    Lacks(Lack),
}

/// This node has no good copy, or none that it can read now.
pub(super) struct Lack {
    /// Its worth where absence is to be proven.
    said: LookupReply,
    found: Result<Found, StoreError>,
}

/// Why a copy that is here was not read to its end.
pub(in crate::http) enum ReadError {
    /// Its bytes are wrong.
    Damaged,
    /// The disk could not read them.
    Store(StoreError),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Lack {
    pub(super) fn of(shard: &Shard, found: Result<Found, StoreError>) -> Self {
        Self { said: shard.said_here(&found), found }
    }

    /// The answer where no other node can be asked.
    pub(super) fn problem(self) -> Problem {
        match self.found {
            Ok(Found::Here(_) | Found::Absent) => Problem::Absent,
            Ok(Found::Damaged) => Problem::Damaged,
            Err(error) => error.into(),
        }
    }
}

/// The stored bytes, from here or from another node; `None` where they are of another format.
pub(super) async fn answer(
    context: &Context,
    id: ObjectId,
    format: Format,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<Option<HandlerResponse>, Problem> {
    let shard = &context.shard;
    let wanted = StoredRequest { id, format, freshness, headers };
    if shard.is_whole_cluster() {
        return match read_own_disk(context, wanted).await? {
            OwnDisk::Answer(answer) => Ok(Some(*answer)),
            OwnDisk::OtherFormat => Ok(None),
            OwnDisk::Lacks(lack) => Err(lack.problem()),
        };
    }
    let mut own = pin!(read_own_disk(context, wanted));
    let patience = async {
        // A node without a cluster has no peer to ask beside its disk.
        if !shard.has_peers() {
            future::pending::<()>().await;
        }
        glommio::timer::sleep(PATIENCE).await;
        None
    };
    let lack = match future::or(async { Some(own.as_mut().await) }, patience).await {
        Some(Ok(OwnDisk::Answer(answer))) => return Ok(Some(*answer)),
        Some(Ok(OwnDisk::OtherFormat)) => return Ok(None),
        Some(Ok(OwnDisk::Lacks(lack))) => lack,
        Some(Err(problem)) => return Err(problem),
        // The disk takes its time: another node is asked too, and the first that gives is taken.
        None => match race_disk_and_peers(context, wanted, own.as_mut()).await? {
            OwnDisk::Answer(answer) => return Ok(Some(*answer)),
            OwnDisk::OtherFormat => return Ok(None),
            OwnDisk::Lacks(lack) => lack,
        },
    };
    let fetched = shard.fetch(id, lack.said).await?;
    shard.note_lack(id);
    Ok(respond_if_format(context, wanted, fetched))
}

/// The first of a node that is asked and of this one's own disk that gives the image. `Lacks`: the disk has said at
/// last that it has none, without which nothing could be told of the others' answers.
async fn race_disk_and_peers<F>(
    context: &Context,
    wanted: StoredRequest<'_>,
    mut own: std::pin::Pin<&mut F>,
) -> Result<OwnDisk, Problem>
where
    F: Future<Output = Result<OwnDisk, Problem>>,
{
    enum FirstAnswer {
        Own(Result<OwnDisk, Problem>),
        Fetched(Result<Fetched, NotFound>),
    }
    let mut fetched = pin!(context.shard.fetch(wanted.id, LookupReply::Unknown));
    let own_first = async { FirstAnswer::Own(own.as_mut().await) };
    let first = future::or(own_first, async { FirstAnswer::Fetched(fetched.as_mut().await) }).await;
    match first {
        FirstAnswer::Own(Ok(OwnDisk::Lacks(lack))) => match fetched.await {
            Ok(fetched) => Ok(of_other(respond_if_format(context, wanted, fetched))),
            Err(_) => Ok(OwnDisk::Lacks(lack)),
        },
        FirstAnswer::Own(answered) => answered,
        FirstAnswer::Fetched(Ok(fetched)) => Ok(of_other(respond_if_format(context, wanted, fetched))),
        FirstAnswer::Fetched(Err(_)) => own.await,
    }
}

fn of_other(given: Option<HandlerResponse>) -> OwnDisk {
    given.map_or(OwnDisk::OtherFormat, |answer| OwnDisk::Answer(Box::new(answer)))
}

fn respond_if_format(
    context: &Context,
    wanted: StoredRequest<'_>,
    fetched: Fetched,
) -> Option<HandlerResponse> {
    let StoredRequest { id, format, freshness, headers } = wanted;
    (fetched.stored.format == format).then(|| respond_from_peer(context, id, fetched, freshness, headers))
}

/// Reads this node's disk. A bad copy is reported and is no answer by itself.
async fn read_own_disk(context: &Context, wanted: StoredRequest<'_>) -> Result<OwnDisk, Problem> {
    let StoredRequest { id, format, .. } = wanted;
    let shard = &context.shard;
    let found = shard.find(id).await?;
    let Ok(Found::Here(original)) = found else { return Ok(OwnDisk::Lacks(Lack::of(shard, found))) };
    if original.format != format {
        return Ok(OwnDisk::OtherFormat);
    }
    let lack = |found: Result<Found, StoreError>| Ok(OwnDisk::Lacks(Lack::of(shard, found)));
    let (file, original, verified) = match shard.open(id).await? {
        Ok(Opened::Here(file, original, verified)) => (file, original, verified),
        Ok(Opened::Absent) => return lack(Ok(Found::Absent)),
        Ok(Opened::Damaged) => return lack(Ok(Found::Damaged)),
        Err(error) => return lack(Err(error)),
    };
    // It was replaced by one of another name since it was found.
    if original.format != format {
        return Ok(OwnDisk::OtherFormat);
    }
    match read(context, wanted, FileReader::new(file, original.length), &original, verified).await {
        Ok(answer) => Ok(OwnDisk::Answer(Box::new(answer))),
        Err(ReadError::Damaged) => lack(Ok(Found::Damaged)),
        Err(ReadError::Store(error)) => {
            let again = error.again();
            shard.unreadable(id, error).await;
            lack(Err(again))
        }
    }
}

async fn read(
    context: &Context,
    wanted: StoredRequest<'_>,
    reader: FileReader,
    original: &Original,
    verified: bool,
) -> Result<HandlerResponse, ReadError> {
    let StoredRequest { id, freshness, headers, .. } = wanted;
    let etag = format!("\"{id}\"");
    if conditional::is_fresh(headers, &etag, Some(original.modified)) {
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let about = Representation {
        media_type: original.format.media_type(),
        length: original.length,
        etag: &etag,
        modified: original.modified,
        freshness,
        cache: Cache::Disk,
    };
    let range = conditional::range(headers, original.length, &etag, original.modified);
    let is_long = original.length > PROVEN_FIRST_BYTES;
    // Without room in memory it is proven first all the same, and sent from the file.
    let charge = if is_long { None } else { context.shard.node.bodies.reserve(original.length) };
    if let Some(charge) = charge {
        let bytes = charge.hold(read_verified(context, id, original, &reader, verified).await?);
        let entry = CachedResponse::new(bytes, original.format, &etag, original.modified);
        context.shard.insert_cached(cache::stored_key(id, original.format), &entry);
        return Ok(ready(&entry, freshness, headers, Cache::Disk));
    }
    let report = report_when_read(context, id, original);
    let response = if !verified && is_long && range == Range::Whole {
        let body = Body::verifying(reader, id, report).start(&context.shard.node.bodies).await?;
        reply::representation(&about, range, |_, _| body)
    } else {
        if !verified {
            let right = reader.verify(id, |_| ()).await?;
            report_verification(context, id, original, right).await?;
        }
        respond_from_disk(context, &about, range, reader, Some(report)).await?
    };
    Ok(HandlerResponse { cache: Cache::Disk, ..response.into() })
}

/// The whole file in memory, its hash checked unless it is known to be right.
async fn read_verified(
    context: &Context,
    id: ObjectId,
    original: &Original,
    reader: &FileReader,
    verified: bool,
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::with_capacity(usize::try_from(reader.length()).unwrap_or(0));
    while (bytes.len() as u64) < reader.length() {
        bytes.extend_from_slice(&reader.read(bytes.len() as u64, CHUNK_BYTES).await?);
    }
    if !verified {
        let right = ObjectId::from_digest(Sha1::digest(&bytes).into()) == id;
        report_verification(context, id, original, right).await?;
    }
    Ok(bytes)
}

/// The whole of a stored image as a body that never ends with wrong bytes.
pub(in crate::http) async fn open_body(
    context: &Context,
    id: ObjectId,
    original: &Original,
    reader: FileReader,
    verified: bool,
) -> Result<Body, Problem> {
    let bodies = &context.shard.node.bodies;
    let body = async {
        let is_long = original.length > PROVEN_FIRST_BYTES;
        let charge = if is_long { None } else { bodies.reserve(original.length) };
        if let Some(charge) = charge {
            let bytes = read_verified(context, id, original, &reader, verified).await?;
            return Ok(Body::bytes(charge.hold(bytes)));
        }
        let report = report_when_read(context, id, original);
        if !verified && is_long {
            return Ok(Body::verifying(reader, id, report).start(bodies).await?);
        }
        if !verified {
            let right = reader.verify(id, |_| ()).await?;
            report_verification(context, id, original, right).await?;
        }
        Ok(Body::image(reader, 0, original.length, report).start(bodies).await?)
    };
    match body.await {
        Ok(body) => Ok(body),
        Err(ReadError::Damaged) => Err(Problem::Damaged),
        Err(ReadError::Store(error)) => {
            let problem = Problem::of_store(&error);
            context.shard.unreadable(id, error).await;
            Err(problem)
        }
    }
}

/// The bytes of this file are wrong.
pub(in crate::http) async fn quarantine(context: &Context, id: ObjectId, original: &Original) {
    // The answer is known already.
    let _ = report_verification(context, id, original, false).await;
}

async fn report_verification(
    context: &Context,
    id: ObjectId,
    original: &Original,
    right: bool,
) -> Result<(), ReadError> {
    let verified = Verified { id, format: original.format, stamp: original.stamp, right };
    context.shard.verified(verified).await;
    if right { Ok(()) } else { Err(ReadError::Damaged) }
}

fn report_when_read(context: &Context, id: ObjectId, original: &Original) -> EndReport {
    let shard = Rc::clone(&context.shard);
    let (format, stamp) = (original.format, original.stamp);
    Box::new(move |ended| {
        let telling = Rc::clone(&shard);
        let tell = async move {
            match ended {
                ReadEnd::Right => telling.verified(Verified { id, format, stamp, right: true }).await,
                ReadEnd::Wrong => telling.verified(Verified { id, format, stamp, right: false }).await,
                ReadEnd::Unreadable(error) => telling.unreadable(id, error).await,
            }
        };
        shard.spawn(tell);
    })
}
