//! Numbers as the stores write them.

/// A decimal without sign, blanks or leading zeros.
pub(crate) fn canonical(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}
