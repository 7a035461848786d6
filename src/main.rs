//! The binary: argv → config → telemetry → control → exit code.

use std::process::ExitCode;

use clap::Parser;
use reticulum::cli::{Arguments, Command, Serve};
use reticulum::{config, control, demo, telemetry};

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(flags) => serve(&flags),
        Command::Demo(flags) => match demo::run(&flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
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
