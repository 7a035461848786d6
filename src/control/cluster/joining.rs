//! The report of a node that belongs to no cluster yet, for its operator: whom it asks, and what came back.

use std::collections::BTreeMap;

use crate::cluster::core::Awaited;
use crate::cluster::node::NodeUrl;

/// URLs that the sentence names; a list may have more.
const NAMED_MAX: usize = 16;

/// Each URL of `cluster.join` with its state: `awaited` is what the cluster core knows of it, `tried` is the outcome of
/// the last message to it. Empty while nothing came back.
pub(super) fn describe(tried: &BTreeMap<NodeUrl, String>, awaited: &BTreeMap<NodeUrl, Awaited>) -> String {
    let of = |url: &NodeUrl, outcome: &String| match awaited.get(url) {
        Some(Awaited::Ready) => format!("{url}: it is new, too, and names the same nodes"),
        Some(Awaited::OtherList) => format!(
            "{url}: it is new, too, but its cluster.join and node.url name other nodes than this node's; set the same list on all"
        ),
        Some(Awaited::Silent) | None => format!("{url}: {outcome}"),
    };
    let mut each: Vec<_> = tried.iter().take(NAMED_MAX).map(|(url, outcome)| of(url, outcome)).collect();
    if tried.len() > NAMED_MAX {
        each.push(format!("and {} more", tried.len() - NAMED_MAX));
    }
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(number: usize) -> NodeUrl {
        NodeUrl::parse(&format!("http://n{number:02}:1")).unwrap()
    }

    #[test]
    fn a_new_node_is_told_from_one_that_does_not_answer() {
        let tried: BTreeMap<_, _> = (0..3).map(|at| (url(at), "nobody answers there".to_owned())).collect();
        let states = [Awaited::Ready, Awaited::OtherList, Awaited::Silent];
        let awaited = (0..3).map(|at| (url(at), states[at])).collect();
        let text = describe(&tried, &awaited);
        for part in
            ["n00:1: it is new, too, and", "n01:1: it is new, too, but", "n02:1: nobody answers there"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(describe(&BTreeMap::new(), &awaited), "");
    }

    #[test]
    fn a_long_list_is_cut() {
        let tried: BTreeMap<_, _> = (0..20).map(|at| (url(at), "x".to_owned())).collect();
        let text = describe(&tried, &BTreeMap::new());
        assert!(text.ends_with("; and 4 more") && !text.contains("n16"), "{text}");
    }
}
