//! Why a node is not taken in, and as the text in which one node tells another.

use std::fmt;

use super::super::layout::{EditError, Taken};
use super::super::node::NodeId;

/// Why a node is not taken in. It rides on the answer to what the refused node sent itself, so that nothing has to be
/// sent to a URL that only a stranger names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JoinRefusal {
    /// Another id holds its name or its URL: remove that one first.
    Taken(Taken),
    /// Its id was removed forever.
    Removed,
    /// The cluster has all the nodes it can have.
    Full,
}

impl JoinRefusal {
    /// Reads what it prints; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let holder = |hex| NodeId::parse(hex).ok();
        match text.split_once(':') {
            Some(("name", hex)) => holder(hex).map(|node| Self::Taken(Taken::Name(node))),
            Some(("url", hex)) => holder(hex).map(|node| Self::Taken(Taken::Url(node))),
            Some(_) => None,
            None => [Self::Removed, Self::Full].into_iter().find(|one| one.to_string() == text),
        }
    }
}

impl From<EditError> for JoinRefusal {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Removed => Self::Removed,
            EditError::Taken(taken) => Self::Taken(taken),
            EditError::Unknown | EditError::Copies | EditError::Full | EditError::Clock => Self::Full,
        }
    }
}

impl fmt::Display for JoinRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(Taken::Name(holder)) => write!(f, "name:{holder}"),
            Self::Taken(Taken::Url(holder)) => write!(f, "url:{holder}"),
            Self::Removed => f.write_str("removed"),
            Self::Full => f.write_str("full"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_print_what_they_parsed() {
        let node = NodeId::from_bytes([7; 16]);
        let all = [
            JoinRefusal::Taken(Taken::Name(node)),
            JoinRefusal::Taken(Taken::Url(node)),
            JoinRefusal::Removed,
            JoinRefusal::Full,
        ];
        for refusal in all {
            assert_eq!(JoinRefusal::parse(&refusal.to_string()), Some(refusal));
        }
        for text in ["", "name", "name:", "name:00", "zone:00", "Removed", "removed:"] {
            assert_eq!(JoinRefusal::parse(text), None, "{text}");
        }
    }
}
