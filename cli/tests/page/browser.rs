//! A real Chromium, headless, driven through chromedriver (W3C WebDriver).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const SWITCHES: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// One browser with one page, which ends with this value.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

/// What a page holds: bytes of its heap, nodes whether shown or not, listeners and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) heap: u64,
    pub(crate) nodes: u64,
    pub(crate) listeners: u64,
    pub(crate) documents: u64,
}

impl Browser {
    pub(crate) fn start() -> Self {
        // The port is free a moment longer than this listener lives.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let driver = Command::new("chromedriver")
            // A browser does not start under `faketime`.
            .env_remove("LD_PRELOAD")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs: it is in the package chromium-driver");
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        browser.wait("chromedriver listens", |browser| {
            TcpStream::connect(("127.0.0.1", browser.port)).is_ok()
        });
        let mut switches: Vec<String> = SWITCHES.map(str::to_owned).into();
        let profile = browser._profile.path().display();
        switches.push(format!("--user-data-dir={profile}"));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": switches },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let started = browser.call("POST", "/session", &wanted);
        browser.session = started["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Opens a page at this width, in light or dark, with scripts or without.
    pub(crate) fn open(&self, url: &str, width: u32, scheme: &str, scripts: bool) {
        self.develop(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !scripts }),
        );
        let metrics =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.develop("Emulation.setDeviceMetricsOverride", metrics);
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.develop(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
        self.post("/url", json!({ "url": url }));
    }

    /// The value of an expression on the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        let result = self.develop(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true }),
        );
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Presses a key, by its name in the developer protocol.
    pub(crate) fn press(&self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            if kind == "char" && text.is_empty() {
                continue;
            }
            self.develop(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code }),
            );
        }
    }

    /// Has each page that is opened from now on begin with this script.
    pub(crate) fn begin_pages_with(&self, script: &str) {
        self.develop(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": script }),
        );
    }

    /// What the page holds once everything that no one uses has been collected.
    pub(crate) fn held(&self) -> Held {
        // A node is freed one collection after the last script that knew it.
        for _ in 0..3 {
            self.develop("HeapProfiler.collectGarbage", json!({}));
        }
        let heap = self.develop("Runtime.getHeapUsage", json!({}));
        let counters = self.develop("Memory.getDOMCounters", json!({}));
        let number = |value: &Value| value.as_u64().unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the browser counts bytes in floating point"
        )]
        let heap = heap["usedSize"].as_f64().unwrap() as u64;
        Held {
            heap,
            nodes: number(&counters["nodes"]),
            listeners: number(&counters["jsEventListeners"]),
            documents: number(&counters["documents"]),
        }
    }

    /// What the browser has complained of: errors of scripts, and what the policy forbids.
    pub(crate) fn complaints(&self) -> Value {
        self.post("/se/log", json!({ "type": "browser" }))
    }

    /// Waits until something is so.
    pub(crate) fn wait(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        for _ in 0..400 {
            if happened(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it never happened: {what}");
    }

    fn develop(&self, command: &str, parameters: Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            json!({ "cmd": command, "params": parameters }),
        )
    }

    fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), &body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body).expect("chromedriver answers");
        let value = answer["value"].clone();
        assert!(value["error"].is_null(), "{method} {path}: {value}");
        value
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .ok()?;
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        // The driver keeps the connection open: the length shows where the answer ends.
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).ok()?;
        serde_json::from_slice(&body).ok()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // The end of the session ends the browser; chromedriver itself does not.
            let ended = self.send("DELETE", &format!("/session/{}", self.session), &json!({}));
            assert!(
                ended.is_some() || std::thread::panicking(),
                "the browser has not ended"
            );
        }
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
    }
}
