//! The binary: argv → config → telemetry → control → exit code.

use std::process::ExitCode;

use clap::Parser;
use reticulum::cli::{Arguments, Command, Serve, generate};
use reticulum::{client, config, control, demo, telemetry};

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(flags) => serve(&flags),
        Command::Demo(flags) => match demo::run(&flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Command::Client(command) => end(client::run(&command)),
        Command::Completions(flags) => end(client::print(&generate::completions(&flags))),
        Command::Man => end(client::print(&generate::manual())),
    }
}

fn end(ended: Result<(), client::ClientError>) -> ExitCode {
    ended.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn serve(flags: &Serve) -> ExitCode {
    let config = match config::load(flags) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    telemetry::log::start(config.log_level, config.log_form);
    match control::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reticulum: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("reticulum: {error}");
    ExitCode::FAILURE
}
