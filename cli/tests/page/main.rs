//! The page in a real Chromium: it is live, it fits, it is used with the keyboard, and it reads without
//! JavaScript.

mod browser;

use std::sync::Arc;
use std::time::Duration;

use browser::Browser;
use incumbent::Election;
use incumbent::protocol::TimingConfig;
use incumbent::store::MemoryStore;
use incumbent_cli::http::{Server, ServerOptions};
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
            stall_polls: 30,
            stop_grace: Duration::from_secs(1),
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

    // At 1440 px the terms fit into their card, and every moment reads alike.
    browser.open(&url, 1440, "light", true);
    is_live(&browser);
    let unfold =
        |open: bool| browser.value(&format!("document.querySelector('details').open = {open}"));
    unfold(true);
    let fits =
        "[...document.querySelectorAll('.scroll')].every(x => x.scrollWidth <= x.clientWidth)";
    assert_eq!(browser.value(fits), true, "the terms are clipped");
    unfold(false);
    let alike = "[...document.querySelectorAll('time[data-at], #live')].every(x => \
        /\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC$/.test(x.textContent))";
    assert_eq!(browser.value(alike), true, "moments in several formats");

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

/// How many updates a page gets in an hour at the usual interval.
const AN_HOUR: u64 = 3600;

/// How often a card is written again in an hour: at least once a minute, for its timeline.
const REWRITTEN: u64 = 60;

/// Counts the updates that arrive, before the page itself sees them.
const COUNTING: &str = "
window.updates = 0;
const Source = window.EventSource;
window.EventSource = class extends Source {
  set onmessage(show) { super.onmessage = (message) => { window.updates++; show(message); }; }
};";

/// As many updates as an hour brings, in less than that; in real time, as many minutes of it as
/// `PAGE_MINUTES` says.
#[test]
fn a_page_that_is_open_for_an_hour_holds_no_more_than_before() {
    let minutes = std::env::var("PAGE_MINUTES").map(|minutes| minutes.parse::<u64>().unwrap());
    let (interval, updates) = match minutes {
        Ok(minutes) => (Duration::from_secs(1), minutes * 60),
        Err(_) => (Duration::from_millis(10), AN_HOUR),
    };
    let election = Election::builder("billing")
        .store_object(MemoryStore::new("s"))
        .timing(TimingConfig {
            interval,
            // Eight seconds, however often it beats: this test asks much of a slow machine.
            stall_polls: u32::try_from(8000 / interval.as_millis()).unwrap(),
            ..Default::default()
        })
        .build()
        .unwrap();
    let options = ServerOptions::new("127.0.0.1:0".parse().unwrap());
    let server = Server::start(election.clone(), options).unwrap();
    let leadership = election.blocking().campaign().unwrap();
    let browser = Browser::start();
    browser.begin_pages_with(COUNTING);
    browser.open(
        &format!("http://{}/", server.address()),
        1440,
        "light",
        true,
    );
    is_live(&browser);
    let told = || browser.value("updates").as_u64().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let operator = election.operator();
    // A card is as it was after each second order.
    let live_on = |updates: u64, cards: u64| {
        let from = told();
        for card in 0..cards {
            let ordered = runtime.block_on(async {
                match card % 2 {
                    0 => operator.pause(None, None).await,
                    _ => operator.resume().await,
                }
            });
            ordered.unwrap();
            let until = from + updates * (card + 1) / cards;
            let (mut before, mut still) = (told(), 0);
            while told() < until {
                std::thread::sleep(interval.max(Duration::from_millis(50)));
                // It goes on, however slowly.
                let now = told();
                still = if now == before { still + 1 } else { 0 };
                assert!(still < 400, "updates have stopped: {now} of {until}");
                before = now;
            }
        }
    };
    // Code is compiled, and caches fill, at first.
    live_on(updates / 10, REWRITTEN / 10);
    let before = browser.held();
    live_on(updates, REWRITTEN);
    let after = browser.held();
    println!("{updates} updates: {before:?}, then {after:?}");
    leadership.resign();
    assert_eq!(browser.complaints(), json!([]));
    assert_eq!(
        (after.listeners, after.documents),
        (before.listeners, before.documents)
    );
    // Less than a node for each card that was written again, and than twenty bytes for each update.
    assert!(after.nodes < before.nodes + REWRITTEN, "{after:?}");
    let grown = after.heap.saturating_sub(before.heap);
    assert!(grown < 20 * updates.max(AN_HOUR), "{grown} bytes more");
}

fn is_live(browser: &Browser) {
    browser.wait("the page is live", |browser| {
        let said = browser.value("document.getElementById('live').textContent");
        said.as_str().is_some_and(|said| said.starts_with("Live"))
    });
}

/// A page that stays open gets beat after beat, and holds no more memory than before.
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
    browser.wait("the card shows that no one leads", |browser| {
        let text = browser.value("document.querySelector('.card').textContent");
        text.as_str().unwrap().contains("No one leads")
    });
    assert_eq!(
        browser.value("document.querySelector('details').open"),
        true
    );
    assert_eq!(browser.value("document.activeElement.tagName"), "SUMMARY");
}
