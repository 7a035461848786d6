//! `reticulum rejoin`: lets a node that was removed come back as a new one.

use super::ClientError;
use super::output::CommandOutput;
use crate::cli::commands::Rejoin;
use crate::store::rejoin;

pub(super) fn run(flags: &Rejoin) -> Result<(), ClientError> {
    let aside = rejoin::set_aside(&flags.data).map_err(ClientError::Store)?;
    CommandOutput::plain().line(format_args!(
        "set aside {}: the next start is a new node's; look through it, then delete it",
        aside.display()
    ))
}
