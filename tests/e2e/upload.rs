//! Uploads: which the node takes, which it refuses, and what it keeps of them.

mod accepted;
mod bodies;
mod corpus;
mod form_keys;
mod refused;

use crate::support::client::{Answer, Form, Request, chunked};
use crate::support::harness::{Node, sha1};

/// Uploads these bytes in chunks of at most `size`, in every way there is, and checks each answer.
fn upload_in_chunks(node: &Node, bytes: &[u8], size: usize, check: impl Fn(Answer)) {
    let form = Form::default().file("image", "a.jpg", bytes).bytes();
    let put = Request::new("PUT", &format!("/image/{}", sha1(bytes)));
    let ways = [(Form::announce(), &form[..]), (Request::new("POST", "/image"), bytes), (put, bytes)];
    for (head, body) in ways {
        let mut connection = node.connect();
        connection.send(&head.header("Transfer-Encoding", "chunked").head());
        connection.send(&chunked(body, size));
        check(connection.answer());
    }
}
