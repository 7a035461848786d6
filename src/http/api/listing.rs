//! `GET|HEAD /images`: the cluster's stored ids in order, a page at a time.

use std::rc::Rc;

use serde::Serialize;

use super::endpoint::ListRequest;
use crate::http::exchange::HandlerResponse;
use crate::http::reply::{self, Problem};
use crate::shard::Shard;
use crate::shard::service::listing::ClusterImage;

#[derive(Serialize)]
struct ListResponse {
    images: Vec<Image>,
    next: Option<String>,
    /// Only where a member did not answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreachable: Vec<String>,
}

#[derive(Serialize)]
struct Image {
    hash: String,
    length: u64,
    extension: &'static str,
    uploaded: String,
    copies: u32,
}

/// The page that was asked for.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(super) async fn answer(shard: &Rc<Shard>, wanted: ListRequest) -> Result<HandlerResponse, Problem> {
    // A node without its cluster does not know what the cluster has.
    shard.need_cluster()?;
    let page = shard.list(wanted.after, wanted.limit).await?;
    let images = page.images.iter().map(Image::new).collect();
    let next = page.next.map(|id| id.to_string());
    Ok(reply::json(&ListResponse { images, next, unreachable: page.unreachable }).into())
}

impl Image {
    fn new(listed: &ClusterImage) -> Self {
        Self {
            hash: listed.id.to_string(),
            length: listed.stored.length,
            extension: listed.stored.format.extension(),
            uploaded: humantime::format_rfc3339_seconds(listed.stored.uploaded).to_string(),
            copies: listed.copies,
        }
    }
}
