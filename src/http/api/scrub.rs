//! `POST /scrub`: every member reads all its copies back now. `GET|HEAD /scrub`: how far each has come.

use std::rc::Rc;

use serde::Serialize;

use crate::http::exchange::HandlerResponse;
use crate::http::reply::{self, Problem};
use crate::shard::Shard;
use crate::shard::service::scrub::MemberScrub;

#[derive(Serialize)]
struct BegunResponse {
    /// Names of the members that have begun.
    begun: Vec<String>,
    /// Names of those that did not answer.
    unreachable: Vec<String>,
}

#[derive(Serialize)]
struct ProgressResponse {
    members: Vec<MemberProgress>,
    /// Names of the members that did not answer.
    unreachable: Vec<String>,
}

#[derive(Serialize)]
struct MemberProgress {
    name: String,
    #[serde(flatten)]
    scrub: MemberScrub,
}

/// Begins a pass on every member.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(super) async fn begin(shard: &Rc<Shard>) -> Result<HandlerResponse, Problem> {
    let all = shard.begin_scrub().await?;
    let begun = all.answered.into_iter().map(|(name, ())| name).collect();
    Ok(reply::accepted(&BegunResponse { begun, unreachable: all.unreachable }).into())
}

/// The progress of every member.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(super) async fn progress(shard: &Rc<Shard>) -> Result<HandlerResponse, Problem> {
    let all = shard.scrub_progress().await?;
    let members = all.answered.into_iter().map(|(name, scrub)| MemberProgress { name, scrub }).collect();
    Ok(reply::json(&ProgressResponse { members, unreachable: all.unreachable }).into())
}
