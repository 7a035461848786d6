//! Output for other programs: shell completions and the manual.

use std::io;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::Arguments;

/// Flags of `reticulum completions`.
#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// Shell to print them for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// The completions, in the form that the shell reads.
pub fn completions(flags: &Completions) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Arguments::command(), "reticulum", &mut script);
    script
}

/// The manual in roff: the program's page, then every command's.
pub fn manual() -> Vec<u8> {
    let mut text = Vec::new();
    render(&mut text).expect("memory takes every write");
    text
}

fn render(text: &mut Vec<u8>) -> io::Result<()> {
    let mut program = Arguments::command();
    // Gives the commands their full names for the usage lines.
    program.build();
    clap_mangen::Man::new(program.clone()).render(text)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        render_command(command, text)?;
    }
    Ok(())
}

fn render_command(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_options_section(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_and_the_completions_know_every_command() {
        let texts = [manual(), completions(&Completions { shell: Shell::Bash })];
        let texts = texts.map(|text| String::from_utf8(text).unwrap().replace("\\-", "-"));
        for command in Arguments::command().get_subcommands() {
            assert!(texts.iter().all(|text| text.contains(command.get_name())), "{}", command.get_name());
        }
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
