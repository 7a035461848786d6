//! Settings of the layout as they are typed: `weight=200`. The node checks the bounds of their values.

use std::str::FromStr;

/// One setting and its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// Of a node: its share relative to the others.
    Weight(u64),
    /// Of a node: what fails together with it.
    Zone(String),
    /// Of a node: whether it takes new copies.
    Writable(bool),
    /// Of the cluster: copies wanted of each image.
    Replication(u64),
    /// Of the cluster: copies before an upload is answered.
    MinReplication(u64),
}

impl Assignment {
    /// The name of the setting.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Weight(_) => "weight",
            Self::Zone(_) => "zone",
            Self::Writable(_) => "writable",
            Self::Replication(_) => "replication",
            Self::MinReplication(_) => "min_replication",
        }
    }

    /// Whether it is a setting of the cluster, not of a node.
    pub const fn is_of_cluster(&self) -> bool {
        matches!(self, Self::Replication(_) | Self::MinReplication(_))
    }
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as weight=200")?;
        let number = || value.parse().map_err(|_| "the value is no whole number");
        match key {
            "weight" => number().map(Self::Weight),
            "zone" => Ok(Self::Zone(value.to_owned())),
            "writable" => value.parse().map(Self::Writable).map_err(|_| "the value is not true or false"),
            "replication" => number().map(Self::Replication),
            "min_replication" => number().map(Self::MinReplication),
            _ => Err("set weight, zone or writable of a node, replication or min_replication of the cluster"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_names() {
        for (text, assignment) in [
            ("weight=200", Assignment::Weight(200)),
            ("zone=a=b", Assignment::Zone("a=b".into())),
            ("writable=false", Assignment::Writable(false)),
            ("replication=3", Assignment::Replication(3)),
            ("min_replication=2", Assignment::MinReplication(2)),
        ] {
            assert_eq!(text.parse(), Ok(assignment.clone()));
            assert_eq!(text.split_once('=').expect("a key").0, assignment.key());
        }
        for text in ["weight", "weight=", "weight=-1", "weight=1.5", "writable=yes", "Weight=1", "=1"] {
            assert!(text.parse::<Assignment>().is_err(), "{text}");
        }
    }
}
