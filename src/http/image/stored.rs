//! The stored bytes of an image: from this node's disk, and where that has no good copy or takes its time, from another
//! node.

use std::pin::pin;
use std::rc::Rc;

use futures_lite::future;
use http::HeaderMap;
use sha1::{Digest, Sha1};

use super::{disk, fetched_bytes, ready};
use crate::cluster::rules::absence::Said;
use crate::http::body::{Body, Ended, Report};
use crate::http::conditional::{self, Range};
use crate::http::exchange::{Answer, Context};
use crate::http::reply::{self, Freshness, Problem, Representation};
use crate::object::{Format, ObjectId};
use crate::shard::Shard;
use crate::shard::afar::NotFound;
use crate::shard::afar::fetch::{Fetched, PATIENCE};
use crate::shard::hot::{self, Entry};
use crate::shard::message::{Opened, Verified};
use crate::store::StoreError;
use crate::store::originals::{Found, Original};
use crate::store::read::{CHUNK_BYTES, Reader};
use crate::telemetry::metrics::Cache;

/// Stored bytes up to this length are proven before the first one is sent; longer ones on the way.
const PROVEN_FIRST_BYTES: u64 = 1 << 20;

/// What is asked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    id: ObjectId,
    format: Format,
    freshness: Freshness,
    headers: &'a HeaderMap,
}

/// What this node's own disk gives.
enum Own {
    Answer(Box<Answer>),
    /// The image is stored, in another format.
    OtherFormat,
    Lacks(Lack),
}

/// This node has no good copy, or none that it can read now.
pub(super) struct Lack {
    /// What that is worth where absence is to be proven.
    said: Said,
    found: Result<Found, StoreError>,
}

/// Why a copy that is here was not read to its end.
pub(in crate::http) enum Unread {
    /// Its bytes are wrong.
    Damaged,
    /// The disk could not read them.
    Store(StoreError),
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Lack {
    pub(super) fn of(shard: &Shard, found: Result<Found, StoreError>) -> Self {
        Self { said: shard.said_here(&found), found }
    }

    /// What it comes to where nobody else can be asked.
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
) -> Result<Option<Answer>, Problem> {
    let shard = &context.shard;
    let wanted = Wanted { id, format, freshness, headers };
    if shard.is_whole_cluster() {
        return match own(context, wanted).await? {
            Own::Answer(answer) => Ok(Some(*answer)),
            Own::OtherFormat => Ok(None),
            Own::Lacks(lack) => Err(lack.problem()),
        };
    }
    let mut own = pin!(own(context, wanted));
    let patience = async {
        // A node that belongs to no cluster has nobody to ask beside its disk.
        if !shard.has_peers() {
            future::pending::<()>().await;
        }
        glommio::timer::sleep(PATIENCE).await;
        None
    };
    let lack = match future::or(async { Some(own.as_mut().await) }, patience).await {
        Some(Ok(Own::Answer(answer))) => return Ok(Some(*answer)),
        Some(Ok(Own::OtherFormat)) => return Ok(None),
        Some(Ok(Own::Lacks(lack))) => lack,
        Some(Err(problem)) => return Err(problem),
        // The disk takes its time: another node is asked too, and the first that gives is taken.
        None => match beside(context, wanted, own.as_mut()).await? {
            Own::Answer(answer) => return Ok(Some(*answer)),
            Own::OtherFormat => return Ok(None),
            Own::Lacks(lack) => lack,
        },
    };
    let fetched = shard.fetch(id, lack.said).await?;
    shard.note_lack(id);
    Ok(given(context, wanted, fetched))
}

/// The first of a node that is asked and of this one's own disk that gives the image. `Lacks`: the disk has said at
/// last that it has none, without which nothing could be told of the others' answers.
async fn beside<F>(
    context: &Context,
    wanted: Wanted<'_>,
    mut own: std::pin::Pin<&mut F>,
) -> Result<Own, Problem>
where
    F: Future<Output = Result<Own, Problem>>,
{
    enum First {
        Own(Result<Own, Problem>),
        Fetched(Result<Fetched, NotFound>),
    }
    let mut fetched = pin!(context.shard.fetch(wanted.id, Said::Nothing));
    let own_first = async { First::Own(own.as_mut().await) };
    let first = future::or(own_first, async { First::Fetched(fetched.as_mut().await) }).await;
    match first {
        First::Own(Ok(Own::Lacks(lack))) => match fetched.await {
            Ok(fetched) => Ok(of_other(given(context, wanted, fetched))),
            Err(_) => Ok(Own::Lacks(lack)),
        },
        First::Own(answered) => answered,
        First::Fetched(Ok(fetched)) => Ok(of_other(given(context, wanted, fetched))),
        First::Fetched(Err(_)) => own.await,
    }
}

fn of_other(given: Option<Answer>) -> Own {
    given.map_or(Own::OtherFormat, |answer| Own::Answer(Box::new(answer)))
}

fn given(context: &Context, wanted: Wanted<'_>, fetched: Fetched) -> Option<Answer> {
    let Wanted { id, format, freshness, headers } = wanted;
    (fetched.stored.format == format).then(|| fetched_bytes(context, id, fetched, freshness, headers))
}

/// From this node's disk. Whatever is wrong with its copy is told of, and no answer by itself.
async fn own(context: &Context, wanted: Wanted<'_>) -> Result<Own, Problem> {
    let Wanted { id, format, .. } = wanted;
    let shard = &context.shard;
    let found = shard.find(id).await?;
    let Ok(Found::Here(original)) = found else { return Ok(Own::Lacks(Lack::of(shard, found))) };
    if original.format != format {
        return Ok(Own::OtherFormat);
    }
    let lack = |found: Result<Found, StoreError>| Ok(Own::Lacks(Lack::of(shard, found)));
    let (file, original, verified) = match shard.open(id).await? {
        Ok(Opened::Here(file, original, verified)) => (file, original, verified),
        Ok(Opened::Absent) => return lack(Ok(Found::Absent)),
        Ok(Opened::Damaged) => return lack(Ok(Found::Damaged)),
        Err(error) => return lack(Err(error)),
    };
    // It was replaced by one of another name since it was found.
    if original.format != format {
        return Ok(Own::OtherFormat);
    }
    match read(context, wanted, Reader::new(file, original.length), &original, verified).await {
        Ok(answer) => Ok(Own::Answer(Box::new(answer))),
        Err(Unread::Damaged) => lack(Ok(Found::Damaged)),
        Err(Unread::Store(error)) => {
            let again = error.again();
            shard.unreadable(id, error).await;
            lack(Err(again))
        }
    }
}

async fn read(
    context: &Context,
    wanted: Wanted<'_>,
    reader: Reader,
    original: &Original,
    verified: bool,
) -> Result<Answer, Unread> {
    let Wanted { id, freshness, headers, .. } = wanted;
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
        let bytes = charge.hold(proven(context, id, original, &reader, verified).await?);
        let entry = Entry::new(bytes, original.format, &etag, original.modified);
        context.shard.keep_hot(hot::stored_key(id, original.format), &entry);
        return Ok(ready(&entry, freshness, headers, Cache::Disk));
    }
    let report = report(context, id, original);
    let response = if !verified && is_long && range == Range::Whole {
        let body = Body::proving(reader, id, report).begun(&context.shard.node.bodies).await?;
        reply::representation(&about, range, |_, _| body)
    } else {
        if !verified {
            let right = reader.digest().await? == id;
            told(context, id, original, right).await?;
        }
        disk(context, &about, range, reader, Some(report)).await?
    };
    Ok(Answer { cache: Cache::Disk, ..response.into() })
}

/// The whole file in memory, its hash checked unless it is known to be right.
async fn proven(
    context: &Context,
    id: ObjectId,
    original: &Original,
    reader: &Reader,
    verified: bool,
) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::with_capacity(usize::try_from(reader.length()).unwrap_or(0));
    while (bytes.len() as u64) < reader.length() {
        bytes.extend_from_slice(&reader.read(bytes.len() as u64, CHUNK_BYTES).await?);
    }
    if !verified {
        let right = ObjectId::from_digest(Sha1::digest(&bytes).into()) == id;
        told(context, id, original, right).await?;
    }
    Ok(bytes)
}

/// The whole of a stored image as a body that never ends with wrong bytes.
pub(in crate::http) async fn whole(
    context: &Context,
    id: ObjectId,
    original: &Original,
    reader: Reader,
    verified: bool,
) -> Result<Body, Problem> {
    let bodies = &context.shard.node.bodies;
    let body = async {
        let is_long = original.length > PROVEN_FIRST_BYTES;
        let charge = if is_long { None } else { bodies.reserve(original.length) };
        if let Some(charge) = charge {
            let bytes = proven(context, id, original, &reader, verified).await?;
            return Ok(Body::bytes(charge.hold(bytes)));
        }
        let report = report(context, id, original);
        if !verified && is_long {
            return Ok(Body::proving(reader, id, report).begun(bodies).await?);
        }
        if !verified {
            let right = reader.digest().await? == id;
            told(context, id, original, right).await?;
        }
        Ok(Body::image(reader, 0, original.length, report).begun(bodies).await?)
    };
    match body.await {
        Ok(body) => Ok(body),
        Err(Unread::Damaged) => Err(Problem::Damaged),
        Err(Unread::Store(error)) => {
            let problem = Problem::of_store(&error);
            context.shard.unreadable(id, error).await;
            Err(problem)
        }
    }
}

/// The bytes of this file are wrong.
pub(in crate::http) async fn condemn(context: &Context, id: ObjectId, original: &Original) {
    // What is to be answered is known already.
    let _ = told(context, id, original, false).await;
}

async fn told(context: &Context, id: ObjectId, original: &Original, right: bool) -> Result<(), Unread> {
    let verified = Verified { id, format: original.format, stamp: original.stamp, right };
    context.shard.verified(verified).await;
    if right { Ok(()) } else { Err(Unread::Damaged) }
}

fn report(context: &Context, id: ObjectId, original: &Original) -> Report {
    let shard = Rc::clone(&context.shard);
    let (format, stamp) = (original.format, original.stamp);
    Box::new(move |ended| {
        let telling = Rc::clone(&shard);
        let tell = async move {
            match ended {
                Ended::Right => telling.verified(Verified { id, format, stamp, right: true }).await,
                Ended::Wrong => telling.verified(Verified { id, format, stamp, right: false }).await,
                Ended::Unreadable(error) => telling.unreadable(id, error).await,
            }
        };
        shard.spawn(tell);
    })
}
