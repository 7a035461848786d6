//! A variant for another node: found here, or made here if this node has the image.

use sha2::{Digest as _, Sha256};

use super::{PeerRefusal, PeerResponse, erasure, refuse_absent};
use crate::http::body::Body;
use crate::http::exchange::Context;
use crate::http::reply::Problem;
use crate::image::recipe::Recipe;
use crate::peer::auth::Digest;
use crate::peer::call::{self, StoredMetadata, VariantCall};
use crate::shard::bodies::file::FileBody;
use crate::shard::errors::NotFound;
use crate::shard::variant::VariantRequest;
use crate::shard::variant::{VariantBody, VariantError, VariantFile};
use crate::store::health::DiskTrouble;
use crate::store::originals::Found;
use crate::store::read::{CHUNK_BYTES, FileReader};

pub(super) async fn answer(context: &Context, asked: VariantCall) -> Result<PeerResponse, PeerRefusal> {
    let VariantCall { id, recipe, dimension_max, requester } = asked;
    // Of another encoder, say: its bytes would be others. What may be made here is this node's to say.
    let recipe = Recipe::parse(&recipe, dimension_max, context.settings.recipe.output_max)
        .ok_or_else(|| Problem::BadSpec("This node does not know such a recipe.".to_owned()))?;
    let (format, key) = (recipe.format, recipe.etag_key(&id));
    let shard = &context.shard;
    // The asker has other nodes to ask, and would wait for this disk as long as for the variant.
    if shard.node.health.is_hung() {
        return Err(Problem::Unusable(DiskTrouble::Hung).into());
    }
    let made = shard.variant(VariantRequest { id, recipe, key, requester }).await.map_err(Problem::from)?;
    let made = match made {
        Ok(made) => made,
        Err(VariantError::NotFound(NotFound::Absent)) => return Err(refuse_absent(shard, Found::Absent)),
        Err(VariantError::NotFound(NotFound::Gone)) => return Err(erasure::refuse_gone(shard, &id)),
        Err(VariantError::Damaged) => return Err(refuse_absent(shard, Found::Damaged)),
        Err(VariantError::TooFast(too_fast)) => {
            let metadata = call::retry_metadata(too_fast.retry_after_s);
            return Err(PeerRefusal { problem: Problem::TooFast(too_fast), metadata });
        }
        Err(error) => return Err(Problem::from(error).into()),
    };
    match made.body {
        VariantBody::Ready(entry) => {
            let stored =
                StoredMetadata { format, length: entry.bytes.len() as u64, uploaded: entry.modified };
            let (digest, body) = (Digest::of(&entry.bytes), Body::bytes(entry.bytes.clone()));
            let metadata = erasure::with_record(shard, &id, stored.metadata());
            Ok(PeerResponse { metadata, body, digest })
        }
        VariantBody::File(VariantFile { file, length, modified: uploaded, charge }) => {
            let reader = FileReader::new(file, length);
            let digest = digest(&reader).await?;
            let memory = &shard.node.bodies;
            let body = Body::from(FileBody::new(reader, [0, length], memory, charge));
            let stored = StoredMetadata { format, length, uploaded };
            let metadata = erasure::with_record(shard, &id, stored.metadata());
            Ok(PeerResponse { metadata, body, digest })
        }
    }
}

/// Of a long variant on disk: its bytes have no id that they could be proven by.
async fn digest(reader: &FileReader) -> Result<Digest, Problem> {
    let mut hasher = Sha256::new();
    let mut position = 0;
    while position < reader.length() {
        let chunk = reader.read(position, CHUNK_BYTES).await?;
        hasher.update(&*chunk);
        position += chunk.len() as u64;
        glommio::executor().yield_if_needed().await;
    }
    Ok(Digest::Bytes(hasher.finalize().into()))
}
