//! What only the bearer of the token may ask for.

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::response::{self, Answer};
use crate::election::Election;
use crate::protocol::LossReason;

/// What to answer to a request that does not carry the token.
pub(super) fn refusal(token: Option<&SecretString>, given: Option<&HeaderValue>) -> Option<Answer> {
    let Some(token) = token else {
        return Some(response::line(
            StatusCode::FORBIDDEN,
            "control over HTTP is off: it needs a token file",
        ));
    };
    let given = given
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.strip_prefix(b"Bearer "));
    if given.is_some_and(|given| same(given, token.expose_secret().as_bytes())) {
        return None;
    }
    let mut refusal = response::line(StatusCode::UNAUTHORIZED, "this needs the bearer token");
    let challenge = HeaderValue::from_static("Bearer realm=\"incumbent\"");
    refusal
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    Some(refusal)
}

/// Compares in a time that depends on the length of what was given and on nothing else.
fn same(given: &[u8], token: &[u8]) -> bool {
    let mut different = u8::from(given.len() != token.len()) | u8::from(token.is_empty());
    for (at, byte) in given.iter().enumerate() {
        let expected = token.get(at % token.len().max(1)).copied().unwrap_or(0);
        different = std::hint::black_box(different | (byte ^ expected));
    }
    different == 0
}

/// Has the leader of this process resign.
pub(super) fn resign(election: &Election) -> Answer {
    if election.stop_leading(LossReason::Resigned) {
        tracing::info!(
            election = election.name().as_str(),
            "asked to resign over HTTP"
        );
        response::line(
            StatusCode::ACCEPTED,
            "told: the work ends, then the election is released",
        )
    } else {
        response::line(
            StatusCode::CONFLICT,
            "no leader here: there is nothing to resign",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        for (given, token, expected) in [
            ("secret", "secret", true),
            ("secre", "secret", false),
            ("secretsecret", "secret", false),
            ("", "secret", false),
            ("", "", false),
            ("x", "", false),
            ("Secret", "secret", false),
        ] {
            let found = same(given.as_bytes(), token.as_bytes());
            assert_eq!(found, expected, "{given:?} against {token:?}");
        }
    }
}
