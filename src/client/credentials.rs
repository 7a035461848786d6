//! Chooses the key that a command sends to a node: the given one, or the operator key that a node of this machine made.

use super::node::NodeClient;
use super::output::CommandOutput;
use crate::cli::address::{HeaderKey, NodeAddress};
use crate::cli::commands::{AskedFlags, Operator};
use crate::store::operator_key;

/// The node, asked with the operator key.
pub(super) fn operator(AskedFlags { target, operator }: &AskedFlags) -> NodeClient {
    of(&target.node, operator.operator_key.clone(), operator)
}

/// The node, asked with the upload key or, where there is none, with the operator key.
pub(super) fn uploader(AskedFlags { target, operator }: &AskedFlags, key: Option<&HeaderKey>) -> NodeClient {
    let given = key.filter(|key| !key.as_str().is_empty()).or(operator.operator_key.as_ref());
    of(&target.node, given.cloned(), operator)
}

/// A key from the command line is sent to any node; the key in the data directory only to this machine.
fn of(node: &NodeAddress, given: Option<HeaderKey>, operator: &Operator) -> NodeClient {
    let given = given.filter(|key| !key.as_str().is_empty());
    let key = given.or_else(|| if node.is_loopback() { read_stored(operator) } else { None });
    NodeClient::with_key(node, key.as_ref())
}

fn read_stored(operator: &Operator) -> Option<HeaderKey> {
    match operator_key::read(&operator.data) {
        Ok(key) => key?.parse().ok(),
        Err(error) => {
            let data = operator.data.display();
            CommandOutput::plain()
                .complain(format_args!("cannot use the operator key in {data}: {error}; asking without"));
            None
        }
    }
}
