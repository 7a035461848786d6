//! Standard output line by line, and progress on a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::ClientError;
use super::harmless::harmless;

/// Prints lines to standard output and standard error without breaking the progress bar.
#[derive(Debug)]
pub(super) struct CommandOutput {
    progress: ProgressBar,
}

impl CommandOutput {
    /// Without progress.
    pub(super) fn plain() -> Self {
        Self { progress: ProgressBar::hidden() }
    }

    /// With progress of this form on standard error, if that is a terminal.
    pub(super) fn with_progress(length: Option<u64>, template: &str) -> Self {
        if !is_watched() {
            return Self::plain();
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let progress = length.map_or_else(ProgressBar::no_length, ProgressBar::new).with_style(style);
        Self { progress }
    }

    /// Adds `count` to the finished items.
    pub(super) fn advance(&self, count: u64) {
        self.progress.inc(count);
    }

    /// The text beside the progress numbers.
    pub(super) fn say(&self, text: impl FnOnce() -> String) {
        if !self.progress.is_hidden() {
            self.progress.set_message(text());
        }
    }

    /// A line of the result.
    ///
    /// # Errors
    /// [`ClientError::Output`].
    pub(super) fn line(&self, text: impl Display) -> Result<(), ClientError> {
        // Written at once, so that a reader at a pipe gets each line immediately.
        let write = || {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{text}").and_then(|()| stdout.flush())
        };
        self.progress.suspend(write).map_err(ClientError::Output)
    }

    /// Prints a line to standard error, with control characters escaped.
    pub(super) fn complain(&self, text: impl Display) {
        let text = harmless(&text.to_string());
        // If nothing can be written, the exit code still reports it.
        let _ = self.progress.suspend(|| writeln!(io::stderr().lock(), "reticulum: {text}"));
    }

    /// Asks on the terminal whether to go on; no without one.
    pub(super) fn confirm(&self, question: &str) -> bool {
        if !(io::stdin().is_terminal() && is_watched()) {
            return false;
        }
        let ask = || -> io::Result<bool> {
            let mut stderr = io::stderr().lock();
            write!(stderr, "{} [y/N] ", harmless(question))?;
            stderr.flush()?;
            let mut answer = String::new();
            io::stdin().read_line(&mut answer)?;
            Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
        };
        self.progress.suspend(ask).unwrap_or(false)
    }

    /// Removes the progress bar.
    pub(super) fn finish(&self) {
        self.progress.finish_and_clear();
    }
}

/// Lines that are written again and again on a terminal, each in its place.
#[derive(Debug, Default)]
pub(super) struct ProgressLines {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl ProgressLines {
    /// Shows these lines in place of the last ones.
    pub(super) fn show(&mut self, texts: &[String]) {
        let style =
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        while self.lines.len() < texts.len() {
            self.lines.push(self.all.add(ProgressBar::no_length().with_style(style.clone())));
        }
        for (index, line) in self.lines.iter().enumerate() {
            line.set_message(texts.get(index).cloned().unwrap_or_default());
        }
    }

    /// Removes them.
    pub(super) fn finish(&self) {
        self.lines.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Whether progress is shown.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}
