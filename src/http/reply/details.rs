//! The body of each refusal: a problem document (RFC 9457).

use http::StatusCode;
use serde::Serialize;

use super::Problem;
use super::layout::LayoutDetails;

#[derive(Serialize)]
struct Details<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Those that hold a copy, where that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<&'a [String]>,
    /// The details for a program of a refused change of the layout.
    #[serde(flatten)]
    layout: Option<LayoutDetails>,
}

impl Problem {
    pub(super) fn json(&self) -> Vec<u8> {
        let (status, r#type, title) = self.kind();
        let nodes = match self {
            Self::TooFewCopies(nodes) | Self::NotPurged(nodes) => Some(&nodes[..]),
            _ => None,
        };
        let layout = if let Self::Layout(problem) = self { problem.details() } else { None };
        let detail = &self.detail();
        let details = Details { r#type, title, status: status.as_u16(), detail, nodes, layout };
        serde_json::to_vec(&details).expect("plain fields always serialise")
    }

    /// The problem that replaces a bare head with which hyper rejects a request, and its status. `None`: the
    /// head says something else.
    pub(in crate::http) fn of_parser_error(head: &[u8]) -> Option<(Self, u16)> {
        let status = StatusCode::from_bytes(head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?;
        let problem = [Self::Unreadable, Self::HeadTooLong].into_iter().find(|one| one.kind().0 == status)?;
        Some((problem, status.as_u16()))
    }
}
