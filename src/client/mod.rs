//! The commands that ask a node over HTTP, and what is printed of an offline check.
//!
//! * [`node`]: a node as its clients see it: requests out, answers or refusals back.
//! * [`put`] (and [`folder`]), [`get`], [`url`], [`rm`], [`ls`], [`status`] (and [`table`]): one command each.
//! * [`layout`] shows who owns what, [`change`] changes it: `drain`, `activate`, `remove`, `set`.
//! * [`scrub`] has all copies read back, and waits for that.
//! * [`credentials`]: the key that is shown to the node.
//! * [`fsck`]: prints what `store::fsck` finds. [`rejoin`]: a removed node comes back as a new one.
//! * [`output`]: standard output, and progress on a terminal.
//!
//! Blocking, on std threads; nothing here runs inside a node. What a node sends is checked before it
//! is trusted and made harmless before it is printed.

mod change;
mod credentials;
mod error;
mod folder;
mod fsck;
mod get;
mod harmless;
mod layout;
mod ls;
mod node;
mod output;
mod put;
mod rejoin;
mod rm;
mod scrub;
mod status;
mod table;
mod url;

pub use error::ClientError;
pub use node::{NodeClient, UploadedImage};

use std::io::{self, Write};

use crate::cli::commands::ClientCommand;

/// Runs a command to its end.
///
/// # Errors
/// [`ClientError`]; what had been printed before it stands.
pub fn run(command: &ClientCommand) -> Result<(), ClientError> {
    let ended = match command {
        ClientCommand::Put(flags) => put::run(flags),
        ClientCommand::Get(flags) => get::run(flags),
        ClientCommand::Url(flags) => url::run(flags),
        ClientCommand::Rm(flags) => rm::run(flags),
        ClientCommand::Ls(flags) => ls::run(flags),
        ClientCommand::Status(flags) => status::run(flags),
        ClientCommand::Layout(flags) => layout::run(flags),
        ClientCommand::Drain(flags) => change::role(flags, "draining"),
        ClientCommand::Activate(flags) => change::role(flags, "active"),
        ClientCommand::Remove(flags) => change::role(flags, "removed"),
        ClientCommand::Set(flags) => change::set(flags),
        ClientCommand::Scrub(flags) => scrub::run(flags),
        ClientCommand::Fsck(flags) => fsck::run(flags),
        ClientCommand::Rejoin(flags) => rejoin::run(flags),
    };
    unless_nobody_reads(ended)
}

/// Prints a text.
///
/// # Errors
/// [`ClientError::Output`].
pub fn print(text: &[u8]) -> Result<(), ClientError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text).and_then(|()| stdout.flush());
    unless_nobody_reads(written.map_err(ClientError::Output))
}

/// The reader of the output may have seen enough (`… | head`); that is no failure.
fn unless_nobody_reads(ended: Result<(), ClientError>) -> Result<(), ClientError> {
    match ended {
        Err(ClientError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}
