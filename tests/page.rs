//! The page in a real Chromium: it is live, it fits, it is used with the keyboard, and it reads without
//! JavaScript.

#![cfg(feature = "http")]

#[path = "page/browser.rs"]
mod browser;

use std::sync::Arc;
use std::time::Duration;

use browser::Browser;
use incumbent::Election;
use incumbent::http::{Server, ServerOptions};
use incumbent::protocol::TimingConfig;
use incumbent::store::MemoryStore;
use serde_json::json;

const TAB: u32 = 9;
const ENTER: u32 = 13;

#[test]
fn the_page_is_live_fits_is_used_with_the_keyboard_and_reads_without_scripts() {
    let store = Arc::new(MemoryStore::new("s"));
    let election = Election::builder("billing")
        .store_object(store)
        .timing(TimingConfig {
            interval: Duration::from_millis(100),
            stall_polls: 6,
            stop_grace: Duration::from_millis(100),
            ..Default::default()
        })
        .build()
        .unwrap();
    let options = ServerOptions::new("127.0.0.1:0".parse().unwrap());
    let server = Server::start(election.clone(), options).unwrap();
    let url = format!("http://{}/", server.address());
    let leadership = election.blocking().campaign().unwrap();
    let browser = Browser::start();

    let mut papers = Vec::new();
    for width in [360, 1440] {
        for scheme in ["light", "dark"] {
            browser.open(&url, width, scheme, true);
            is_live(&browser);
            let fits = "document.documentElement.scrollWidth <= innerWidth";
            assert_eq!(browser.value(fits), true, "{width} px, {scheme}");
            papers.push(browser.value("getComputedStyle(document.body).backgroundColor"));
        }
    }
    assert_ne!(papers[0], papers[1], "light and dark look the same");

    it_beats_and_does_not_grow(&browser);
    what_is_unfolded_stays(&browser, || leadership.resign());
    assert_eq!(browser.complaints(), json!([]));

    browser.open(&url, 360, "light", false);
    let shown = |selector: &str| {
        let script = format!("document.querySelector('{selector}')?.getClientRects().length ?? 0");
        browser.value(&script).as_u64().unwrap() > 0
    };
    assert!(shown("table.plain td") && !shown(".card"));
}

fn is_live(browser: &Browser) {
    browser.wait("the page is live", |browser| {
        let said = browser.value("document.getElementById('live').textContent");
        said.as_str().is_some_and(|said| said.starts_with("Live"))
    });
}

/// A page that stays open is told of beat after beat, and holds no more than before.
fn it_beats_and_does_not_grow(browser: &Browser) {
    let beat = || {
        let text = browser.value("document.querySelector('dd [data-beat]').textContent");
        text.as_str().unwrap().parse::<i64>().unwrap()
    };
    let nodes = || browser.value("document.querySelectorAll('*').length");
    let (first, before) = (beat(), nodes());
    browser.wait("twenty beats", |_| beat() >= first + 20);
    assert_eq!(nodes(), before);
}

/// The list of terms is opened with the keyboard, and is still open, and focused, when its card was
/// written again.
fn what_is_unfolded_stays(browser: &Browser, change: impl FnOnce()) {
    browser.wait("the focus is on the list of terms", |browser| {
        browser.press("Tab", TAB);
        browser.value("document.activeElement.tagName") == "SUMMARY"
    });
    browser.press("Enter", ENTER);
    assert_eq!(
        browser.value("document.querySelector('details').open"),
        true
    );
    change();
    browser.wait("the card says that nobody leads", |browser| {
        let text = browser.value("document.querySelector('.card').textContent");
        text.as_str().unwrap().contains("Nobody leads")
    });
    assert_eq!(
        browser.value("document.querySelector('details').open"),
        true
    );
    assert_eq!(browser.value("document.activeElement.tagName"), "SUMMARY");
}
