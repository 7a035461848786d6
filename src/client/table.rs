//! Text in columns, for people.

/// Lines of cells, each column as wide as its widest cell. Numbers are aligned to the right.
#[derive(Debug)]
pub(super) struct TextTable {
    rows: Vec<Vec<String>>,
    is_number: Vec<bool>,
}

impl TextTable {
    /// A table with these titles; those of numbers begin with `#`, which is left out.
    pub(super) fn new(titles: &[&str]) -> Self {
        let is_number = titles.iter().map(|title| title.starts_with('#')).collect();
        let titles = titles.iter().map(|title| title.trim_start_matches('#').to_owned()).collect();
        Self { rows: vec![titles], is_number }
    }

    /// Adds a line.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, without blanks at their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(move |row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.is_number.len()).map(width).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&widths).zip(&self.is_number).map(|((cell, width), is_number)| {
                if *is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
    }
}

/// A number of bytes with a unit; `None` is unknown.
pub(super) fn bytes(count: Option<u64>) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let Some(count) = count else { return "-".to_owned() };
    let unit = (0..UNITS.len()).rev().find(|unit| count >> (10 * unit) > 0).unwrap_or(0);
    let tenths = (u128::from(count) * 10) >> (10 * unit);
    if unit == 0 { format!("{count} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = TextTable::new(&["NAME", "#IMAGES", "STATE"]);
        table.row(vec!["a-long-name".into(), "7".into(), "active".into()]);
        table.row(vec!["b".into(), "12345678".into(), "out".into()]);
        let lines: Vec<_> = table.lines().collect();
        let expected =
            ["NAME           IMAGES  STATE", "a-long-name         7  active", "b            12345678  out"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn bytes_are_said_in_the_largest_unit_that_fits() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_900_000, "1.8 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(bytes(Some(count)), expected);
        }
        assert_eq!(bytes(None), "-");
    }
}
