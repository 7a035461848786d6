//! `reticulum url`: prints an image's URL, without asking a node.

use std::time::{Duration, SystemTime};

use super::ClientError;
use super::output::CommandOutput;
use crate::cli::commands::Url;
use crate::object::sign::signed_query;

pub(super) fn run(flags: &Url) -> Result<(), ClientError> {
    CommandOutput::plain().line(url(flags, SystemTime::now())?)
}

fn url(flags: &Url, now: SystemTime) -> Result<String, ClientError> {
    let (base, id, extension) = (flags.base.as_str(), flags.id, flags.format);
    let spec = flags.spec.canonical_for(extension);
    let path = format!("/image/{id}/{spec}/image.{}", extension.as_str());
    let expires = flags.expires.map(|time| expiry(now, time)).transpose()?;
    Ok(match &flags.sign_key {
        Some(key) => format!("{base}{path}?{}", signed_query(key, &path, expires)),
        None => format!("{base}{path}"),
    })
}

/// The first whole second that is not before `now` + `time`, since 1970.
fn expiry(now: SystemTime, time: Duration) -> Result<u64, ClientError> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let end = now.checked_add(time).ok_or(ClientError::Expiry)?;
    let second = end.as_secs().checked_add(u64::from(end.subsec_nanos() > 0));
    // A reader may count in signed numbers.
    second.filter(|second| i64::try_from(*second).is_ok()).ok_or(ClientError::Expiry)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::commands::ClientCommand;
    use crate::cli::{Arguments, Command};

    const ID: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn printed(arguments: &[&str]) -> Result<String, ClientError> {
        let arguments = [&["reticulum", "url", ID, "--base", "https://cdn.example/x/"], arguments].concat();
        let Command::Client(ClientCommand::Url(flags)) = Arguments::parse_from(arguments).command else {
            panic!("another command");
        };
        url(&flags, SystemTime::UNIX_EPOCH + NOW).map(|url| url.replace(ID, "ID"))
    }

    #[test]
    fn a_url_is_canonical() {
        let base = "https://cdn.example/x/image/ID";
        assert_eq!(printed(&[]).unwrap(), format!("{base}/full/image.auto"));
        assert_eq!(printed(&["0100h0200w,q80"]).unwrap(), format!("{base}/200w100h,q80/image.auto"));
        let png = printed(&["200W,q80", "--format", "PNG"]).unwrap();
        assert_eq!(png, format!("{base}/200w/image.png"), "PNG has no quality");
    }

    #[test]
    fn what_is_signed_is_the_path_that_a_node_sees() {
        let path = format!("/image/{ID}/200w/image.auto");
        let expected = format!("https://cdn.example/x{path}?{}", signed_query("k", &path, None));
        assert_eq!(printed(&["200w", "--sign-key", "k"]).unwrap(), expected.replace(ID, "ID"));
        let expires = printed(&["200w", "--sign-key", "k", "--expires", "24h"]).unwrap();
        let query = signed_query("k", &path, Some(1_700_086_400));
        assert!(expires.ends_with(&format!("?{query}")), "{expires}");
    }

    #[test]
    fn an_expiry_is_never_early_and_never_out_of_range() {
        let end = expiry(SystemTime::UNIX_EPOCH + NOW, Duration::from_millis(1)).unwrap();
        assert_eq!(end, 1_700_000_001);
        for time in [Duration::MAX, Duration::from_secs(u64::MAX - 1_700_000_000)] {
            assert!(matches!(expiry(SystemTime::UNIX_EPOCH + NOW, time), Err(ClientError::Expiry)));
        }
    }
}
