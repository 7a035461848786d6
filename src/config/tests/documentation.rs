use super::{KEYS, Values};

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md"));

/// The lines that the document must have for the table of keys: sections and rows.
fn expected() -> Vec<String> {
    let mut values = Values::default();
    let mut lines = Vec::new();
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            lines.push(format!("### `[{section}]`"));
        }
        let setting = (key.place)(&mut values);
        let default = setting.print().map_or("not set".to_owned(), |value| format!("`{value}`"));
        lines.push(format!("| `{}` | {default} | {} | {} |", key.name(), setting.takes(), key.meaning));
    }
    lines
}

#[test]
fn the_document_has_every_key_with_its_default_and_no_other() {
    let is_of_table = |line: &&str| line.starts_with("### `[") || line.starts_with("| `");
    let (_, keys) = DOCUMENT.split_once("\n## Keys\n").expect("a chapter of the keys");
    let found: Vec<_> = keys.lines().filter(is_of_table).collect();
    let expected = expected();
    let missing: Vec<_> = expected.iter().filter(|line| !found.contains(&line.as_str())).collect();
    assert!(missing.is_empty(), "docs/CONFIGURATION.md lacks these lines: {missing:#?}");
    assert_eq!(found, expected, "docs/CONFIGURATION.md has other lines or another order");
}
