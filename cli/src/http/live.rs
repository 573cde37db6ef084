//! What the page shows, kept current while it is open anywhere, and sent as server-sent events.
//!
//! All viewers share one look at the stores per round, however many there are; without viewers the
//! stores are left alone.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::StatusCode;
use hyper::body::{Bytes, Frame};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use super::overview::{Entry, Overview};
use super::page;
use super::response::{self, Answer};
use incumbent::election::{Election, Observer, clock};
use incumbent::observe::{ElectionView, HistoryView, State};
use incumbent::protocol::{ElectionName, FencingToken, Timestamp};

/// The content type of an event stream.
pub(super) const EVENTS: &str = "text/event-stream";

/// How many pages may be open at a time.
const VIEWERS: usize = 32;

/// How many elections a page shows, the one of this process first.
const SHOWN: usize = 200;

/// How many elections are looked at per round before the rounds become longer.
const PER_ROUND: usize = 50;

/// How many terms of each election are shown, and how old they may become before they are read again.
const TERMS: usize = 100;
const HISTORY_AGE: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub(super) struct Live {
    election: Election,
    observer: Observer,
    latest: watch::Sender<Option<Arc<Overview>>>,
    looking: Arc<Mutex<Looking>>,
    viewers: Arc<Semaphore>,
}

/// What is cached between two looks.
#[derive(Default)]
struct Looking {
    histories: BTreeMap<ElectionName, Kept>,
    last: Option<(Timestamp, Arc<Overview>)>,
}

struct Kept {
    history: Arc<HistoryView>,
    read: Timestamp,
    of: Option<FencingToken>,
}

impl Live {
    pub(super) fn new(election: Election) -> Self {
        Self {
            observer: election.observer(),
            election,
            latest: watch::Sender::new(None),
            looking: Arc::default(),
            viewers: Arc::new(Semaphore::new(VIEWERS)),
        }
    }

    /// Polls the stores while there are viewers.
    pub(super) fn keep_current(&self) -> impl Future<Output = ()> + Send + use<> {
        let live = self.clone();
        async move {
            loop {
                let interval = live.election.timing().interval();
                let mut rounds = 1;
                if live.latest.receiver_count() > 0 {
                    let overview = live.overview().await;
                    rounds = overview.elections.len().div_ceil(PER_ROUND).max(1);
                    live.latest.send_replace(Some(overview));
                }
                let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
                tokio::time::sleep(interval.saturating_mul(rounds)).await;
            }
        }
    }

    /// The current overview. Concurrent requests share one look at the stores.
    pub(super) async fn overview(&self) -> Arc<Overview> {
        let mut looking = self.looking.lock().await;
        let fresh = self.election.timing().interval() / 2;
        if let Some((at, overview)) = &looking.last
            && clock::now().since(*at) < fresh
        {
            return Arc::clone(overview);
        }
        let overview = Arc::new(self.look(&mut looking).await);
        looking.last = Some((clock::now(), Arc::clone(&overview)));
        overview
    }

    async fn look(&self, looking: &mut Looking) -> Overview {
        let listing = self.observer.elections().await;
        let own = self.election.name();
        let mut names = listing.elections;
        names.retain(|name| name != own);
        names.insert(0, own.clone());
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        let views = self.observer.views(&names).await;
        looking.histories.retain(|name, _| names.contains(name));
        let mut elections = Vec::with_capacity(views.len());
        for view in views {
            let history = self.history(looking, &view).await;
            elections.push(Entry { view, history });
        }
        elections.sort_by_key(|entry| page::urgency(&entry.view));
        Overview {
            taken: clock::wall(),
            elections,
            more,
            stores: listing.stores,
        }
    }

    /// The history of an election, read again when its term has changed or some time has passed.
    async fn history(&self, looking: &mut Looking, view: &ElectionView) -> Arc<HistoryView> {
        let of = match &view.state {
            State::Held(holding) => Some(holding.term),
            _ => None,
        };
        let now = clock::now();
        if let Some(kept) = looking.histories.get(&view.election)
            && kept.of == of
            && now.since(kept.read) < HISTORY_AGE
        {
            return Arc::clone(&kept.history);
        }
        let history = Arc::new(self.observer.history(&view.election, TERMS).await);
        let kept = Kept {
            history: Arc::clone(&history),
            read: now,
            of,
        };
        looking.histories.insert(view.election.clone(), kept);
        history
    }

    /// The stream of one viewer.
    pub(super) fn stream(&self) -> Answer {
        let Ok(place) = Arc::clone(&self.viewers).try_acquire_owned() else {
            let problem = format!("{VIEWERS} pages are open already: close one");
            return response::line(StatusCode::SERVICE_UNAVAILABLE, &problem);
        };
        let viewer = Viewer {
            own: self.election.clone(),
            latest: self.latest.subscribe(),
            cards: BTreeMap::new(),
            head: String::new(),
            _place: place,
        };
        let body = StreamBody::new(viewer.stream()).boxed_unsync();
        response::dressed(StatusCode::OK, EVENTS, body)
    }
}

/// One open page, and what it has been sent.
struct Viewer {
    own: Election,
    latest: watch::Receiver<Option<Arc<Overview>>>,
    /// The cards as they were last sent, by the digest of what does not change with every beat.
    cards: BTreeMap<String, u64>,
    head: String,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    fn stream(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
        stream::unfold(self, async |mut viewer| {
            viewer.latest.changed().await.ok()?;
            let overview = viewer.latest.borrow_and_update().clone()?;
            let text = viewer.news(&overview);
            Some((Ok(Frame::data(Bytes::from(text))), viewer))
        })
    }

    /// One event: the cards that have changed, in which order all of them stand, and every beat.
    fn news(&mut self, overview: &Overview) -> String {
        let mut changed = serde_json::Map::new();
        let mut cards = BTreeMap::new();
        let mut order = Vec::new();
        let mut beats = serde_json::Map::new();
        for entry in &overview.elections {
            let id = page::card_id(&entry.view.election);
            let digest = page::digest(entry, overview.taken);
            if self.cards.get(&id) != Some(&digest) {
                changed.insert(
                    id.clone(),
                    page::card(entry, overview.taken).into_string().into(),
                );
            }
            beats.insert(id.clone(), page::beat(&entry.view));
            cards.insert(id.clone(), digest);
            order.push(id);
        }
        self.cards = cards;
        let head = page::head(&self.own, overview).into_string();
        let head = (head != self.head).then(|| {
            self.head.clone_from(&head);
            head
        });
        let news = serde_json::json!({
            "at": overview.taken.get(),
            "head": head,
            "order": order,
            "cards": changed,
            "beats": beats,
        });
        format!("data: {news}\n\n")
    }
}
