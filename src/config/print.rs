//! The effective configuration as TOML, which loads again; secrets are masked.

use std::fmt::Write;

use super::key::KEYS;
use super::values::Values;

/// Every section and key, each under its meaning; a key that is not set is in a comment.
pub(super) fn print(mut values: Values) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = key.section();
            write(&mut text, format_args!("{gap}[{section}]\n"));
        }
        write(&mut text, format_args!("# {}\n", key.meaning));
        match (key.place)(&mut values).print() {
            Some(value) => write(&mut text, format_args!("{} = {value}\n", key.name())),
            None => write(&mut text, format_args!("# {} is not set\n", key.name())),
        }
    }
    text
}

fn write(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(line);
}
