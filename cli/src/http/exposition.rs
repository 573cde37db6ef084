//! The metrics in the text format of Prometheus. The one place where they get their names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::endings::Endings;
use super::negotiation::TextFormat;
use super::program::{KillCause, ProgramCounters};
use super::response::{self, Answer};
use incumbent::election::Election;
use incumbent::observe::{HeartbeatResult, Histogram, LOSS_REASONS, Metrics};
use incumbent::protocol::WallMillis;

pub(super) fn answer(
    election: &Election,
    program: Option<Arc<ProgramCounters>>,
    endings: &Endings,
    format: TextFormat,
) -> Answer {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition {
        election: election.name().as_str().to_owned(),
        window: election.timing().window().as_secs_f64(),
        metrics: election.metrics(),
        program,
        ended: endings.latest(),
    }));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => response::with(StatusCode::OK, format.content_type(), format.written(text)),
        Err(error) => response::line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[derive(Debug)]
struct Exposition {
    election: String,
    window: f64,
    metrics: Metrics,
    program: Option<Arc<ProgramCounters>>,
    /// When a term last ended, by reason.
    ended: BTreeMap<&'static str, WallMillis>,
}

/// One metric of the election: every sample carries the label `election`, and perhaps one more.
struct Family<'a> {
    election: &'a str,
    encoder: MetricEncoder<'a>,
}

type Label<'a> = Option<(&'a str, &'a str)>;

impl Family<'_> {
    fn gauge(&mut self, label: Label<'_>, value: f64) -> fmt::Result {
        let labels = labels(self.election, label);
        self.encoder.encode_family(&labels)?.encode_gauge(&value)
    }

    fn counter<V: EncodeCounterValue>(&mut self, label: Label<'_>, value: V) -> fmt::Result {
        let labels = labels(self.election, label);
        let mut sample = self.encoder.encode_family(&labels)?;
        sample.encode_counter::<NoLabelSet, V, f64>(&value, None)
    }

    fn histogram(mut self, histogram: &Histogram) -> fmt::Result {
        let bounds = Histogram::BOUNDS.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts.iter().copied()).collect();
        let (sum, count) = (histogram.sum.as_secs_f64(), histogram.count());
        let labels = labels(self.election, None);
        let mut sample = self.encoder.encode_family(&labels)?;
        sample.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

fn labels<'a>(election: &'a str, label: Label<'a>) -> Vec<(&'a str, &'a str)> {
    std::iter::once(("election", election))
        .chain(label)
        .collect()
}

/// Writes metrics: the help, the type and the name of each, and its value, or its values by one more label.
macro_rules! metrics {
    ($exposition:expr, $to:expr; $(
        $(#[doc = $help:literal])* $kind:ident $name:literal $(by $label:literal)? = $value:expr;
    )*) => {
        $(metrics!(@ $kind $exposition.family($to, metrics!(% $kind), $name, concat!($($help),*).trim_start())?,
            $($label,)? $value);)*
    };
    (@ gauge $family:expr, $value:expr) => { $family.gauge(None, f64::from($value))? };
    (@ gauge $family:expr, $label:literal, $values:expr) => {
        let mut family = $family;
        for (word, value) in $values {
            family.gauge(Some(($label, word)), value)?;
        }
    };
    (@ counter $family:expr, $value:expr) => { $family.counter(None, $value)? };
    (@ counter $family:expr, $label:literal, $values:expr) => {
        let mut family = $family;
        for (word, value) in $values {
            family.counter(Some(($label, word)), value)?;
        }
    };
    (@ histogram $family:expr, $value:expr) => { $family.histogram($value)? };
    (% gauge) => { MetricType::Gauge };
    (% counter) => { MetricType::Counter };
    (% histogram) => { MetricType::Histogram };
}

impl Exposition {
    fn family<'a>(
        &'a self,
        encoder: &'a mut DescriptorEncoder<'_>,
        kind: MetricType,
        name: &'a str,
        help: &str,
    ) -> Result<Family<'a>, fmt::Error> {
        Ok(Family {
            election: &self.election,
            encoder: encoder.encode_descriptor(name, help, None, kind)?,
        })
    }

    fn leadership(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        metrics! { self, to;
            /// Whether this process leads, judged against its deadline when the metrics were read.
            gauge "incumbent_leader" = u8::from(metrics.leading.is_some());
        }
        if let Some(term) = metrics.leading {
            metrics! { self, to;
                /// The fencing token of the leadership of this process.
                gauge "incumbent_fencing_token" = exact(term.get());
            }
        }
        metrics! { self, to;
            /// How long the leader of this process may still act if no further heartbeat succeeds.
            gauge "incumbent_tenure_remaining_seconds" = metrics.tenure_remaining.as_secs_f64();
            /// Whether an operator has paused the election, as last seen by this process.
            gauge "incumbent_paused" = u8::from(metrics.paused);
            /// How long a heartbeat counter must stall before a standby may take over.
            gauge "incumbent_window_seconds" = self.window;
            /// Campaigns under way in this process, its leadership among them.
            gauge "incumbent_campaigns" = exact(metrics.campaigns);
            /// How long ago the campaign of this process last did anything.
            gauge "incumbent_loop_age_seconds" = metrics.turned.unwrap_or_default().as_secs_f64();
        }
        Ok(())
    }

    fn transitions(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let reasons = LOSS_REASONS.iter().map(|reason| reason.word());
        let seconds = |at: &WallMillis| Duration::from_millis(at.get()).as_secs_f64();
        let ended = self.ended.iter().map(|(reason, at)| (*reason, seconds(at)));
        metrics! { self, to;
            /// Leaderships won by this process.
            counter "incumbent_elected" = metrics.elected;
            /// Leaderships of this process that ended, by reason.
            counter "incumbent_leaderships_ended" by "reason" = reasons.zip(metrics.ended.iter().copied());
            /// When a term of any leader last ended, by reason, from the history in the stores.
            gauge "incumbent_term_ended_timestamp_seconds" by "reason" = ended;
            /// Claims of this process that did not get a majority.
            counter "incumbent_claims_failed" = metrics.claims_failed;
            /// Times that the work of this process outlived its tenure.
            counter "incumbent_overruns" = metrics.overruns;
            /// Time without a leader that this process has watched, of the gaps that are over.
            counter "incumbent_leaderless_seconds" = metrics.leaderless.as_secs_f64();
        }
        Ok(())
    }

    fn heartbeats(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let results = HeartbeatResult::ALL.iter().map(|result| result.word());
        let up = metrics.stores.iter().filter_map(|store| {
            let up = f64::from(u8::from(store.up?));
            Some((&*store.store, up))
        });
        metrics! { self, to;
            /// Heartbeats sent by this process, one per store, by result.
            counter "incumbent_heartbeats" by "result" = results.zip(metrics.heartbeats.iter().copied());
            /// How long heartbeats took, from the request to the answer or the failure.
            histogram "incumbent_heartbeat_duration_seconds" = &metrics.heartbeat_seconds;
            /// Whether the store answered the last request of this process.
            gauge "incumbent_store_up" by "store" = up;
        }
        Ok(())
    }

    fn program(&self, program: &ProgramCounters, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stop_time = Duration::from_nanos(get(&program.stop_nanos));
        let kills = KillCause::WORDS
            .into_iter()
            .zip(program.kills.iter().map(get));
        let checks = [
            ("passed", get(&program.checks_passed)),
            ("failed", get(&program.checks_failed)),
        ];
        metrics! { self, to;
            /// Whether the program runs.
            gauge "incumbent_program_up" = u8::from(program.up.load(Ordering::Relaxed));
            /// How often the program was started.
            counter "incumbent_program_starts" = get(&program.starts);
            /// How often the program exited after it was asked to stop.
            counter "incumbent_program_stops" = get(&program.stops);
            /// Total time the program took to exit after it was asked to stop.
            counter "incumbent_program_stop_seconds" = stop_time.as_secs_f64();
            /// How often the program was killed, by cause.
            counter "incumbent_program_kills" by "cause" = kills;
            /// How often the health of the program was checked, by result.
            counter "incumbent_program_health_checks" by "result" = checks;
        }
        Ok(())
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let to = &mut encoder;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        to.encode_descriptor(
            "incumbent_build",
            "What this process was built from.",
            None,
            MetricType::Info,
        )?
        .encode_info(&version)?;
        self.leadership(to)?;
        self.transitions(to)?;
        self.heartbeats(to)?;
        match &self.program {
            Some(program) => self.program(program, to),
            None => Ok(()),
        }
    }
}

/// A number of at most 53 bits, as every sample is a double. Terms are no larger.
#[expect(
    clippy::cast_precision_loss,
    reason = "a term fits 53 bits, and no counter gets that far"
)]
const fn exact(number: u64) -> f64 {
    number as f64
}
