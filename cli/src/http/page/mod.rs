//! The page for operators, rendered by the server, so that it works without JavaScript. The script only keeps
//! it current.
//!
//! Names come from the stores, which others can write to: everything is escaped.

mod card;
mod moment;
mod plain;
mod terms;
mod timeline;

use hyper::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::overview::Overview;
use super::response::{self, Answer};
use incumbent::election::Election;
use incumbent::observe::StoreHealth;
use incumbent::store::StoreError;

pub(super) use card::{beat, card, card_id, digest, urgency};

const STYLE: &str = include_str!("style.css");
const PLAIN_STYLE: &str = include_str!("plain.css");
const SCRIPT: &str = include_str!("script.js");
const ICON: &str = include_str!("icon.svg");

/// The whole page.
pub(super) fn page(own: &Election, overview: &Overview) -> Answer {
    let name = own.name().as_str();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (name) " · incumbent" }
                link rel="icon" href="icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="page.css";
                noscript {
                    link rel="stylesheet" href="plain.css";
                    meta http-equiv="refresh" content="5";
                }
                script src="page.js" defer {}
            }
            body {
                a.skip href="#elections" { "Skip to the elections" }
                header #head { (head(own, overview)) }
                noscript { (plain::table(overview)) }
                main #elections tabindex="-1" {
                    @for entry in &overview.elections { (card(entry, overview.taken)) }
                }
                footer {
                    span #live role="status" { "as of " (moment::time(overview.taken)) }
                    nav aria-label="For programs" {
                        a href="status" { "status" } " "
                        a href="history" { "history" } " "
                        a href="metrics" { "metrics" }
                    }
                }
            }
        }
    };
    response::with(StatusCode::OK, response::HTML, page.into_string())
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

/// The header above the elections: this process and the stores.
pub(super) fn head(own: &Election, overview: &Overview) -> Markup {
    let metrics = own.metrics();
    let role = if metrics.leading.is_some() {
        "leads"
    } else if metrics.campaigns > 0 {
        "stands by for"
    } else {
        "watches"
    };
    let stores = overview.stores.iter().zip(&metrics.stores);
    html! {
        h1 { "incumbent" }
        p.self { "This process " (role) " " b { (own.name().as_str()) } }
        ul.stores aria-label="Stores" {
            @for ((label, told), health) in stores { (store(label, told.as_ref().err(), health)) }
        }
        @if overview.more > 0 {
            p.note {
                (overview.more) " more elections are not shown: " code { "incumbent list" } " shows all."
            }
        }
    }
}

fn store(label: &str, problem: Option<&StoreError>, health: &StoreHealth) -> Markup {
    let down = problem.is_some() || health.up == Some(false);
    let word = if down { "down" } else { "up" };
    html! {
        li class=(word) {
            span.dot {} code { (label) } " " span.word { (word) }
            @if let Some(problem) = problem { p.problem { (problem) } }
        }
    }
}
