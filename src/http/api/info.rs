//! `GET /info/{id}`: what an image says about itself, wherever in the cluster it is.

use crate::http::exchange::{Context, HandlerResponse};
use crate::http::reply::{self, Problem};
use crate::object::ObjectId;

pub(super) async fn answer(context: &Context, id: ObjectId) -> Result<HandlerResponse, Problem> {
    let mut description = context.shard.describe_image(id).await?;
    description.nodes = context.shard.holders(id).await;
    Ok(reply::json(&description).into())
}
