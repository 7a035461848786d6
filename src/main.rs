//! The binary: argv → config → telemetry → control → exit code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use reticulum::cli::{Arguments, CheckConfig, Command, Serve, generate};
use reticulum::config::{Environment, UnknownVariable};
use reticulum::{client, config, control, demo, telemetry};

fn main() -> ExitCode {
    // Before anything else: what a resize worker starts is no command of people.
    if std::env::args_os().nth(1).is_some_and(|first| first == control::HELPER_ARGUMENT) {
        return control::help();
    }
    match Arguments::parse().command {
        Command::Serve(flags) => serve(&flags),
        Command::Demo(flags) => match demo::run(&flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Command::CheckConfig(CheckConfig { file }) => check_config(file),
        Command::Client(command) => end(client::run(&command)),
        Command::Completions(flags) => end(client::print(&generate::completions(&flags))),
        Command::Man => end(client::print(&generate::manual())),
    }
}

fn end(ended: Result<(), client::ClientError>) -> ExitCode {
    ended.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn serve(flags: &Serve) -> ExitCode {
    if let Some(parent) = flags.with_parent
        && !control::end_with(parent)
    {
        return ExitCode::FAILURE;
    }
    let environment = Environment::of_process();
    let config = match config::load(flags, &environment) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    telemetry::log::start(config.log_level, config.log_form);
    telemetry::invariant::end_process_when_broken();
    for UnknownVariable { name, nearest } in environment.find_unknown() {
        log::warn!(name, nearest; "ignored an unknown environment variable; `nearest` is the known name most like it");
    }
    let flags = flags.clone();
    let reload = move || config::load(&flags, &Environment::of_process());
    match control::run(config, Box::new(reload)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reticulum: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints what `serve --config` would run with.
fn check_config(file: PathBuf) -> ExitCode {
    let environment = Environment::of_process();
    for UnknownVariable { name, nearest } in environment.find_unknown() {
        eprintln!("reticulum: {name} is unknown and ignored; did you mean {nearest}?");
    }
    let flags = Serve { config: Some(file), ..Serve::default() };
    let described = config::load(&flags, &environment)
        .and_then(|config| Ok((config::describe(&flags, &environment)?, config.warnings)));
    match described {
        Ok((text, warnings)) => {
            warnings.iter().for_each(|warning| eprintln!("reticulum: {warning}"));
            // Nobody reads any more: nothing to report.
            let printed = io::stdout().write_all(text.as_bytes());
            if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("reticulum: {error}");
    ExitCode::FAILURE
}
