//! What a node may have of the system.

use std::process::Command;

/// The same program, in the same place and with the same variables, with so many file descriptors.
pub(super) fn with_descriptors(command: &Command, descriptors: u64) -> Command {
    // The shell becomes the program, so that the process is the same.
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")).arg(command.get_program());
    limited.args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        limited.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}
