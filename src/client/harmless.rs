//! Texts from outside, made fit for a terminal. Pure.

/// Characters of a text from outside that are printed.
const TEXT_CHARS_MAX: usize = 1000;

/// A text from outside, without what could command a terminal, and not endless.
pub(super) fn harmless(text: &str) -> String {
    let shown = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(TEXT_CHARS_MAX).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_cannot_command_a_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(harmless(&"x".repeat(5000)).len(), TEXT_CHARS_MAX);
    }
}
