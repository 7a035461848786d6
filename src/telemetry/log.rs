//! The log: lines on standard error, as text or as one JSON object a line.
//!
//! error = someone must act; warn = degraded but handled; info = lifecycle; debug = one request;
//! trace = one message. Messages are constant; what varies is in key-value fields.

use std::fmt;
use std::io::{self, Write};

use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Record};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log; later calls change the level alone.
pub fn start(level: LevelFilter, form: Form) {
    let mut builder = env_logger::Builder::new();
    // The runtime tells of every file that is dropped without an explicit close: noise to anyone but its authors.
    // The level itself is the log crate's, where it can be changed later.
    builder.filter_level(LevelFilter::Trace).filter_module("glommio", LevelFilter::Warn);
    match form {
        Form::Text => builder.format(text),
        Form::Json => builder.format(json),
    };
    // A second start (in one test process) keeps the first.
    let _ = builder.try_init();
    log::set_max_level(level);
}

fn text(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let now = line.timestamp_millis();
    write!(line, "{now} {:5} {}", record.level(), record.args())?;
    let mut fields = TextFields(String::new());
    // The visitor itself never fails.
    let _ = record.key_values().visit(&mut fields);
    writeln!(line, "{}", fields.0)
}

struct TextFields(String);

impl<'kvs> VisitSource<'kvs> for TextFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        fmt::Write::write_fmt(&mut self.0, format_args!(" {key}={value}")).map_err(Error::from)
    }
}

fn json(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut fields = JsonFields(serde_json::Map::new());
    let mut put = |key: &str, value: String| fields.0.insert(key.to_owned(), value.into());
    put("time", line.timestamp_millis().to_string());
    put("level", record.level().to_string().to_lowercase());
    put("message", record.args().to_string());
    let _ = record.key_values().visit(&mut fields);
    serde_json::to_writer(&mut *line, &fields.0)?;
    writeln!(line)
}

struct JsonFields(serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = value.to_u64().map_or_else(|| value.to_string().into(), serde_json::Value::from);
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}
