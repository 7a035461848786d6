//! Which member an operator means: by name, by id, or by the beginning of an id.

use super::super::layout::Layout;
use super::super::node::NodeId;
use super::LayoutRefusal;

/// Digits of an id that may stand for the whole: 32 bits, so that two of 1,024 nodes share them once in 8,000 clusters.
const PREFIX_DIGITS_MIN: usize = 8;

/// The only member that has this id or name, or whose id begins like this.
///
/// # Errors
/// `UnknownNode`, `AmbiguousNode`, and `Removed` where only a removed node fits.
pub(super) fn member(layout: &Layout, text: &str) -> Result<NodeId, LayoutRefusal> {
    let is_member = |node: NodeId| layout.staged.is_member(node);
    if let Some(node) = NodeId::parse(text).ok().filter(|node| is_member(*node)) {
        return Ok(node);
    }
    let prefix = text.to_ascii_lowercase();
    let begins_so = |node: NodeId| text.len() >= PREFIX_DIGITS_MIN && node.to_string().starts_with(&prefix);
    let mut members = Vec::new();
    let mut was_removed = false;
    for (node, known) in &layout.nodes {
        let name = known.name.value();
        if is_member(*node) && (name.as_str() == text || begins_so(*node)) {
            members.push((*node, name.clone()));
        }
        // The name of a removed node is free again, so only its id means it.
        was_removed |= !is_member(*node) && begins_so(*node);
    }
    match &members[..] {
        [(node, _)] => Ok(*node),
        [] if was_removed => Err(LayoutRefusal::Removed),
        [] => Err(LayoutRefusal::UnknownNode),
        _ => {
            members.truncate(LayoutRefusal::CANDIDATES_MAX);
            Err(LayoutRefusal::AmbiguousNode(members))
        }
    }
}
