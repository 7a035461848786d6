//! `GET|HEAD /image/{id}/{spec}/{name}.{ext}`: the stored bytes or a variant.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, Response};
use sha1::{Digest, Sha1};

use super::access::sign::UrlRefusal;
use super::body::{Body, Chunk};
use super::conditional::{self, Range};
use super::endpoint::ImageRequest;
use super::exchange::{Answer, Context};
use super::front::Hit;
use super::reply::{self, Freshness, Problem, Representation};
use super::{info, negotiate};
use crate::image::geometry::{self, Size};
use crate::image::header::Header;
use crate::image::recipe::Recipe;
use crate::object::{Extension, Format, ObjectId};
use crate::peer::body::Stream;
use crate::peer::call::Stored;
use crate::peer::requester::Requester;
use crate::shard::afar::NotFound;
use crate::shard::afar::fetch::{Fetched, FetchedBody};
use crate::shard::afar::variant::{Anywhere, AnywhereError};
use crate::shard::bodies::Charge;
use crate::shard::hot::{self, Entry, HotKey};
use crate::shard::message::{Opened, VariantAsk, Verified};
use crate::shard::spent::Spent;
use crate::shard::variant::{Variant, VariantBody, VariantError, etag};
use crate::store::StoreError;
use crate::store::originals::{Described, Found, Original};
use crate::store::read::{CHUNK_BYTES, Reader};
use crate::telemetry::metrics::Cache;

/// Stored bytes up to this length are proven before the first one is sent; longer ones on the way.
const PROVEN_FIRST_BYTES: u64 = 1 << 20;

pub(super) async fn answer(context: &Context, wanted: &ImageRequest, headers: &HeaderMap) -> Answer {
    let answered = match format(context, wanted, headers).await {
        Ok(format) => image(context, wanted, format, headers).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(Answer::from)
}

/// The output format, if this version makes what is asked.
async fn format(context: &Context, wanted: &ImageRequest, headers: &HeaderMap) -> Result<Format, Problem> {
    match wanted.extension {
        Extension::Format(format) => Ok(format),
        // What the image is like does not matter then, so nobody is asked.
        Extension::Auto
            if !wanted.spec.is_full_plain()
                && negotiate::names(headers, Format::Webp)
                && !negotiate::names(headers, Format::Avif)
                && fits(context, wanted, Format::Webp, None) =>
        {
            Ok(Format::Webp)
        }
        Extension::Auto => {
            let source = info::source(context, wanted.id).await?;
            let fits = |format| fits(context, wanted, format, Some(source.displayed));
            Ok(if wanted.spec.is_full_plain() {
                negotiate::of_full(headers, source, fits)
            } else {
                negotiate::of_variant(headers, source, fits)
            })
        }
    }
}

/// Whether a result in this format is within its bound on pixels, for an image of this size or, without one, for any.
fn fits(context: &Context, wanted: &ImageRequest, format: Format, displayed: Option<Size>) -> bool {
    // What is wrong with a recipe is told where it is made.
    Recipe::resolve(&wanted.spec, format, &context.settings.recipe).is_ok_and(|recipe| {
        recipe.is_surely_within_pixels_max()
            || displayed.is_some_and(|size| geometry::is_within_output(size, &recipe))
    })
}

/// A stored image's facts, or why there are none.
pub(super) fn described(described: Described) -> Result<(Original, Header), Problem> {
    match described {
        Described::Here(original, header) => Ok((original, header)),
        Described::Absent => Err(Problem::Absent),
        Described::Damaged(_) => Err(Problem::Damaged),
        Described::Refused(error) => Err(Problem::CannotMake(error.to_string())),
    }
}

async fn image(
    context: &Context,
    wanted: &ImageRequest,
    format: Format,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    let id = wanted.id;
    // A bad recipe is the caller's fault whether the image exists or not.
    let recipe = Recipe::resolve(&wanted.spec, format, &context.settings.recipe)
        .map_err(|error| Problem::BadSpec(error.to_string()))?;
    if wanted.spec.is_full_plain() {
        let key = hot::stored_key(id, format);
        if let Some(entry) = context.shard.hot(&key) {
            return Ok(hit(key, entry, wanted.freshness(), headers));
        }
        if let Some(answer) = stored_as(context, id, format, wanted.freshness(), headers).await? {
            return Ok(answer);
        }
        // Whoever may ask for the stored bytes may try every extension, so that this tells nothing.
        if wanted.stored_only {
            return Err(Problem::Url(UrlRefusal::Unsigned));
        }
        if context.settings.only_presets && !wanted.by_preset {
            return Err(Problem::OnlyPresets);
        }
    }
    variant(context, id, recipe, wanted.freshness(), headers).await
}

impl ImageRequest {
    /// What the URL shows never changes, unless the configuration says what that is.
    const fn freshness(&self) -> Freshness {
        if self.by_preset { Freshness::Day } else { Freshness::ForEver }
    }
}

async fn variant(
    context: &Context,
    id: ObjectId,
    recipe: Recipe,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    let key = recipe.etag_key(&id);
    if let Some(entry) = context.shard.hot(&(id, key)) {
        return Ok(hit((id, key), entry, freshness, headers));
    }
    let etag = etag(&key);
    if conditional::matches_etag(headers, &etag) {
        exists(context, id).await?;
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let media_type = recipe.format.media_type();
    let requester = Requester::Client(context.client(headers));
    let mut spent = Spent::default();
    let (source, length, modified, cache) =
        match context.shard.variant_anywhere(VariantAsk { id, recipe, key, requester }).await? {
            Anywhere::Here(Variant { body: VariantBody::Ready(entry), cache, spent }) => {
                context.shard.keep_hot((id, key), &entry);
                return Ok(Answer { spent, ..ready(&entry, freshness, headers, cache) });
            }
            Anywhere::Ready(entry, cache) => {
                context.shard.keep_hot((id, key), &entry);
                return Ok(ready(&entry, freshness, headers, cache));
            }
            Anywhere::Here(Variant { body: VariantBody::File(file), cache, spent: steps }) => {
                spent = steps;
                (Source::File(file.file, file.charge), file.length, file.modified, cache)
            }
            Anywhere::Stream(Stored { length, uploaded, .. }, stream) => {
                (Source::Stream(stream), length, uploaded, Cache::Peer)
            }
        };
    if conditional::is_fresh(headers, &etag, Some(modified)) {
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let about = Representation { media_type, length, etag: &etag, modified, freshness, cache };
    let range = conditional::range(headers, length, &etag, modified);
    let response = match source {
        Source::File(file, charge) => {
            let response = disk(context, &about, range, Reader::new(file, length)).await?;
            response.map(|body| body.charged(charge))
        }
        Source::Stream(stream) => {
            reply::representation(&about, range, |start, end| Body::peer(stream, start, end))
        }
    };
    Ok(Answer { cache, spent, ..response.into() })
}

/// Where a long variant comes from.
enum Source {
    File(OwnedFd, Option<Arc<Charge>>),
    Stream(Box<Stream>),
}

/// Whether the image is anywhere.
async fn exists(context: &Context, id: ObjectId) -> Result<(), Problem> {
    let shard = &context.shard;
    match shard.find(id).await? {
        Ok(Found::Here(_)) => Ok(()),
        found if !shard.is_whole_cluster() => Ok(shard.exists_afar(id, shard.said_here(&found)).await?),
        found => Err(not_here(found)),
    }
}

/// An answer that was in memory.
fn hit(key: HotKey, entry: Arc<Entry>, freshness: Freshness, headers: &HeaderMap) -> Answer {
    let answer = ready(&entry, freshness, headers, Cache::Memory);
    Answer { hit: Some(Hit { key, entry, freshness }), ..answer }
}

/// An answer that is in memory.
fn ready(entry: &Entry, freshness: Freshness, headers: &HeaderMap, cache: Cache) -> Answer {
    // The tag was made of hex digits.
    let etag = str::from_utf8(&entry.etag).unwrap_or_default();
    if conditional::is_fresh(headers, etag, Some(entry.modified)) {
        return reply::not_modified(etag, freshness).into();
    }
    let length = entry.bytes.len() as u64;
    let range = conditional::range(headers, length, etag, entry.modified);
    Answer { cache, ..reply::ready(entry, range, freshness, cache).into() }
}

/// The stored bytes, from here or from another node; `None` where they are of another format.
async fn stored_as(
    context: &Context,
    id: ObjectId,
    format: Format,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<Option<Answer>, Problem> {
    let shard = &context.shard;
    let mut found = shard.find(id).await?;
    if let Ok(Found::Here(original)) = &found {
        if original.format != format {
            return Ok(None);
        }
        match stored(context, id, freshness, headers).await {
            // What was wrong is set aside; another node may have a copy that is right.
            Err(Problem::Damaged) if !shard.is_whole_cluster() => found = Ok(Found::Damaged),
            answered => return answered.map(Some),
        }
    }
    if shard.is_whole_cluster() {
        return Err(not_here(found));
    }
    let fetched = shard.fetch(id, shard.said_here(&found)).await?;
    Ok((fetched.stored.format == format).then(|| fetched_bytes(context, id, fetched, freshness, headers)))
}

/// Why a node that is alone does not give an image.
fn not_here(found: Result<Found, StoreError>) -> Problem {
    match found {
        Ok(Found::Here(_) | Found::Absent) => Problem::Absent,
        Ok(Found::Damaged) => Problem::Damaged,
        Err(error) => error.into(),
    }
}

/// The answer with what another node gives.
fn fetched_bytes(
    context: &Context,
    id: ObjectId,
    fetched: Fetched,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Answer {
    let Fetched { stored: Stored { format, length, uploaded }, body } = fetched;
    let etag = format!("\"{id}\"");
    let stream = match body {
        FetchedBody::Whole(bytes) => {
            let entry = Entry::new(bytes, format, &etag, uploaded);
            context.shard.keep_hot(hot::stored_key(id, format), &entry);
            return ready(&entry, freshness, headers, Cache::Peer);
        }
        FetchedBody::Stream(stream) => stream,
    };
    if conditional::is_fresh(headers, &etag, Some(uploaded)) {
        return reply::not_modified(&etag, freshness).into();
    }
    let cache = Cache::Peer;
    let media_type = format.media_type();
    let about = Representation { media_type, length, etag: &etag, modified: uploaded, freshness, cache };
    let range = conditional::range(headers, length, &etag, uploaded);
    let response = reply::representation(&about, range, |start, end| Body::peer(stream, start, end));
    Answer { cache, ..response.into() }
}

async fn stored(
    context: &Context,
    id: ObjectId,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    let etag = format!("\"{id}\"");
    let (file, original, verified) = match context.shard.open(id).await?? {
        Opened::Here(file, original, verified) => (file, original, verified),
        Opened::Absent => return Err(Problem::Absent),
        Opened::Damaged => return Err(Problem::Damaged),
    };
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
    let reader = Reader::new(file, original.length);
    let is_long = original.length > PROVEN_FIRST_BYTES;
    // Without room in memory it is proven first all the same, and sent from the file.
    let charge = if is_long { None } else { context.shard.node.bodies.reserve(original.length) };
    let response = if let Some(charge) = charge {
        let bytes = charge.hold(proven(context, id, &original, &reader, verified).await?);
        let entry = Entry::new(bytes, original.format, &etag, original.modified);
        context.shard.keep_hot(hot::stored_key(id, original.format), &entry);
        return Ok(ready(&entry, freshness, headers, Cache::Disk));
    } else if verified {
        disk(context, &about, range, reader).await?
    } else if is_long && range == Range::Whole {
        let report = report(context, id, &original);
        reply::representation(&about, range, |_, _| Body::proving(reader, id, report))
    } else {
        let right = reader.digest().await? == id;
        told(context, id, &original, right).await?;
        disk(context, &about, range, reader).await?
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
) -> Result<Vec<u8>, Problem> {
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

/// A stored image's file; `None` where there is none, or none that is good.
pub(super) async fn opened(
    context: &Context,
    id: ObjectId,
) -> Result<Option<(Original, Reader, bool)>, Problem> {
    Ok(match context.shard.open(id).await?? {
        Opened::Here(file, original, verified) => {
            Some((original, Reader::new(file, original.length), verified))
        }
        Opened::Absent | Opened::Damaged => None,
    })
}

/// The whole of a stored image as a body that never ends with wrong bytes.
pub(super) async fn whole(
    context: &Context,
    id: ObjectId,
    original: &Original,
    reader: Reader,
    verified: bool,
) -> Result<Body, Problem> {
    let is_long = original.length > PROVEN_FIRST_BYTES;
    let charge = if is_long { None } else { context.shard.node.bodies.reserve(original.length) };
    Ok(if let Some(charge) = charge {
        Body::bytes(charge.hold(proven(context, id, original, &reader, verified).await?))
    } else if verified {
        Body::file(reader, 0, original.length)
    } else if !is_long {
        let right = reader.digest().await? == id;
        told(context, id, original, right).await?;
        Body::file(reader, 0, original.length)
    } else {
        Body::proving(reader, id, report(context, id, original))
    })
}

/// The bytes of this file are wrong.
pub(super) async fn condemn(context: &Context, id: ObjectId, original: &Original) {
    // What is to be answered is known already.
    let _ = told(context, id, original, false).await;
}

async fn told(context: &Context, id: ObjectId, original: &Original, right: bool) -> Result<(), Problem> {
    let verified = Verified { id, format: original.format, stamp: original.stamp, right };
    context.shard.verified(verified).await;
    if right { Ok(()) } else { Err(Problem::Damaged) }
}

fn report(context: &Context, id: ObjectId, original: &Original) -> Box<dyn FnOnce(bool)> {
    let shard = Rc::clone(&context.shard);
    let (format, stamp) = (original.format, original.stamp);
    Box::new(move |right| {
        let telling = Rc::clone(&shard);
        let tell = async move { telling.verified(Verified { id, format, stamp, right }).await };
        shard.spawn(tell);
    })
}

/// A short part is read before the answer's head, so that both leave together.
async fn disk(
    context: &Context,
    about: &Representation<'_>,
    range: Range,
    reader: Reader,
) -> Result<Response<Body>, Problem> {
    let (start, end) = match range {
        Range::Whole => (0, reader.length()),
        Range::Part { start, end } => (start, end),
        Range::Outside => return Ok(Problem::OutsideRange(reader.length()).into()),
    };
    if end - start <= CHUNK_BYTES
        && let Some(charge) = context.shard.node.bodies.reserve(end - start)
    {
        let read = reader.read(start, end - start).await?;
        if read.len() as u64 == end - start {
            return Ok(reply::representation(about, range, |_, _| Body::chunk(Chunk::read(read, charge))));
        }
    }
    Ok(reply::representation(about, range, |start, end| Body::file(reader, start, end)))
}

/// What a client is told when there is no variant.
pub(super) fn problem(error: VariantError) -> Problem {
    match error {
        VariantError::Absent => Problem::Absent,
        VariantError::Damaged => Problem::Damaged,
        VariantError::Busy | VariantError::GaveWay => Problem::Busy("variants being made"),
        VariantError::TooFast(too_fast) => Problem::TooFast(too_fast),
        VariantError::Deadline => Problem::Deadline,
        VariantError::TooSlow(left) => Problem::TooSlow(left.as_secs() + 1),
        VariantError::Fault(fault) => Problem::CannotMake(fault.to_string()),
        VariantError::Elsewhere(sentence) => Problem::CannotMake(sentence),
        VariantError::Panicked => Problem::CannotMake(
            "The image cannot be decoded; upload it again from an intact file.".to_owned(),
        ),
        VariantError::NoDescriptor => Problem::no_descriptor(),
        VariantError::Disk(error) => {
            log::error!(error:% = error; "cannot read an image");
            Problem::Disk
        }
    }
}

impl From<AnywhereError> for Problem {
    fn from(error: AnywhereError) -> Self {
        match error {
            AnywhereError::Ask(error) => error.into(),
            AnywhereError::NotFound(error) => error.into(),
            AnywhereError::Variant(error) => problem(error),
        }
    }
}

impl From<NotFound> for Problem {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::Absent => Self::Absent,
            NotFound::Unproven => Self::Unproven,
            NotFound::NotJoined(standing) => Self::NotMember(standing),
        }
    }
}
