//! What an operator typed and read, as text that is the same in every run.
//!
//! Times, ages, ids, process ids and tokens become words. Tokens are numbered as they first appear, so that
//! a transcript still shows whether the leader has changed. Tables are laid out again below their headers,
//! so that they align however long the words are that were replaced.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use super::home::Ended;

/// A transcript under way.
#[derive(Default)]
pub(crate) struct Transcript {
    text: String,
    tokens: BTreeMap<String, String>,
}

impl Transcript {
    /// What happens, for who reads the transcript.
    pub(crate) fn say(&mut self, what: &str) {
        writeln!(self.text, "# {what}\n").unwrap();
    }

    /// A command, what it printed, and its exit status when that is not 0.
    pub(crate) fn command(&mut self, words: &str, ended: &Ended) {
        writeln!(self.text, "$ incumbent {words}").unwrap();
        for part in [&ended.stdout, &ended.stderr] {
            let steady = self.steady(part);
            self.text.push_str(&steady);
        }
        if ended.status != 0 {
            writeln!(self.text, "[status {}]", ended.status).unwrap();
        }
        self.text.push('\n');
    }

    /// Ends the test unless the transcript is the one that is kept as `tests/cli/NAME.txt`. With
    /// `INCUMBENT_REWRITE=1` it is written there instead.
    #[track_caller]
    pub(crate) fn check(&mut self, name: &str) {
        let text = std::mem::take(&mut self.text);
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("INCUMBENT_REWRITE").is_some_and(|value| value == "1") {
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if text != kept {
            let mut lines = kept.lines().zip(text.lines()).enumerate();
            let (at, (kept, found)) = lines
                .find(|(_, (kept, found))| kept != found)
                .unwrap_or((0, ("(one of them ends sooner)", "")));
            panic!(
                "{name}.txt differs from line {} on; INCUMBENT_REWRITE=1 writes it anew\n kept: {kept}\nfound: \
                 {found}\n\n{text}",
                at + 1
            );
        }
    }

    fn steady(&mut self, text: &str) -> String {
        let mut steady = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(columns) = columns(line) else {
                let label = line.trim_start().split("  ").next().unwrap();
                let (label, rest) = line.split_at(line.find(label).unwrap() + label.len());
                let heading = label.trim_start();
                let label = match rest {
                    "" => self.words(label, ""),
                    _ => label.to_owned(),
                };
                writeln!(steady, "{label}{}", self.words(rest, heading)).unwrap();
                continue;
            };
            let mut rows = vec![cells(line, &columns)];
            while let Some(row) = lines.next_if(|next| !next.is_empty()) {
                let mut row = cells(row, &columns);
                for (cell, heading) in row.iter_mut().zip(&rows[0]) {
                    *cell = self.words(cell, heading);
                }
                rows.push(row);
            }
            steady.push_str(&laid_out(&rows, columns[0]));
        }
        steady
    }

    /// Replaces what differs from run to run in a text below this heading, or with this label.
    fn words(&mut self, text: &str, heading: &str) -> String {
        // A machine may or may not let a program have its own cgroup.
        if heading == "contained" {
            return "  LEVEL: COVERS".to_owned();
        }
        let words = text.split(' ').map(|word| {
            let core = word.trim_matches(['(', ')', ',', ':', ';']);
            if core.is_empty() {
                return word.to_owned();
            }
            word.replacen(core, &self.word(core, heading), 1)
        });
        let words: Vec<String> = words.collect();
        let mut text = words.join(" ");
        // "56years 10months 20days" is one span, however many units it has.
        while text.contains("SPAN SPAN") {
            text = text.replace("SPAN SPAN", "SPAN");
        }
        text
    }

    fn word(&mut self, word: &str, heading: &str) -> String {
        let is_number = word.chars().all(|c| c.is_ascii_digit());
        if matches!(
            heading,
            "PID" | "pid" | "BEAT" | "beat" | "VERSION" | "version"
        ) {
            return heading.to_uppercase();
        }
        if heading == "CONTAINED" {
            return "LEVEL".to_owned();
        }
        if is_number && word.len() == 16 {
            let next = self.tokens.len() + 1;
            let known = self.tokens.entry(word.to_owned());
            return known.or_insert_with(|| format!("TOKEN-{next}")).clone();
        }
        // A host, or a user of it.
        let host = word.rsplit('@').next().unwrap();
        if rustix::system::uname().nodename().to_bytes() == host.as_bytes() {
            return word.replace(host, "HERE");
        }
        if is_number && heading == "GAP AFTER" {
            return "GAP".to_owned();
        }
        if word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' {
            return "MOMENT".to_owned();
        }
        // An id is a host, its process, and 16 random digits.
        if let Some((label, random)) = word.rsplit_once(':')
            && random.len() == 16
            && random.chars().all(|c| c.is_ascii_hexdigit())
        {
            let host = label.split(':').next().unwrap();
            return format!("{host}:PID:RANDOM");
        }
        if let Some(port) = word.strip_prefix("redis://127.0.0.1:") {
            // Behind a command that a hint names stands the end of its quotation.
            let behind = port.trim_start_matches(|c: char| c.is_ascii_digit());
            if matches!(behind, "" | "`") {
                return format!("redis://STORE{behind}");
            }
        }
        // What was chosen stays.
        if is_span(word) && !matches!(heading, "window" | "TIMING") {
            return "SPAN".to_owned();
        }
        word.to_owned()
    }
}

/// A duration, as commands print it.
fn is_span(word: &str) -> bool {
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &word[number.len()..];
    let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let units = [
        "ms", "s", "m", "h", "day", "days", "month", "months", "year", "years",
    ];
    digits && units.contains(&unit)
}

/// Where the columns of a table begin, if this is the header of one.
fn columns(line: &str) -> Option<Vec<usize>> {
    let is_header = line.contains("  ")
        && line
            .trim_start()
            .starts_with(|c: char| c.is_ascii_uppercase())
        && line.chars().all(|c| c.is_ascii_uppercase() || c == ' ');
    let starts = (0..line.len()).filter(|&at| {
        let before = &line[..at];
        line.as_bytes()[at] != b' '
            && (before.trim().is_empty() || before.ends_with("  "))
            && !before.ends_with(|c| c != ' ')
    });
    is_header.then(|| starts.collect())
}

/// The cells of a row. What does not stand in its column is cut apart, and so is seen.
fn cells(row: &str, columns: &[usize]) -> Vec<String> {
    let letters: Vec<char> = row.chars().collect();
    let ends = columns[1..].iter().copied().chain([usize::MAX]);
    let cells = columns.iter().zip(ends).map(|(&from, to)| {
        let (from, to) = (from.min(letters.len()), to.min(letters.len()));
        letters[from..to]
            .iter()
            .collect::<String>()
            .trim_end()
            .to_owned()
    });
    cells.collect()
}

fn laid_out(rows: &[Vec<String>], indent: usize) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").unwrap();
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}
