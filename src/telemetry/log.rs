//! The log: lines on standard error, as text or as one JSON object a line.
//!
//! error = someone must act; warn = degraded but handled; info = lifecycle; debug = one request;
//! trace = one message. Messages are constant; what varies is in key-value fields.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Record};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// At most one line of a kind in each second, for events that any client may cause.
#[derive(Debug, Default)]
pub struct Limited {
    /// The second of the last line.
    last: AtomicU64,
    suppressed: AtomicU64,
}

impl Limited {
    /// One that lets the first line through.
    pub const fn new() -> Self {
        Self { last: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Whether a line may be written now; if so, the number of lines suppressed since the last one.
    pub fn pass(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.pass_at(now)
    }

    fn pass_at(&self, second: u64) -> Option<u64> {
        if self.last.swap(second, Relaxed) == second {
            self.suppressed.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Relaxed))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_passes_and_says_how_many_did_not() {
        let lines = Limited::new();
        assert_eq!(
            [7, 7, 7, 9, 9, 10].map(|second| lines.pass_at(second)),
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }
}
