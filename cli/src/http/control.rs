//! The requests that need the token.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::response::{self, Answer};
use incumbent::election::{CompletedOrder, Election, OrderError};
use incumbent::protocol::{LossReason, Reason};

/// The answer to a request without the token.
pub(super) fn refusal(token: Option<&SecretString>, given: Option<&HeaderValue>) -> Option<Answer> {
    let Some(token) = token else {
        return Some(response::line(
            StatusCode::FORBIDDEN,
            "control over HTTP is off: it needs a token file",
        ));
    };
    let given = given
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.split_at_checked(b"Bearer ".len()))
        .and_then(|(scheme, given)| scheme.eq_ignore_ascii_case(b"Bearer ").then_some(given));
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

/// Compares in a time that depends only on the lengths.
fn same(given: &[u8], token: &[u8]) -> bool {
    !token.is_empty() && bool::from(given.ct_eq(token))
}

/// Makes the leader in this process resign, as an operator's order would.
pub(super) fn resign(election: &Election) -> Answer {
    if election.stop_leading(LossReason::Requested) {
        tracing::info!(
            election = election.name().as_str(),
            "asked to resign over HTTP"
        );
        response::line(
            StatusCode::ACCEPTED,
            "accepted: the work ends, then the election is released",
        )
    } else {
        response::line(
            StatusCode::CONFLICT,
            "no leader here: there is nothing to resign",
        )
    }
}

/// The longest query of an order, in bytes.
const MAX_QUERY: usize = 1024;

/// Pauses the election of this process on all its stores: `seconds=N` for how long, `reason=TEXT` why.
pub(super) async fn pause(election: &Election, query: Option<&str>) -> Answer {
    match pause_of(query.unwrap_or_default()) {
        Ok((lasts, reason)) => told("paused", election.operator().pause(lasts, reason).await),
        Err(problem) => response::line(StatusCode::BAD_REQUEST, &problem),
    }
}

/// Lifts the pause of the election of this process.
pub(super) async fn resume(election: &Election) -> Answer {
    told("resumed", election.operator().resume().await)
}

fn told(done: &str, given: Result<CompletedOrder, OrderError>) -> Answer {
    match given {
        Ok(given) => {
            tracing::info!("{done} over HTTP");
            let text = format!(
                "{done} on {} of {} stores",
                given.granted(),
                given.stores.len()
            );
            response::line(StatusCode::OK, &text)
        }
        Err(error) => response::line(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn pause_of(query: &str) -> Result<(Option<Duration>, Option<Reason>), String> {
    let (mut lasts, mut reason) = (None, None);
    if query.len() > MAX_QUERY {
        return Err(format!("the query has more than {MAX_QUERY} bytes"));
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "seconds" if lasts.is_none() => {
                let seconds = value.parse::<u64>().ok().filter(|seconds| *seconds > 0);
                let wrong = || format!("seconds must be a whole number above 0, not {value:.40?}");
                lasts = Some(Duration::from_secs(seconds.ok_or_else(wrong)?));
            }
            "reason" if reason.is_none() => {
                let text = decoded(value).map_err(|why| format!("reason={value:.40}: {why}"))?;
                reason = Some(Reason::new(&text).map_err(|error| error.to_string())?);
            }
            "seconds" | "reason" => return Err(format!("{name} is given twice")),
            other => {
                return Err(format!(
                    "{other:.40?} is no part of a pause: seconds, reason"
                ));
            }
        }
    }
    Ok((lasts, reason))
}

/// Decodes a percent-encoded value. An invalid one is refused, not guessed at.
fn decoded(value: &str) -> Result<String, String> {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let coded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = coded else {
            let shown: String = part.chars().take(2).collect();
            return Err(format!(
                "\"%{shown}\" is no byte: write % and two hexadecimal digits, and a percent sign as %25"
            ));
        };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| "the bytes that it spells are no UTF-8".to_owned())
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
