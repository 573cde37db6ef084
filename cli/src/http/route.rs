//! Routes requests.

use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;

use super::endings::Endings;
use super::live::Live;
use super::negotiation::TextFormat;
use super::response::{self, Answer};
use super::{ServerOptions, control, exposition, health, page};
use incumbent::election::Election;
use incumbent::observe::document::{Document, History, Status};

/// How many terms `/history` lists by default, and at most.
const TERMS: usize = 50;
const MOST_TERMS: usize = 300;

/// How many requests for documents read the stores at a time. The others wait, since heartbeats take the same way. So
/// does the page, of which one is made at a time.
const READERS: usize = 2;

pub(super) struct Router {
    election: Election,
    options: ServerOptions,
    live: Live,
    endings: Endings,
    readers: Arc<Semaphore>,
    page: Arc<Semaphore>,
}

impl Router {
    pub(super) fn new(election: Election, options: ServerOptions) -> Self {
        let live = Live::new(election.clone());
        Self {
            election,
            options,
            live,
            endings: Endings::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            page: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) const fn live(&self) -> &Live {
        &self.live
    }

    /// Keeps the history in the metrics current.
    pub(super) async fn keep_endings(&self) {
        self.endings.keep_current(&self.election).await;
    }

    pub(super) async fn answer(&self, request: &Parts) -> Answer {
        let path = request.uri.path();
        if let "/resign" | "/pause" | "/resume" = path {
            return self.control(path, request).await;
        }
        let head = request.method == Method::HEAD;
        if !head && request.method != Method::GET {
            return not_allowed("GET, HEAD");
        }
        // A HEAD request starts no stream.
        if head && path == "/events" {
            return response::with(StatusCode::OK, super::live::EVENTS, "");
        }
        let answer = self.read(path, request).await;
        if head {
            response::headless(answer)
        } else {
            answer
        }
    }

    async fn read(&self, path: &str, request: &Parts) -> Answer {
        match path {
            "/livez" => health::alive(&self.election),
            "/readyz" => health::ready(&self.election),
            "/leader" => health::leader(&self.election),
            "/standby" => health::standby(&self.election),
            "/metrics" => {
                let format = TextFormat::wanted(&request.headers);
                let program = self.options.program.clone();
                exposition::answer(&self.election, program, &self.endings, format)
            }
            "/status" => {
                let election = self.election.clone();
                let view = in_turn(&self.readers, async move { election.status().await }).await;
                response::json(&Document::<Status>::from(&view))
            }
            "/history" => self.history(request.uri.query()).await,
            "/" => {
                let live = self.live.clone();
                let overview = in_turn(&self.page, async move { live.overview().await }).await;
                page::page(&self.election, &overview)
            }
            "/page.css" => page::style(),
            "/plain.css" => page::plain_style(),
            "/page.js" => page::script(),
            "/icon.svg" => page::icon(),
            "/events" => self.live.stream(),
            _ => response::line(StatusCode::NOT_FOUND, "there is nothing here: try /"),
        }
    }

    async fn history(&self, query: Option<&str>) -> Answer {
        let Some(terms) = terms(query) else {
            let given = query.unwrap_or_default();
            let problem = format!("?{given:.40}: write ?terms=N, N from 1 to {MOST_TERMS}");
            return response::line(StatusCode::BAD_REQUEST, &problem);
        };
        let election = self.election.clone();
        let history = in_turn(&self.readers, async move { election.history(terms).await });
        response::json(&Document::<History>::from(&history.await))
    }

    async fn control(&self, path: &str, request: &Parts) -> Answer {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        let given = request.headers.get(header::AUTHORIZATION);
        if let Some(refusal) = control::refusal(self.options.token.as_ref(), given) {
            return refusal;
        }
        match path {
            "/pause" => control::pause(&self.election, request.uri.query()).await,
            "/resume" => control::resume(&self.election).await,
            _ => control::resign(&self.election),
        }
    }
}

/// Reads the stores in its turn. What has begun goes on although its client has left, and so keeps its place until it
/// ends.
async fn in_turn<T: Send + 'static>(
    places: &Arc<Semaphore>,
    reading: impl Future<Output = T> + Send + 'static,
) -> T {
    let place = Arc::clone(places).acquire_owned().await;
    let reading = tokio::spawn(async move {
        let _place = place;
        reading.await
    });
    reading.await.expect("no read panics or is aborted")
}

fn not_allowed(methods: &'static str) -> Answer {
    let problem = format!("only {methods} is allowed here");
    let mut answer = response::line(StatusCode::METHOD_NOT_ALLOWED, &problem);
    let allowed = HeaderValue::from_static(methods);
    answer.headers_mut().insert(header::ALLOW, allowed);
    answer
}

/// The number in `terms=N`.
fn terms(query: Option<&str>) -> Option<usize> {
    let Some(query) = query else {
        return Some(TERMS);
    };
    let number: usize = query.strip_prefix("terms=")?.parse().ok()?;
    (1..=MOST_TERMS).contains(&number).then_some(number)
}
