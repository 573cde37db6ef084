//! The commands that hints suggest, with the stores of the current command.

use std::sync::OnceLock;

/// The options that were typed and that any other command needs to look at the same elections.
static SAME_STORES: OnceLock<String> = OnceLock::new();

/// Remembers these options for the hints to come.
pub(crate) fn remember(options: &[String]) {
    let options = options.iter();
    let options: String = options.map(|option| format!(" {}", word(option))).collect();
    SAME_STORES.get_or_init(|| options);
}

/// A command for the same stores as this one, ready to paste: a verb and its flags.
pub(crate) fn command(words: &str, name: Option<&str>) -> String {
    let at = words.find(' ').unwrap_or(words.len());
    let (verb, flags) = words.split_at(at);
    let name = name.map_or_else(String::new, |name| format!(" {}", word(name)));
    let options = SAME_STORES.get().map_or("", String::as_str);
    format!("`incumbent {verb}{name}{flags}{options}`")
}

/// A name as a word of a shell.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}
