//! Reading elections without taking part in them: for status, history, lists and alarms.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;

use super::{ConfigError, runtime};
use crate::observe::{Answers, ElectionView, HistoryView, StoreView};
use crate::protocol::{ElectionName, Electorate};
use crate::store::{Examination, Store, StoreError};

/// Reads the elections of an electorate. It writes nothing, and is not listed among the candidates.
///
/// Every answer is a majority's: a store that is down is named in it, and is not an error.
///
/// # Examples
///
/// ```
/// use incumbent::election::Observer;
/// use incumbent::observe::State;
/// use incumbent::store::MemoryStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let observer = Observer::new([MemoryStore::new("example")])?;
/// assert_eq!(observer.view(&"billing".parse()?).await.state, State::Absent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Observer {
    stores: Arc<[Arc<dyn Store>]>,
    electorate: Electorate,
}

/// The elections that the stores have records of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// Their names, sorted.
    pub elections: Vec<ElectionName>,
    /// The stores asked, in configuration order, with the error of each that did not answer.
    pub stores: Answers<()>,
}

impl Observer {
    /// How many elections [`Observer::views`] asks for at a time.
    const AT_ONCE: usize = 32;

    /// An observer of 1, 3 or 5 stores, each by itself or as an `Arc` of a store that others use too.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for any other number of stores, for one that is given twice, and for files beside servers.
    pub fn new(stores: impl IntoIterator<Item = impl Store>) -> Result<Self, ConfigError> {
        let shared = |store| Arc::new(store) as Arc<dyn Store>;
        let stores: Vec<_> = stores.into_iter().map(shared).collect();
        let electorate = Self::check(&stores)?;
        Ok(Self::of(&stores, electorate))
    }

    /// Checks that the same addresses mean the same stores to all their users.
    pub(super) fn check(stores: &[Arc<dyn Store>]) -> Result<Electorate, ConfigError> {
        let electorate = Electorate::new(stores.len())?;
        let mut seen = BTreeSet::new();
        // A server has the same address under both of its names.
        let place = |label: &str| match label.strip_prefix("valkey") {
            Some(rest) => format!("redis{rest}"),
            None => label.to_owned(),
        };
        let twice = stores
            .iter()
            .find(|store| !seen.insert(place(store.label())));
        if let Some(twice) = twice {
            return Err(ConfigError::SameStore {
                store: twice.label().to_owned(),
            });
        }
        let (files, servers): (Vec<_>, Vec<_>) =
            stores.iter().partition(|store| store.is_of_one_host());
        match (files.first(), servers.first()) {
            (Some(file), Some(server)) => Err(ConfigError::MixedHosts {
                file: file.label().to_owned(),
                server: server.label().to_owned(),
            }),
            _ => Ok(electorate),
        }
    }

    pub(super) fn of(stores: &[Arc<dyn Store>], electorate: Electorate) -> Self {
        Self {
            stores: stores.into(),
            electorate,
        }
    }

    /// The stores, in configuration order.
    #[must_use]
    pub fn stores(&self) -> &[Arc<dyn Store>] {
        &self.stores
    }

    /// The number of stores, and their majority.
    #[must_use]
    pub const fn electorate(&self) -> Electorate {
        self.electorate
    }

    /// One election now: its leader, its candidates, and what each store says. It takes one round trip, and
    /// at most the `op_timeout` of the stores.
    pub async fn view(&self, election: &ElectionName) -> ElectionView {
        let (observer, looked_at) = (self.clone(), election.clone());
        let looked = on_the_runtime(async move { observer.look(looked_at).await }).await;
        looked.unwrap_or_else(|refused| self.unseen(election, &refused))
    }

    /// The state of several elections now, in the order given.
    pub async fn views(&self, elections: &[ElectionName]) -> Vec<ElectionView> {
        let (observer, looked_at) = (self.clone(), elections.to_vec());
        let looked = on_the_runtime(async move {
            stream::iter(looked_at)
                .map(|election| observer.look(election))
                .buffered(Self::AT_ONCE)
                .collect()
                .await
        });
        looked.await.unwrap_or_else(|refused| {
            let unseen = |election| self.unseen(election, &refused);
            elections.iter().map(unseen).collect()
        })
    }

    /// The last `terms` leaderships of an election, newest first.
    pub async fn history(&self, election: &ElectionName, terms: usize) -> HistoryView {
        let asked = election.clone();
        let answers = self.ask(|store| {
            let (asked, entries) = (asked.clone(), HistoryView::entries(terms));
            async move { store.history(&asked, entries).await }
        });
        HistoryView::merge(election.clone(), self.electorate, terms, answers.await)
    }

    /// The names of all elections that any store has a record of. If a node of a cluster cannot be asked, they are
    /// those of the other nodes.
    pub async fn elections(&self) -> Listing {
        let mut elections = Vec::new();
        let mut stores = Vec::new();
        let answers = self.ask(|store| async move { Ok(store.known_elections().await) });
        for (label, answer) in answers.await {
            let failed = match answer {
                Ok((names, failed)) => {
                    elections.extend(names);
                    failed
                }
                Err(error) => Some(error),
            };
            stores.push((label, failed.map_or(Ok(()), Err)));
        }
        elections.sort_unstable();
        elections.dedup();
        Listing { elections, stores }
    }

    /// What each store reports about itself. It tries the four operations where they can be refused.
    pub async fn examine(&self) -> Answers<Examination> {
        self.ask(|store| async move { store.examine().await }).await
    }

    /// One election, read now and then every `every`, for as long as the stream is kept. A slow reader
    /// sees fewer views, never a backlog of old ones. When the system refuses a thread for it, the
    /// stream ends after one view that names the error.
    pub fn watch(
        &self,
        election: &ElectionName,
        every: Duration,
    ) -> impl Stream<Item = ElectionView> + Send + Unpin + use<> {
        let (sender, receiver) = mpsc::channel(1);
        let (observer, looked_at) = (self.clone(), election.clone());
        match runtime::started() {
            Ok(handle) => drop(handle.spawn(async move {
                // A permit first: a view is taken only when the reader is ready for it.
                while let Ok(permit) = sender.reserve().await {
                    permit.send(observer.look(looked_at.clone()).await);
                    tokio::select! {
                        () = tokio::time::sleep(every) => {}
                        () = sender.closed() => return,
                    }
                }
            })),
            Err(refused) => {
                let unseen = self.unseen(election, &Arc::new(refused));
                sender.try_send(unseen).expect("the channel is empty");
            }
        }
        stream::unfold(receiver, async |mut receiver| {
            let view = receiver.recv().await?;
            Some((view, receiver))
        })
        .boxed()
    }

    pub(super) async fn look(&self, election: ElectionName) -> ElectionView {
        let asked = self
            .stores
            .iter()
            .map(async |store| StoreView::new(store.label(), store.inspect(&election).await));
        let stores = join_all(asked).await;
        ElectionView::merge(election.clone(), self.electorate, stores)
    }

    /// Asks every store the same question.
    async fn ask<T, F>(&self, question: impl Fn(Arc<dyn Store>) -> F) -> Answers<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let asked = self.stores.iter();
        let asked = asked.map(|store| (store.label().into(), question(Arc::clone(store))));
        answers(asked.collect()).await
    }

    /// The election as unreadable, for lack of a thread.
    fn unseen(&self, election: &ElectionName, refused: &Arc<io::Error>) -> ElectionView {
        let stores = self.stores.iter().map(|store| {
            let error = unasked(store.label().into(), refused);
            StoreView::new(store.label(), Err(error))
        });
        ElectionView::merge(election.clone(), self.electorate, stores.collect())
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels = self.stores.iter().map(|store| store.label());
        f.debug_list().entries(labels).finish()
    }
}

/// The answer to a question when the system refuses the election thread.
pub(super) fn unasked(store: Arc<str>, refused: &Arc<io::Error>) -> StoreError {
    let source = Arc::clone(refused);
    StoreError::Unreachable { store, source }
}

/// What each store answers to a question.
pub(super) async fn answers<T, F>(asked: Vec<(Arc<str>, F)>) -> Answers<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let (labels, asked): (Vec<Arc<str>>, Vec<F>) = asked.into_iter().unzip();
    match on_the_runtime(join_all(asked)).await {
        Ok(answers) => labels.into_iter().zip(answers).collect(),
        Err(refused) => {
            let unasked = |store: Arc<str>| (store.clone(), Err(unasked(store, &refused)));
            labels.into_iter().map(unasked).collect()
        }
    }
}

/// Stores are asked only on the election thread, wherever the caller runs.
///
/// # Errors
///
/// When the system refuses that thread.
pub(super) async fn on_the_runtime<F>(asking: F) -> Result<F::Output, Arc<io::Error>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match runtime::started()?.spawn(asking).await {
        Ok(output) => Ok(output),
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => unreachable!("the runtime of the elections runs as long as the process"),
    }
}
