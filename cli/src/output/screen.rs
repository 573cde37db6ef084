//! A terminal on which lines are redrawn in place: only those that have changed are written.

use std::io::stdout;

use rustix::termios::tcgetwinsize;

/// The lines and columns of a terminal that does not report its size.
const LINES: usize = 24;
const COLUMNS: usize = 80;

/// The contents of the terminal.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    shown: Vec<String>,
    height: usize,
    width: usize,
}

impl Screen {
    /// How many lines the terminal on standard output has now.
    pub(crate) fn height() -> usize {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_row > 0 => size.ws_row.into(),
            Ok(_) | Err(_) => LINES,
        }
    }

    /// How many columns it has.
    pub(crate) fn width() -> usize {
        match tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 => size.ws_col.into(),
            Ok(_) | Err(_) => COLUMNS,
        }
    }

    /// What to write so that a terminal of this height and width shows exactly these lines. Lines that do not fit
    /// are left out.
    pub(crate) fn draw(&mut self, text: &str, height: usize, width: usize) -> String {
        let lines: Vec<String> = text.lines().take(height).map(str::to_owned).collect();
        let mut drawn = String::new();
        let mut write = |row: usize, what: &str| {
            drawn.push_str(&format!("\u{1b}[{};1H{what}", row + 1));
        };
        if (height, width) != (self.height, self.width) {
            // Its size has changed, and with it every position: a narrower terminal has cut or wrapped its lines.
            write(0, "\u{1b}[J");
            self.shown.clear();
        }
        for (row, line) in lines.iter().enumerate() {
            if self.shown.get(row) != Some(line) {
                write(row, &format!("{line}\u{1b}[K"));
            }
        }
        if self.shown.len() > lines.len() {
            write(lines.len(), "\u{1b}[J");
        } else if let Some(last) = lines.len().checked_sub(1) {
            write(last, "");
        }
        self.shown = lines;
        (self.height, self.width) = (height, width);
        // A line that is wider than the terminal is cut, and does not go on in the place of the next.
        format!("\u{1b}[?7l{drawn}\u{1b}[?7h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is drawn, which no line of it leaves.
    fn unwrapped(drawn: &str) -> &str {
        let inner = drawn.strip_prefix("\u{1b}[?7l");
        let inner = inner.and_then(|inner| inner.strip_suffix("\u{1b}[?7h"));
        inner.expect("lines do not go on in the next")
    }

    #[test]
    fn only_what_has_changed_is_drawn_again() {
        let mut screen = Screen::default();
        let first = screen.draw("a\nb\nc\n", 4, 80);
        assert_eq!(
            first,
            "\u{1b}[?7l\u{1b}[1;1H\u{1b}[J\u{1b}[1;1Ha\u{1b}[K\u{1b}[2;1Hb\u{1b}[K\u{1b}[3;1Hc\u{1b}[K\u{1b}[3;1H\u{1b}[?7h"
        );
        assert_eq!(unwrapped(&screen.draw("a\nb\nc\n", 4, 80)), "\u{1b}[3;1H");
        assert_eq!(
            unwrapped(&screen.draw("a\nB\nc\n", 4, 80)),
            "\u{1b}[2;1HB\u{1b}[K\u{1b}[3;1H"
        );
        assert_eq!(unwrapped(&screen.draw("a\n", 4, 80)), "\u{1b}[2;1H\u{1b}[J");
        // What does not fit is left out, and a terminal of another size is drawn anew.
        let small = screen.draw("a\nb\nc\n", 2, 80);
        assert!(
            unwrapped(&small).starts_with("\u{1b}[1;1H\u{1b}[J"),
            "{small:?}"
        );
        assert!(!small.contains('c'), "{small:?}");
        assert_eq!(unwrapped(&screen.draw("a\nb\n", 2, 80)), "\u{1b}[2;1H");
        let wide = screen.draw("a\nb\n", 2, 100);
        assert!(
            unwrapped(&wide).starts_with("\u{1b}[1;1H\u{1b}[J"),
            "{wide:?}"
        );
    }
}
