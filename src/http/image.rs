//! `GET|HEAD /image/{id}/{spec}/{name}.{ext}`: the stored bytes or a variant.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use sha1::{Digest, Sha1};

use super::body::{Body, Chunk};
use super::conditional::{self, Range};
use super::endpoint::ImageRequest;
use super::reply::{self, Freshness, Problem, Representation};
use super::service::{Answer, Context};
use crate::image::recipe::Recipe;
use crate::object::{Extension, Format, ObjectId};
use crate::shard::message::{Opened, VariantAsk, Verified};
use crate::shard::variant::{Variant, VariantError};
use crate::store::originals::{Found, Original};
use crate::store::read::{CHUNK_BYTES, Reader};
use crate::store::variants::Kept;
use crate::telemetry::metrics::Cache;

/// Stored bytes up to this length are proven before the first one is sent; longer ones on the way.
const PROVEN_FIRST_BYTES: u64 = 1 << 20;

pub(super) async fn answer(context: &Context, wanted: &ImageRequest, headers: &HeaderMap) -> Answer {
    let answered = match supported(wanted) {
        Ok(format) => image(context, wanted, format, headers).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(Answer::from)
}

/// The output format, if this version makes what is asked.
fn supported(wanted: &ImageRequest) -> Result<Format, Problem> {
    if let Some(part) = wanted.spec.unsupported() {
        return Err(Problem::NotYet(format!("The part {part:?} of the spec")));
    }
    match wanted.extension {
        Extension::Format(format @ (Format::Jpeg | Format::Png | Format::Gif | Format::Webp)) => Ok(format),
        Extension::Format(Format::Avif) | Extension::Auto => {
            Err(Problem::NotYet(format!("The extension .{}", wanted.extension.as_str())))
        }
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
        match context.shard.find(id).await?? {
            Found::Here(original) if original.format == format => {
                return stored(context, id, wanted.freshness(), headers).await;
            }
            Found::Here(_) if context.settings.only_presets && !wanted.by_preset => {
                return Err(Problem::OnlyPresets);
            }
            Found::Here(_) => {}
            Found::Absent => return Err(Problem::Absent),
            Found::Damaged => return Err(Problem::Damaged),
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
    let etag = format!("\"{:032x}\"", u128::from_be_bytes(key));
    if conditional::matches_etag(headers, &etag) {
        return match context.shard.find(id).await?? {
            Found::Here(_) => Ok(reply::not_modified(&etag, freshness).into()),
            Found::Absent => Err(Problem::Absent),
            Found::Damaged => Err(Problem::Damaged),
        };
    }
    let media_type = recipe.format.media_type();
    let variant = context.shard.variant(VariantAsk { id, recipe, key }).await?.map_err(problem)?;
    if conditional::is_fresh(headers, &etag, Some(variant.modified)) {
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let length = match &variant.body {
        Kept::Bytes(bytes) => bytes.len() as u64,
        Kept::File(_, length) => *length,
    };
    let Variant { body, modified, cache } = variant;
    let about = Representation { media_type, length, etag: &etag, modified, freshness, cache };
    let range = conditional::range(headers, length, &etag, modified);
    let response = match body {
        Kept::Bytes(bytes) => memory(&about, range, &bytes),
        Kept::File(file, length) => disk(&about, range, Reader::new(file, length)).await?,
    };
    Ok(Answer { response, cache })
}

async fn stored(
    context: &Context,
    id: ObjectId,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<Answer, Problem> {
    let etag = format!("\"{id}\"");
    if conditional::matches_etag(headers, &etag) {
        return Ok(reply::not_modified(&etag, freshness).into());
    }
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
    let response = if verified {
        disk(&about, range, reader).await?
    } else if original.length <= PROVEN_FIRST_BYTES {
        let bytes = proven(context, id, &original, &reader).await?;
        memory(&about, range, &bytes)
    } else if range == Range::Whole {
        let report = report(context, id, &original);
        reply::representation(&about, range, |_, _| Body::proving(reader, id, report))
    } else {
        let right = reader.digest().await? == id;
        told(context, id, &original, right).await?;
        disk(&about, range, reader).await?
    };
    Ok(Answer { response, cache: Cache::Disk })
}

/// The whole file in memory, its hash checked.
async fn proven(
    context: &Context,
    id: ObjectId,
    original: &Original,
    reader: &Reader,
) -> Result<Bytes, Problem> {
    let mut bytes = Vec::with_capacity(usize::try_from(reader.length()).unwrap_or(0));
    while (bytes.len() as u64) < reader.length() {
        bytes.extend_from_slice(&reader.read(bytes.len() as u64, CHUNK_BYTES).await?);
    }
    let right = ObjectId::from_digest(Sha1::digest(&bytes).into()) == id;
    told(context, id, original, right).await?;
    Ok(bytes.into())
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

fn memory(about: &Representation<'_>, range: Range, bytes: &Bytes) -> Response<Body> {
    // The range was cut to the length, which is that of a buffer.
    reply::representation(about, range, |start, end| Body::bytes(bytes.slice(start as usize..end as usize)))
}

/// A short part is read before the answer's head, so that both leave together.
async fn disk(about: &Representation<'_>, range: Range, reader: Reader) -> Result<Response<Body>, Problem> {
    let (start, end) = match range {
        Range::Whole => (0, reader.length()),
        Range::Part { start, end } => (start, end),
        Range::Outside => return Ok(Problem::OutsideRange(reader.length()).into()),
    };
    if end - start <= CHUNK_BYTES {
        let read = reader.read(start, end - start).await?;
        if read.len() as u64 == end - start {
            return Ok(reply::representation(about, range, |_, _| Body::chunk(Chunk::read(read))));
        }
    }
    Ok(reply::representation(about, range, |start, end| Body::file(reader, start, end)))
}

fn problem(error: VariantError) -> Problem {
    match error {
        VariantError::Absent => Problem::Absent,
        VariantError::Damaged => Problem::Damaged,
        VariantError::Busy => Problem::Busy("variants being made"),
        VariantError::Deadline => Problem::Deadline,
        VariantError::Fault(fault) => Problem::CannotMake(fault.to_string()),
        VariantError::Panicked => Problem::CannotMake(
            "The image cannot be decoded; upload it again from an intact file.".to_owned(),
        ),
        VariantError::Disk(error) => {
            log::error!(error:% = error; "cannot read an image");
            Problem::Disk
        }
    }
}
