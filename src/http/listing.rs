//! `GET|HEAD /images`: the stored ids in order, a page at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::endpoint::ListRequest;
use super::exchange::HandlerResponse;
use super::reply::{self, Problem};
use crate::shard::Shard;
use crate::store::listing::{self, ListedImage};

/// A node that stands alone holds the one copy there is.
const COPIES: u32 = 1;

#[derive(Serialize)]
struct ListResponse {
    images: Vec<Image>,
    next: Option<String>,
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
pub(super) async fn answer(shard: &Shard, wanted: ListRequest) -> Result<HandlerResponse, Problem> {
    // What is here is not what the cluster has.
    shard.need_cluster()?;
    let paths = shard.node.paths.clone();
    let read = move || listing::page(&paths, wanted.after, wanted.limit);
    // A panic on the blocking thread would leave this waiting forever.
    let read = move || catch_unwind(AssertUnwindSafe(read)).ok();
    let page = glommio::executor().spawn_blocking(read).await.ok_or(Problem::Internal)??;
    let images = page.images.iter().map(Image::new).collect();
    Ok(reply::json(&ListResponse { images, next: page.next.map(|id| id.to_string()) }).into())
}

impl Image {
    fn new(listed: &ListedImage) -> Self {
        Self {
            hash: listed.id.to_string(),
            length: listed.length,
            extension: listed.format.extension(),
            uploaded: humantime::format_rfc3339_seconds(listed.modified).to_string(),
            copies: COPIES,
        }
    }
}
