//! Which key a command shows to a node: one that was given, or the one that a node of this machine made for its operator.

use super::node::Node;
use super::output::Output;
use crate::cli::address::{Key, NodeUrl};
use crate::cli::commands::{Operator, Target};
use crate::store::operator_key;

/// The node, asked with the operator key.
pub(super) fn operator(target: &Target, operator: &Operator) -> Node {
    of(&target.node, operator.operator_key.clone(), operator)
}

/// The node, asked with the upload key or, where there is none, with the operator key.
pub(super) fn uploader(target: &Target, key: Option<&Key>, operator: &Operator) -> Node {
    let given = key.filter(|key| !key.as_str().is_empty()).or(operator.operator_key.as_ref());
    of(&target.node, given.cloned(), operator)
}

/// A key that was given is sent wherever it was said to be sent; the one in the data directory to this machine alone.
fn of(node: &NodeUrl, given: Option<Key>, operator: &Operator) -> Node {
    let given = given.filter(|key| !key.as_str().is_empty());
    let key = given.or_else(|| if node.is_loopback() { stored(operator) } else { None });
    Node::with_key(node, key.as_ref())
}

fn stored(operator: &Operator) -> Option<Key> {
    match operator_key::read(&operator.data) {
        Ok(key) => key?.parse().ok(),
        Err(error) => {
            let data = operator.data.display();
            Output::plain()
                .complain(format_args!("cannot use the operator key in {data}: {error}; asking without"));
            None
        }
    }
}
