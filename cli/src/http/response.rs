//! Building responses.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// Nothing but the page's own files, and nothing that frames it or is sent by it elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A response with a body.
pub(super) fn with(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Answer {
    dressed(status, content, Full::new(body.into()).boxed_unsync())
}

/// A response with a body of any kind.
pub(super) fn dressed(
    status: StatusCode,
    content: &'static str,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, content),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    for (name, value) in fixed {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// One line of text.
pub(super) fn line(status: StatusCode, line: &str) -> Answer {
    with(status, TEXT, format!("{line}\n"))
}

/// A JSON document.
pub(super) fn json(document: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(document) {
        Ok(mut body) => {
            body.push(b'\n');
            with(StatusCode::OK, JSON, body)
        }
        Err(error) => line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The same response without its body, as HEAD wants it.
pub(super) fn headless(answer: Answer) -> Answer {
    answer.map(|_| Empty::new().boxed_unsync())
}
