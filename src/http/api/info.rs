//! `GET /info/{id}`: what an image says about itself, wherever in the cluster it is.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::image;
use super::negotiate::ImageTraits;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::http::exchange::{Context, HandlerResponse};
use crate::http::reply::{self, Problem};
use crate::image::header::Header;
use crate::image::placeholder::Placeholder;
use crate::image::shape::Size;
use crate::object::{Format, ObjectId};
use crate::shard::service::describe::Told;
use crate::store::StoreError;
use crate::store::originals::{Described, Found, Original};

/// The time that this node's disk has before other nodes are asked: a long image is read whole the first time.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(2);

/// The answer to a client, and to another node.
#[derive(Serialize, Deserialize)]
pub(in crate::http) struct Info {
    hash: String,
    length: u64,
    extension: String,
    width: u32,
    height: u32,
    orientation: u8,
    frames: u32,
    has_alpha: bool,
    color: String,
    average: Option<String>,
    thumbhash: Option<String>,
    nodes: Vec<String>,
    uploaded: String,
}

pub(super) async fn answer(context: &Context, id: ObjectId) -> Result<HandlerResponse, Problem> {
    let mut info = find(context, id).await?;
    info.nodes = context.shard.holders(id).await;
    Ok(reply::json(&info).into())
}

/// The traits that decide the format of an `auto` URL.
pub(super) async fn source(context: &Context, id: ObjectId) -> Result<ImageTraits, Problem> {
    find(context, id).await?.source()
}

/// Describes an image that this node has.
pub(in crate::http) async fn describe_here(context: &Context, id: ObjectId) -> Result<Info, Problem> {
    let (original, header) = image::require_described(context.shard.describe(id).await??)?;
    build(context, id, &original, &header).await
}

async fn find(context: &Context, id: ObjectId) -> Result<Info, Problem> {
    let shard = &context.shard;
    let described = image::with_patience(context, DESCRIBED_WITHIN, shard.describe(id)).await?;
    let is_here = matches!(described, Ok(Described::Here(..) | Described::Refused(_)));
    if is_here || shard.is_whole_cluster() {
        let (original, header) = image::require_described(described?)?;
        return build(context, id, &original, &header).await;
    }
    let said = match &described {
        Ok(Described::Absent) => shard.said_here(&Ok(Found::Absent)),
        Ok(_) => shard.said_here(&Ok(Found::Damaged)),
        Err(_) => LookupReply::Unknown,
    };
    match shard.fetch_info(id, said).await? {
        // Proven to be a node's of this cluster; but perhaps of another version.
        Told::Info(json) => {
            // A disk that takes its time is no lack.
            if !matches!(described, Err(StoreError::Late(_))) {
                shard.note_lack(id);
            }
            serde_json::from_slice(&json).map_err(|_| Problem::Unproven)
        }
        Told::Refused(sentence) => Err(Problem::CannotMake(sentence)),
    }
}

async fn build(
    context: &Context,
    id: ObjectId,
    original: &Original,
    header: &Header,
) -> Result<Info, Problem> {
    let placeholder = context.shard.facts(id).await?;
    let Size { width, height } = header.displayed();
    Ok(Info {
        hash: id.to_string(),
        length: original.length,
        extension: original.format.extension().to_owned(),
        width,
        height,
        orientation: header.orientation.value(),
        frames: header.frames,
        has_alpha: header.has_alpha,
        color: header.color.to_string(),
        average: placeholder
            .as_ref()
            .map(|Placeholder { average: [r, g, b], .. }| format!("{r:02x}{g:02x}{b:02x}")),
        thumbhash: placeholder.map(|placeholder| STANDARD.encode(placeholder.thumbhash)),
        nodes: vec![context.shard.node.name.clone()],
        uploaded: humantime::format_rfc3339_seconds(original.modified).to_string(),
    })
}

impl Info {
    fn source(&self) -> Result<ImageTraits, Problem> {
        let format = Format::ALL.into_iter().find(|format| format.extension() == self.extension);
        let Self { frames, has_alpha, width, height, .. } = *self;
        let displayed = Size { width, height };
        Ok(ImageTraits { format: format.ok_or(Problem::Unproven)?, frames, has_alpha, displayed })
    }
}
