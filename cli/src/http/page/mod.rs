//! The page: what an operator wants to see, written by the server, so that it reads without JavaScript
//! too. The script only keeps it current.
//!
//! Names come from the stores, which anybody may have written to: everything is escaped.

mod card;
mod moment;
mod plain;
mod terms;
mod timeline;

use std::fmt::{self, Write};

use hyper::StatusCode;

use super::overview::Overview;
use super::response::{self, Answer};
use incumbent::election::Election;
use incumbent::observe::StoreHealth;

pub(super) use card::{beat, card, card_id, digest, urgency};

const STYLE: &str = include_str!("style.css");
const PLAIN_STYLE: &str = include_str!("plain.css");
const SCRIPT: &str = include_str!("script.js");
const ICON: &str = include_str!("icon.svg");

/// The whole page.
pub(super) fn page(own: &Election, overview: &Overview) -> Answer {
    let mut html = String::with_capacity(16 * 1024);
    html.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>",
    );
    html.push_str(&escaped(own.name().as_str()));
    html.push_str(
        " · incumbent</title>\n\
         <link rel=\"icon\" href=\"icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"page.css\">\n\
         <noscript><link rel=\"stylesheet\" href=\"plain.css\">\
         <meta http-equiv=\"refresh\" content=\"5\"></noscript>\n\
         <script src=\"page.js\" defer></script>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#elections\">Skip to the elections</a>\n\
         <header id=\"head\">",
    );
    html.push_str(&head(own, overview));
    html.push_str("</header>\n<noscript>\n");
    html.push_str(&plain::table(overview));
    html.push_str("</noscript>\n<main id=\"elections\" tabindex=\"-1\">\n");
    for entry in &overview.elections {
        html.push_str(&card(entry, overview.taken));
    }
    html.push_str("</main>\n<footer><span id=\"live\" role=\"status\">as of ");
    html.push_str(&moment::time(overview.taken));
    html.push_str(
        "</span><nav aria-label=\"For programs\"><a href=\"status\">status</a> \
         <a href=\"history\">history</a> <a href=\"metrics\">metrics</a></nav></footer>\n\
         </body>\n</html>\n",
    );
    response::with(StatusCode::OK, response::HTML, html)
}

pub(super) fn style() -> Answer {
    response::with(StatusCode::OK, "text/css; charset=utf-8", STYLE)
}

pub(super) fn plain_style() -> Answer {
    response::with(StatusCode::OK, "text/css; charset=utf-8", PLAIN_STYLE)
}

pub(super) fn script() -> Answer {
    response::with(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)
}

pub(super) fn icon() -> Answer {
    response::with(StatusCode::OK, "image/svg+xml", ICON)
}

/// What stands above the elections: this process, and the stores.
pub(super) fn head(own: &Election, overview: &Overview) -> String {
    let metrics = own.metrics();
    let role = if metrics.leading.is_some() {
        "leads"
    } else if metrics.campaigns > 0 {
        "stands by for"
    } else {
        "watches"
    };
    let mut html = format!(
        "<h1>incumbent</h1><p class=\"self\">This process {role} <b>{}</b></p><ul class=\"stores\" aria-label=\"Stores\">",
        escaped(own.name().as_str())
    );
    for ((label, told), health) in overview.stores.iter().zip(&metrics.stores) {
        let problem = told.as_ref().err().map(ToString::to_string);
        html.push_str(&store(label, problem.as_deref(), health));
    }
    html.push_str("</ul>");
    if overview.more > 0 {
        put(
            &mut html,
            format_args!(
                "<p class=\"note\">{} more elections are not shown: <code>incumbent list</code> shows all.</p>",
                overview.more
            ),
        );
    }
    html
}

fn store(label: &str, problem: Option<&str>, health: &StoreHealth) -> String {
    let down = problem.is_some() || health.up == Some(false);
    let (class, word) = if down { ("down", "down") } else { ("up", "up") };
    let mut html = format!(
        "<li class=\"{class}\"><span class=\"dot\"></span><code>{}</code> <span class=\"word\">{word}</span>",
        escaped(label)
    );
    if let Some(problem) = problem {
        put(
            &mut html,
            format_args!("<p class=\"problem\">{}</p>", escaped(problem)),
        );
    }
    html.push_str("</li>");
    html
}

/// Writes into a string, which cannot fail.
fn put(html: &mut String, arguments: fmt::Arguments<'_>) {
    html.write_fmt(arguments)
        .expect("a string takes whatever is written to it");
}

/// The text, safe inside an element and inside a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
