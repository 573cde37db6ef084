//! What the texts of people and stores may hold: each is checked once, when it becomes a value.

/// Checks a text that has at most `max` bytes, all of which `fit`.
pub(super) fn check(
    what: &'static str,
    text: &str,
    max: usize,
    (fits, allowed): (impl Fn(char) -> bool, &'static str),
) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty { what, max });
    }
    if text.len() > max {
        let bytes = text.len();
        return Err(InvalidText::TooLong { what, bytes, max });
    }
    match text.char_indices().find(|(_, c)| !fits(*c)) {
        Some((at, character)) => Err(InvalidText::Character {
            what,
            character,
            at,
            allowed,
        }),
        None => Ok(()),
    }
}

/// Checks a text that every store carries and that is shown anywhere without quoting.
pub(crate) fn check_word(what: &'static str, text: &str, max: usize) -> Result<(), InvalidText> {
    let allowed = "only printable ASCII without blanks, |, {, }, \" and \\ is allowed";
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '|' | '{' | '}' | '"' | '\\');
    check(what, text, max, (fits, allowed))
}

/// Why a text is not a valid name, id or reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidText {
    /// It is empty.
    #[error("the {what} is empty: give it 1 to {max} bytes")]
    Empty {
        /// What it was to be.
        what: &'static str,
        /// The most bytes allowed.
        max: usize,
    },
    /// It is too long.
    #[error("the {what} has {bytes} bytes: at most {max} are allowed")]
    TooLong {
        /// What it was to be.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// It holds a character that is not allowed.
    #[error("the {what} holds {character:?} at byte {at}: {allowed}")]
    Character {
        /// What it was to be.
        what: &'static str,
        /// The first such character.
        character: char,
        /// Its position in bytes.
        at: usize,
        /// What is allowed.
        allowed: &'static str,
    },
}
