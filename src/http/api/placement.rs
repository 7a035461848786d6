//! `GET|HEAD /image/{id}/debug/{name}.json`: who should have an image, and who says that it has it.

use std::rc::Rc;

use serde::Serialize;

use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::view::VersionOwners;
use crate::http::exchange::HandlerResponse;
use crate::http::reply::{self, Problem};
use crate::object::ObjectId;
use crate::shard::Shard;
use crate::shard::service::operate::ImagePlacement;

#[derive(Serialize)]
struct PlacementResponse {
    hash: String,
    /// The owners by version of the layout: current, proposed, then staged where it differs.
    versions: Vec<Version>,
    /// Names of the nodes that would take a copy instead of an owner, the best first.
    fallbacks: Vec<String>,
    members: Vec<Holder>,
}

#[derive(Serialize)]
struct Version {
    layout: String,
    current: bool,
    proposed: bool,
    staged: bool,
    owners: Vec<String>,
}

#[derive(Serialize)]
struct Holder {
    name: String,
    id: String,
    /// Whether it owns the image in any version.
    owner: bool,
    /// Its reply, asked now.
    copy: &'static str,
    /// When it last verified its copy (RFC 3339), by its own clock; null where it does not remember that.
    verified: Option<String>,
}

/// The placement of an image.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(super) async fn answer(shard: &Rc<Shard>, id: ObjectId) -> Result<HandlerResponse, Problem> {
    let placement = shard.image_placement(id).await?;
    Ok(reply::json(&PlacementResponse::new(id, &placement)).into())
}

impl PlacementResponse {
    fn new(id: ObjectId, placement: &ImagePlacement) -> Self {
        let name = |node: &NodeId| {
            let member = placement.members.get(node);
            member.map_or_else(|| node.to_string(), |member| member.name.to_string())
        };
        let version = |version: &VersionOwners| Version {
            layout: version.hash.to_string(),
            current: version.is_current,
            proposed: version.is_proposed,
            staged: version.is_staged,
            owners: version.owners.iter().map(name).collect(),
        };
        let is_owner = |node: &NodeId| placement.versions.iter().any(|version| version.owners.contains(node));
        let members = placement.members.iter().map(|(node, member)| Holder {
            name: member.name.to_string(),
            id: node.to_string(),
            owner: is_owner(node),
            copy: match member.reply {
                LookupReply::Present => "present",
                LookupReply::Absent(_) => "absent",
                LookupReply::Unknown => "unknown",
                LookupReply::Gone => "deleted",
            },
            verified: member.verified.map(|at| humantime::format_rfc3339_seconds(at).to_string()),
        });
        Self {
            hash: id.to_string(),
            versions: placement.versions.iter().map(version).collect(),
            fallbacks: placement.fallbacks.iter().map(name).collect(),
            members: members.collect(),
        }
    }
}
