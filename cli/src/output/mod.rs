//! Writing results: data on standard output, aligned and coloured for a terminal, as JSON for programs.

pub(crate) mod hidden;
pub(crate) mod logs;
pub(crate) mod screen;

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use incumbent::observe::date_and_time;
use incumbent::protocol::WallMillis;
use owo_colors::{AnsiColors, OwoColorize};
use serde::Serialize;

use crate::exit::Failure;
use hidden::{escaped, escaped_json};

/// The meaning of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Broken.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    /// The text with the colour of its tone. `print` takes the colour out where there is none.
    pub(crate) fn paint(self, text: &str) -> String {
        let color = match self {
            Self::Good => AnsiColors::Green,
            Self::Odd => AnsiColors::Yellow,
            Self::Bad => AnsiColors::Red,
            Self::Plain => return text.to_owned(),
        };
        text.color(color).to_string()
    }
}

/// Writes text to standard output. Colours are taken out when that is no terminal, and when `NO_COLOR`
/// is set.
///
/// # Errors
///
/// When standard output cannot be written, unless its reader has closed it.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let text = escaped(text);
    let mut stdout = anstream::stdout().lock();
    told(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

/// Writes a line to standard error. If that cannot be written, as on a full disk, there is no one to report it to, and
/// the exit status still counts.
pub(crate) fn complain(line: &str) {
    writeln!(anstream::stderr(), "{line}").ok();
}

/// The text with its colours, or without them where [`print`] takes them out.
pub(crate) fn colored(text: &str) -> String {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

/// Writes bytes to standard output as they are.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn print_raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    told(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes a value as one JSON document.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::internal)?;
    print_raw(format!("{}\n", escaped_json(&text)).as_bytes())
}

/// Writes a value as one line of JSON.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn print_json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::internal)?;
    print_raw(format!("{}\n", escaped_json(&text)).as_bytes())
}

fn told(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::internal(
            format_args!("standard output cannot be written: {error}"),
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The column that is left out when no candidate was given a label.
pub(crate) const LABEL: &str = "LABEL";

/// A column shorter than this is not shortened further.
const SHORTEST: usize = 12;

/// Lays out rows below a header, each in the colour of its tone.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<(Tone, [String; N])>) -> String {
    painted(&lines(&used(header, &rows), header, &rows), &rows)
}

/// The same for a terminal `width` columns wide: the columns in `dispensable` are left out one by one, the first
/// of them first, until the rest fits. Texts longer than their share of the width are shortened before.
pub(crate) fn fitted_table<const N: usize>(
    header: [&str; N],
    mut rows: Vec<(Tone, [String; N])>,
    width: usize,
    dispensable: &[&str],
) -> String {
    let is_too_wide = |lines: &[String]| lines.iter().any(|line| line.chars().count() > width);
    let mut columns = used(header, &rows);
    let mut laid_out = lines(&columns, header, &rows);
    if is_too_wide(&laid_out) {
        for cell in rows.iter_mut().flat_map(|(_, row)| row) {
            *cell = shortened(cell, (width / 3).max(SHORTEST));
        }
        laid_out = lines(&columns, header, &rows);
    }
    for name in dispensable {
        if !is_too_wide(&laid_out) {
            break;
        }
        columns.retain(|column| header[*column] != *name);
        laid_out = lines(&columns, header, &rows);
    }
    painted(&laid_out, &rows)
}

/// The columns to show, by index.
fn used<const N: usize>(header: [&str; N], rows: &[(Tone, [String; N])]) -> Vec<usize> {
    let is_used = |column: &usize| {
        header[*column] != LABEL || rows.iter().any(|(_, row)| !row[*column].is_empty())
    };
    (0..N).filter(is_used).collect()
}

/// Shortens a text longer than `most` in the middle: names often differ at the end.
fn shortened(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let tail = most / 2;
    let head = most - tail - 1;
    let start = text.chars().take(head);
    let end = text.chars().skip(length - tail);
    start.chain(std::iter::once('…')).chain(end).collect()
}

fn lines<const N: usize>(
    columns: &[usize],
    header: [&str; N],
    rows: &[(Tone, [String; N])],
) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|column| header[*column]));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.add_rows(rows.iter().map(|(_, row)| {
        let cells = columns.iter().map(|column| one_line(&row[*column]));
        cells.collect::<Vec<_>>()
    }));
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn painted<const N: usize>(lines: &[String], rows: &[(Tone, [String; N])]) -> String {
    let tones = std::iter::once(Tone::Plain).chain(rows.iter().map(|(tone, _)| *tone));
    let painted = lines.iter().zip(tones);
    painted
        .map(|(line, tone)| tone.paint(line) + "\n")
        .collect()
}

/// Text from a store or an error, as one line for a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let shown = escaped(text);
    shown
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A duration to the millisecond, or from a minute on to the second. On the page it takes less room, and is rough.
pub(crate) fn duration(duration: Duration) -> String {
    let rounded = if duration >= Duration::from_secs(60) {
        Duration::from_secs(duration.as_secs())
    } else {
        Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    };
    if rounded < Duration::from_secs(60) && rounded >= Duration::from_secs(1) {
        let text = format!("{:.3}", rounded.as_secs_f64());
        return format!("{}s", text.trim_end_matches('0').trim_end_matches('.'));
    }
    humantime::format_duration(rounded).to_string()
}

/// A moment for people, in UTC.
pub(crate) fn moment(at: WallMillis) -> String {
    let (date, time) = date_and_time(at);
    format!("{date}T{time}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_that_a_store_can_send_is_shown() {
        let shown = |millis| moment(WallMillis::new(millis).unwrap());
        assert_eq!(shown(1_795_167_000_999), "2026-11-20T09:30:00Z");
        assert_eq!(moment(WallMillis::MAX), "2109-05-15T07:35:11Z");
    }
}
