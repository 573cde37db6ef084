//! The page for people.

use super::*;

#[test]
fn the_page_shows_every_election_and_escapes_what_the_stores_hold() {
    let store = Arc::new(MemoryStore::new("s"));
    let leading = election("billing", &store);
    let hostile = election("<script>alert(1)</script>", &store);
    let server = serve(&leading, None);
    let leadership = leading.blocking().campaign().unwrap();
    let other = hostile.blocking().campaign().unwrap();
    let page = ask(&server, "GET", "/", "");
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'")
    );
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.body.contains("<script>alert"));
    assert!(page.body.contains(&leadership.fencing_token().to_string()));
    assert!(
        page.body.contains("<table class=\"plain\">"),
        "without JavaScript it is a table"
    );
    for asset in ["/page.css", "/page.js", "/plain.css", "/icon.svg"] {
        assert_eq!(status(&server, asset), 200, "{asset}");
    }
    other.resign();
    leadership.resign();
}

#[test]
fn the_page_is_told_of_every_beat() {
    let store = Arc::new(MemoryStore::new("s"));
    let leading = election("billing", &store);
    let server = serve(&leading, None);
    let leadership = leading.blocking().campaign().unwrap();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(stream, "GET /events HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut news = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap()));
    let mut next = move || -> serde_json::Value { news.next().expect("the stream goes on") };
    let first = next();
    let id = first["order"][0].as_str().unwrap().to_owned();
    assert!(first["cards"][&id].as_str().unwrap().contains("billing"));
    let beat = |news: &serde_json::Value| news["beats"][&id]["beat"].as_i64().unwrap();
    while beat(&next()) == beat(&first) {}
    leadership.resign();
    // The card is sent again when it says something else, and only then.
    let vacant = loop {
        let news = next();
        if news["cards"]
            .as_object()
            .is_some_and(|cards| !cards.is_empty())
            && news["beats"][&id].is_null()
        {
            break news;
        }
    };
    assert!(
        vacant["cards"][&id]
            .as_str()
            .unwrap()
            .contains("No one leads")
    );
}

/// How many pages may be open at a time, as docs/http.md says.
const PAGES: usize = 32;

#[test]
fn a_page_too_many_is_told_so_and_may_come_when_another_has_gone() {
    let store = Arc::new(MemoryStore::new("s"));
    let server = serve(&election("billing", &store), None);
    let open = || {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        (answer, line)
    };
    let mut pages: Vec<_> = (0..PAGES).map(|_| open()).collect();
    for (_, line) in &pages {
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    }
    // An answer to it would not end, if there were one.
    let (_, line) = open();
    assert!(line.starts_with("HTTP/1.1 503"), "{line}");
    // The page itself is there, and says what is so now.
    assert_eq!(status(&server, "/"), 200);
    pages.pop();
    let again = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        open().1.starts_with("HTTP/1.1 200")
    });
    assert!(again, "no page has come in the place of the one that went");
}

#[test]
fn the_page_shows_what_is_not_led_first() {
    let store = Arc::new(MemoryStore::new("s"));
    let (led, unled) = (election("aaa", &store), election("zzz", &store));
    let server = serve(&led, None);
    let leadership = led.blocking().campaign().unwrap();
    unled.blocking().campaign().unwrap().resign();
    let page = ask(&server, "GET", "/", "").body;
    let place = |name: &str| page.find(&format!("-name\">{name}</h2>")).unwrap();
    assert!(place("zzz") < place("aaa"), "{page}");
    leadership.resign();
}
