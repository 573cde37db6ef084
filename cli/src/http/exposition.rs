//! The metrics in the text format of Prometheus. The one place where they get their names.

use std::collections::BTreeMap;
use std::fmt;
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
use super::response::{self, Answer};
use incumbent::election::Election;
use incumbent::observe::{
    HeartbeatResult, Histogram, KillCause, LOSS_REASONS, Metrics, ProgramCounters, ProgramMetrics,
};
use incumbent::protocol::WallMillis;

pub(super) fn answer(
    election: &Election,
    program: Option<&ProgramCounters>,
    endings: &Endings,
    format: TextFormat,
) -> Answer {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition {
        election: election.name().as_str().to_owned(),
        window: election.timing().window().as_secs_f64(),
        metrics: election.metrics(),
        program: program.map(ProgramCounters::metrics),
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
    program: Option<ProgramMetrics>,
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
    fn gauge(mut self, value: f64) -> fmt::Result {
        self.gauge_of(None, value)
    }

    fn gauge_of(&mut self, label: Label<'_>, value: f64) -> fmt::Result {
        let labels = labels(self.election, label);
        self.encoder.encode_family(&labels)?.encode_gauge(&value)
    }

    fn counter<V: EncodeCounterValue>(mut self, value: V) -> fmt::Result {
        self.counter_of(None, value)
    }

    fn counter_of<V: EncodeCounterValue>(&mut self, label: Label<'_>, value: V) -> fmt::Result {
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
        let gauge = MetricType::Gauge;
        let leads = f64::from(u8::from(metrics.leading.is_some()));
        self.family(
            to,
            gauge,
            "incumbent_leader",
            "Whether this process leads, judged against its deadline when the metrics were read.",
        )?
        .gauge(leads)?;
        if let Some(term) = metrics.leading {
            self.family(
                to,
                gauge,
                "incumbent_fencing_token",
                "The fencing token of the leadership of this process.",
            )?
            .gauge(exact(term.get()))?;
        }
        self.family(
            to,
            gauge,
            "incumbent_tenure_remaining_seconds",
            "How long the leader of this process may still act if no further heartbeat succeeds.",
        )?
        .gauge(metrics.tenure_remaining.as_secs_f64())?;
        self.family(
            to,
            gauge,
            "incumbent_paused",
            "Whether an operator has paused the election, as last seen by this process.",
        )?
        .gauge(f64::from(u8::from(metrics.paused)))?;
        self.family(
            to,
            gauge,
            "incumbent_window_seconds",
            "How long a heartbeat counter must stall before a standby may take over.",
        )?
        .gauge(self.window)?;
        self.family(
            to,
            gauge,
            "incumbent_campaigns",
            "Campaigns under way in this process, its leadership among them.",
        )?
        .gauge(exact(metrics.campaigns))?;
        self.family(
            to,
            gauge,
            "incumbent_loop_age_seconds",
            "How long ago the campaign of this process last did anything.",
        )?
        .gauge(metrics.turned.unwrap_or_default().as_secs_f64())
    }

    fn transitions(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let counter = MetricType::Counter;
        self.family(
            to,
            counter,
            "incumbent_elected",
            "Leaderships won by this process.",
        )?
        .counter(metrics.elected)?;
        let mut ended = self.family(
            to,
            counter,
            "incumbent_leaderships_ended",
            "Leaderships of this process that ended, by reason.",
        )?;
        for (reason, count) in LOSS_REASONS.iter().zip(&metrics.ended) {
            ended.counter_of(Some(("reason", reason.word())), *count)?;
        }
        let mut last_ended = self.family(
            to,
            MetricType::Gauge,
            "incumbent_term_ended_timestamp_seconds",
            "When a term of any leader last ended, by reason, from the history in the stores.",
        )?;
        for (reason, at) in &self.ended {
            let seconds = Duration::from_millis(at.get()).as_secs_f64();
            last_ended.gauge_of(Some(("reason", reason)), seconds)?;
        }
        self.family(
            to,
            counter,
            "incumbent_claims_failed",
            "Claims of this process that did not get a majority.",
        )?
        .counter(metrics.claims_failed)?;
        self.family(
            to,
            counter,
            "incumbent_overruns",
            "Times that the work of this process outlived its tenure.",
        )?
        .counter(metrics.overruns)?;
        self.family(
            to,
            counter,
            "incumbent_leaderless_seconds",
            "Time without a leader that this process has watched, of the gaps that are over.",
        )?
        .counter(metrics.leaderless.as_secs_f64())
    }

    fn heartbeats(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let mut beats = self.family(
            to,
            MetricType::Counter,
            "incumbent_heartbeats",
            "Heartbeats sent by this process, one per store, by result.",
        )?;
        for (result, count) in HeartbeatResult::ALL.iter().zip(&metrics.heartbeats) {
            beats.counter_of(Some(("result", result.word())), *count)?;
        }
        self.family(
            to,
            MetricType::Histogram,
            "incumbent_heartbeat_duration_seconds",
            "How long heartbeats took, from the request to the answer or the failure.",
        )?
        .histogram(&metrics.heartbeat_seconds)?;
        let mut stores = self.family(
            to,
            MetricType::Gauge,
            "incumbent_store_up",
            "Whether the store answered the last request of this process.",
        )?;
        for store in &metrics.stores {
            if let Some(up) = store.up {
                stores.gauge_of(Some(("store", &store.store)), f64::from(u8::from(up)))?;
            }
        }
        Ok(())
    }

    fn program(&self, program: &ProgramMetrics, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counter = MetricType::Counter;
        self.family(
            to,
            MetricType::Gauge,
            "incumbent_program_up",
            "Whether the program runs.",
        )?
        .gauge(f64::from(u8::from(program.up)))?;
        self.family(
            to,
            counter,
            "incumbent_program_starts",
            "How often the program was started.",
        )?
        .counter(program.starts)?;
        self.family(
            to,
            counter,
            "incumbent_program_stops",
            "How often the program exited after it was asked to stop.",
        )?
        .counter(program.stops)?;
        self.family(
            to,
            counter,
            "incumbent_program_stop_seconds",
            "Total time the program took to exit after it was asked to stop.",
        )?
        .counter(program.stop_time.as_secs_f64())?;
        let mut kills = self.family(
            to,
            counter,
            "incumbent_program_kills",
            "How often the program was killed, by cause.",
        )?;
        for (cause, count) in KillCause::ALL.iter().zip(&program.kills) {
            kills.counter_of(Some(("cause", cause.word())), *count)?;
        }
        let mut checks = self.family(
            to,
            counter,
            "incumbent_program_health_checks",
            "How often the health of the program was checked, by result.",
        )?;
        checks.counter_of(Some(("result", "passed")), program.checks_passed)?;
        checks.counter_of(Some(("result", "failed")), program.checks_failed)
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
