//! Bootstrap settings: keys of the configuration that count only until the layout has a value for them. A later
//! difference is configuration drift.

use std::fmt;

use super::Layout;
use super::register::{Rank, Register};
use crate::cluster::node::{Label, NodeId, Weight};

/// The bootstrap settings that the configuration sets itself; defaults are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootstrapSettings {
    /// `node.zone`.
    pub zone: Option<Label>,
    /// `node.weight`.
    pub weight: Option<Weight>,
    /// `node.writable`.
    pub writable: Option<bool>,
    /// `cluster.replication`.
    pub replication: Option<u8>,
    /// `cluster.min_replication`.
    pub min_replication: Option<u8>,
}

/// A key whose configured value differs from the layout. Prints as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigurationDrift {
    key: &'static str,
    said: String,
    ruled: String,
}

impl BootstrapSettings {
    /// The keys that differ from `layout`, by its staged version.
    pub fn drift(&self, layout: &Layout, node: NodeId) -> Vec<ConfigurationDrift> {
        let entry = layout.staged.members.get(&node);
        let about = layout.nodes.get(&node);
        let staged = &layout.staged;
        [
            differs("node.zone", self.zone.as_ref(), entry.map(|entry| &entry.zone)),
            differs("node.weight", self.weight.as_ref(), entry.map(|entry| &entry.weight)),
            differs("node.writable", self.writable.as_ref(), about.map(|about| &about.writable)),
            differs("cluster.replication", self.replication.as_ref(), Some(&staged.replication)),
            differs("cluster.min_replication", self.min_replication.as_ref(), Some(&staged.min_replication)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn differs<T>(key: &'static str, said: Option<&T>, ruled: Option<&Register<T>>) -> Option<ConfigurationDrift>
where
    T: fmt::Display + PartialEq + Rank + Ord + Clone,
{
    let (said, ruled) = (said?, ruled?.value());
    (said != ruled).then(|| ConfigurationDrift { key, said: said.to_string(), ruled: ruled.to_string() })
}

impl fmt::Display for ConfigurationDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, said, ruled } = self;
        write!(
            f,
            "{key} is {said} in this node's configuration, but {ruled} in the layout, and the layout counts."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::layout_of;
    use super::super::{Copies, NewNode};
    use super::*;
    use crate::cluster::node::NodeUrl;

    #[test]
    fn only_what_is_said_and_differs_is_told() {
        let node = NodeId::from_bytes([1; 16]);
        let about = NewNode {
            name: Label::parse("a").unwrap(),
            url: NodeUrl::parse("http://127.0.0.1:1").unwrap(),
            zone: Label::parse("north").unwrap(),
            weight: Weight::new(100).unwrap(),
            writable: true,
        };
        let layout = layout_of(&[(node, about)], Copies { replication: 3, min_replication: 2 });
        assert_eq!(BootstrapSettings::default().drift(&layout, node), []);
        let same = BootstrapSettings {
            zone: Some(Label::parse("north").unwrap()),
            weight: Some(Weight::new(100).unwrap()),
            writable: Some(true),
            replication: Some(3),
            min_replication: Some(2),
        };
        assert_eq!(same.drift(&layout, node), []);
        let other = BootstrapSettings {
            zone: Some(Label::parse("south").unwrap()),
            weight: Some(Weight::new(200).unwrap()),
            writable: Some(false),
            replication: Some(4),
            min_replication: Some(1),
        };
        let told = other.drift(&layout, node);
        assert_eq!(told.len(), 5);
        assert!(
            told[1].to_string().starts_with("node.weight is 200 in this node's configuration, but 100 in")
        );
        // A layout without the node says nothing of it.
        assert_eq!(other.drift(&layout, NodeId::from_bytes([2; 16])).len(), 2);
    }
}
