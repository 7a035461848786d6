//! `reticulum ls`: every image, in order of ids, read page by page.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ClientError;
use super::credentials;
use super::harmless::harmless;
use super::output::CommandOutput;
use crate::cli::commands::Ls;
use crate::object::ObjectId;

/// The most that a node gives at once.
const PAGE_IMAGES: usize = 1000;

#[derive(Deserialize)]
struct ListPage {
    images: Vec<ListedImage>,
    next: Option<String>,
    #[serde(default)]
    unreachable: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct ListedImage {
    hash: String,
    length: u64,
    extension: String,
    uploaded: String,
    copies: u64,
}

pub(super) fn run(flags: &Ls) -> Result<(), ClientError> {
    let node = credentials::operator(&flags.asked);
    let output = CommandOutput::plain();
    let (mut after, mut unlisted) = (flags.after, BTreeSet::new());
    loop {
        let start = after.map(|id| format!("&after={id}")).unwrap_or_default();
        let page: ListPage = node.get_json(&format!("/images?limit={PAGE_IMAGES}{start}"))?;
        for listed in &page.images {
            output.line(if flags.json { json(listed) } else { line(listed) })?;
        }
        unlisted.extend(page.unreachable);
        let Some(next) = page.next else { break };
        // Only forwards, else a faulty node would have us read forever.
        let next = ObjectId::parse(&next).ok().filter(|next| after.is_none_or(|after| *next > after));
        after = Some(next.ok_or_else(|| node.strange("its pages are not in order"))?);
    }
    if unlisted.is_empty() { Ok(()) } else { Err(ClientError::Unlisted(unlisted)) }
}

fn line(listed: &ListedImage) -> String {
    let ListedImage { hash, length, uploaded, copies, .. } = listed;
    format!("{} {length} {} {copies}", harmless(hash), harmless(uploaded))
}

fn json(listed: &ListedImage) -> String {
    serde_json::to_string(listed).expect("five plain fields always serialise")
}
