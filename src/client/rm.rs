//! `reticulum rm`: deletes images from the whole cluster, and bans them with `--ban`.

use serde_json::{Map, Value};

use super::ClientError;
use super::credentials;
use super::harmless::harmless;
use super::output::CommandOutput;
use crate::cli::commands::Rm;

pub(super) fn run(flags: &Rm) -> Result<(), ClientError> {
    // Only an operator may ban, so an upload key is of no use for that.
    let (node, ban) = if flags.ban {
        (credentials::operator(&flags.asked), "?ban")
    } else {
        (credentials::uploader(&flags.asked, flags.key.as_ref()), "")
    };
    let output = CommandOutput::plain();
    let mut failed = 0;
    for id in &flags.ids {
        match node.delete(&format!("/image/{id}{ban}")) {
            Ok(answer) => output.line(format_args!("{id} {}", describe(&answer)))?,
            Err(error @ ClientError::Unreachable { .. }) => return Err(error),
            Err(error) => {
                failed += 1;
                output.complain(format_args!("{id}: {error}"));
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(ClientError::Some { failed, of: flags.ids.len() as u64 }),
    }
}

/// The nodes that have erased it, and those that have not yet.
fn describe(answer: &Map<String, Value>) -> String {
    let names = |key: &str| {
        let names = answer.get(key).and_then(Value::as_array).into_iter().flatten();
        let names: Vec<_> = names.filter_map(Value::as_str).map(harmless).collect();
        names.join(",")
    };
    let parts = [("erased", names("erased")), ("pending", names("pending"))];
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    parts.map(|(what, names)| format!("{what} {names}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_who_has_erased_and_who_has_not() {
        let told = |text: &str| describe(&serde_json::from_str(text).unwrap());
        assert_eq!(told(r#"{"hash":"x","erased":["a","b"],"pending":[]}"#), "erased a,b");
        assert_eq!(told(r#"{"erased":["a"],"pending":["b","c"]}"#), "erased a pending b,c");
        assert_eq!(told(r#"{"erased":[],"pending":["b"]}"#), "pending b");
    }
}
