//! `DELETE /image/{id}`, `GET|HEAD /erasure/{id}`, `POST /image/{id}?undelete` and `POST /purge/{id}`.

use std::rc::Rc;

use serde::Serialize;

use crate::cluster::erasure::Intent;
use crate::http::exchange::HandlerResponse;
use crate::http::reply::{self, Problem};
use crate::object::ObjectId;
use crate::shard::Shard;
use crate::shard::service::erase::ErasureStatus;

#[derive(Serialize)]
struct ErasureResponse {
    hash: String,
    /// Nodes that have confirmed that they hold nothing of the image any more.
    erased: Vec<String>,
    /// All others.
    pending: Vec<String>,
}

#[derive(Serialize)]
struct UndeleteResponse {
    hash: String,
    banned: bool,
}

/// Deletes or bans an image: 202 once enough owners have it recorded.
pub(super) async fn delete(shard: &Rc<Shard>, id: ObjectId, intent: Intent) -> HandlerResponse {
    match shard.erase_image(id, intent).await {
        Ok(status) => reply::accepted(&ErasureResponse::new(id, status)).into(),
        Err(error) => Problem::from(error).into(),
    }
}

/// Lifts a ban. The image stays deleted until it is uploaded.
pub(super) async fn undelete(shard: &Rc<Shard>, id: ObjectId) -> HandlerResponse {
    match shard.erase_image(id, Intent::Lift).await {
        Ok(_) => reply::json(&UndeleteResponse { hash: id.to_string(), banned: false }).into(),
        Err(error) => Problem::from(error).into(),
    }
}

/// The nodes that have erased the image.
pub(super) async fn status(shard: &Rc<Shard>, id: ObjectId) -> HandlerResponse {
    match shard.erasure_status(id).await {
        Ok(status) => reply::json(&ErasureResponse::new(id, status)).into(),
        Err(error) => Problem::from(error).into(),
    }
}

/// Removes the variants of an image from all members.
pub(super) async fn purge(shard: &Rc<Shard>, id: ObjectId) -> HandlerResponse {
    match shard.purge_image(id).await {
        Ok(left) if left.is_empty() => reply::no_content().into(),
        Ok(left) => Problem::NotPurged(left).into(),
        Err(error) => Problem::from(error).into(),
    }
}

impl ErasureResponse {
    fn new(id: ObjectId, ErasureStatus { erased, pending }: ErasureStatus) -> Self {
        Self { hash: id.to_string(), erased, pending }
    }
}
