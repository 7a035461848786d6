//! The configuration file: TOML, read with all of its faults and the line of each.

use std::collections::BTreeSet;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::bounded_file;
use super::draft::Draft;
use super::fault::{Cause, SettingOrigin};
use super::key::{KEYS, nearest_key, nearest_section};
use super::setting::RawValue;

/// Longest configuration file, in bytes: more than any sensible one. A device or a disk image must not fill the memory.
const BYTES_MAX: u64 = 1 << 20;

/// Reads the file into the draft.
pub(super) fn read(path: &Path, draft: &mut Draft) {
    match text(path) {
        Ok(text) => FileParser { path, text: &text, broken: BTreeSet::new(), draft }.read(),
        Err(cause) => draft.add_fault(SettingOrigin::File(path.to_path_buf()), cause),
    }
}

fn text(path: &Path) -> Result<String, Cause> {
    let bytes = bounded_file::read(path, BYTES_MAX).map_err(Cause::Unreadable)?;
    let bytes = bytes.ok_or(Cause::TooLong { bytes_max: BYTES_MAX })?;
    String::from_utf8(bytes).map_err(|_| Cause::NotUtf8)
}

struct FileParser<'a> {
    path: &'a Path,
    text: &'a str,
    /// Lines that are not TOML: the parser's values for them are not the intended ones.
    broken: BTreeSet<usize>,
    draft: &'a mut Draft,
}

impl FileParser<'_> {
    fn read(&mut self) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = self.line(error.span().map_or(0, |span| span.start));
            self.broken.insert(line);
            self.draft.add_fault(self.place(line), Cause::Syntax(error.message().to_owned()));
        }
        self.walk("", table.get_ref());
    }

    /// Every key below `prefix`, which is empty or ends in a point.
    fn walk(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = format!("{prefix}{}", name.get_ref());
            let line = self.line(name.span().start);
            let place = self.place(line);
            let below = format!("{path}.");
            let key = KEYS.iter().find(|key| key.path == path);
            let has_keys = KEYS.iter().any(|key| key.path.starts_with(&below));
            match (key, value.get_ref()) {
                (None, DeValue::Table(table)) if has_keys => self.walk(&below, table),
                _ if self.broken.contains(&line) => {}
                (Some(key), value) => self.draft.set(key, RawValue::Toml(value), place),
                (None, _) if has_keys => self.draft.add_fault(place, Cause::NotATable { section: path }),
                (None, DeValue::Table(_)) if prefix.is_empty() => {
                    let nearest = nearest_section(&path);
                    self.draft.add_fault(place, Cause::UnknownSection { section: path, nearest });
                }
                (None, _) => {
                    let nearest = nearest_key(&path);
                    self.draft.add_fault(place, Cause::UnknownKey { key: path, nearest });
                }
            }
        }
    }

    fn place(&self, line: usize) -> SettingOrigin {
        SettingOrigin::Line(self.path.to_path_buf(), line)
    }

    /// The line, counted from 1, of this byte.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}
