//! `incumbent doctor [NAME]`: what is dangerous about the stores and the timing, and what to do about it.

mod findings;

use std::time::Duration;

use crate::supervise::{self, Contain, Event, Keeper, Launched, Quota};
use incumbent::election::{Observer, clock};
use incumbent::observe::ElectionView;
use incumbent::protocol::{ElectionName, Timing};
use incumbent::store::StoreError;
use rustix::thread::{CapabilitySet, capabilities};
use serde::Serialize;

use super::electorate;
use super::keeping;
use super::runtime;
use crate::config::args::{Doctor, Format};
use crate::config::keys::KEYS;
use crate::exit::{Exit, Failure};
use crate::output::{self, Tone, duration, one_line, table};
use findings::{Evidence, Finding, Keeping, Severity, StoreEvidence};

/// How many requests measure the latency of each store, over a connection that stands.
const SAMPLES: usize = 10;

/// How long a keeper may take to start.
const KEEPER_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    election: Option<String>,
    stores: Vec<Examined>,
    containment: Option<&'static str>,
    findings: Vec<Finding>,
}

/// The evidence about one store.
#[derive(Serialize)]
struct Examined {
    store: String,
    server: Option<String>,
    version: Option<String>,
    role: Option<String>,
    latency_ms: Option<f64>,
    clock_offset_ms: Option<i64>,
}

/// Examines the stores.
///
/// # Errors
///
/// A configuration that cannot be used. What is wrong with a store is a finding.
pub(crate) fn doctor(arguments: &Doctor) -> Result<Exit, Failure> {
    let name = super::optional_name(arguments.name.as_deref())?;
    let settings = super::settings(&arguments.flags.0, name.as_ref())?;
    let timing = settings.timing()?;
    // The candidates' own timing is a better measure than defaults.
    let mut timings = KEYS.iter().filter(|key| key.is_timing());
    let is_chosen = timings.any(|key| settings.chosen(key.name).is_some());
    // While this process has one thread, as a keeper is launched by `run`.
    let (launched, asked) = (keeping::launch(&settings), settings.values.contain);
    let observer = electorate::observe(&settings)?;
    let evidence = runtime()?.block_on(async {
        let keeping = keep_nothing(launched, asked).await;
        let chosen = is_chosen.then_some(timing);
        gather(&observer, name.as_ref(), chosen, keeping).await
    });
    let findings = findings::judge(&evidence);
    match arguments.output.output {
        Format::Json => output::print_json(&document(name.as_ref(), &evidence, findings.clone()))?,
        Format::Text => output::print(&text(&evidence, &findings))?,
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(match worst {
        Some(Severity::Danger) => Exit::Endangered,
        Some(Severity::Warning) => Exit::Questionable,
        Some(Severity::Note) | None => Exit::Success,
    })
}

/// Starts a keeper as `run` does, without a program, and returns how it would keep one.
async fn keep_nothing(
    launched: Result<Launched, Failure>,
    asked: Contain,
) -> Result<Keeping, String> {
    let launched = launched.map_err(|failure| failure.to_string())?;
    let keeper = Keeper::attach(launched);
    let mut keeper = keeper.map_err(|error| format!("the keeper cannot be reached: {error}"))?;
    let event = tokio::time::timeout(KEEPER_PATIENCE, keeper.event()).await;
    keeper.close().await;
    match event {
        Ok(Event::Ready {
            containment,
            memory_locked,
            real_time,
        }) => Ok(Keeping {
            asked,
            containment,
            memory_locked,
            real_time,
            reads_others: capabilities(None)
                .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE)),
            quota: Quota::of_this_process(),
        }),
        Ok(Event::Uncontained(why)) => Err(why),
        Ok(_) => Err("the keeper exited at once".to_owned()),
        Err(_) => Err(format!(
            "the keeper did not start within {KEEPER_PATIENCE:?}"
        )),
    }
}

async fn gather(
    observer: &Observer,
    name: Option<&ElectionName>,
    chosen: Option<Timing>,
    keeping: Result<Keeping, String>,
) -> Evidence {
    let scratch = ElectionName::new("incumbent-doctor").expect("this is a name");
    let looked_at = name.unwrap_or(&scratch);
    let mut latencies = vec![None; observer.stores().len()];
    let mut offsets = vec![None; observer.stores().len()];
    // The first request to each store also connects, looks up names and gets the password.
    drop(observer.view(looked_at).await);
    for _ in 0..SAMPLES {
        for (at, store) in observer.stores().iter().enumerate() {
            let alone = Observer::new([store.clone()]).expect("one store is an electorate");
            let (sent, wall) = (clock::now(), clock::wall());
            let view = alone.view(looked_at).await;
            let took = clock::now().since(sent);
            match view.stores.first().map(|one| &one.inspection) {
                Some(Ok(inspection)) => {
                    latencies[at] = latencies[at].max(Some(took));
                    offsets[at] = Some(offset(inspection.clock.get(), wall.get(), took));
                }
                // It answers, and the record of this one election cannot be read.
                Some(Err(StoreError::Garbled { .. })) => {
                    latencies[at] = latencies[at].max(Some(took))
                }
                Some(Err(_)) | None => {}
            }
        }
    }
    Evidence {
        chosen,
        keeping,
        electorate: observer.electorate(),
        view: look(observer, name).await,
        stores: observer
            .examine()
            .await
            .into_iter()
            .enumerate()
            .map(|(at, (store, examination))| StoreEvidence {
                store: store.to_string(),
                examination,
                latency: latencies[at],
                clock_offset_ms: offsets[at],
            })
            .collect(),
    }
}

async fn look(observer: &Observer, name: Option<&ElectionName>) -> Option<ElectionView> {
    Some(observer.view(name?).await)
}

/// How far a store's clock is ahead of ours, taken at the middle of the request.
fn offset(store_ms: u64, wall_ms: u64, took: Duration) -> i64 {
    let half = u64::try_from(took.as_millis() / 2).unwrap_or(0);
    let ours = i64::try_from(wall_ms.saturating_add(half)).unwrap_or(i64::MAX);
    i64::try_from(store_ms).unwrap_or(i64::MAX) - ours
}

fn document(name: Option<&ElectionName>, evidence: &Evidence, findings: Vec<Finding>) -> Document {
    Document {
        schema: "incumbent.doctor.v1",
        election: name.map(|name| name.as_str().to_owned()),
        stores: evidence
            .stores
            .iter()
            .map(|store| Examined {
                store: store.store.clone(),
                server: store.server().map(|(name, _)| name.to_owned()),
                version: store.server().map(|(_, version)| version.to_owned()),
                role: store.fact("role").map(str::to_owned),
                latency_ms: store.latency.map(|took| took.as_secs_f64() * 1000.0),
                clock_offset_ms: store.clock_offset_ms,
            })
            .collect(),
        containment: evidence
            .keeping
            .as_ref()
            .ok()
            .map(|kept| kept.containment.level()),
        findings,
    }
}

fn row(store: &StoreEvidence) -> (Tone, [String; 5]) {
    let offset = store.clock_offset_ms.map(|offset| match offset {
        0 => "as ours".to_owned(),
        offset => {
            let by = duration(Duration::from_millis(offset.unsigned_abs()));
            format!("{by} {}", if offset > 0 { "ahead" } else { "behind" })
        }
    });
    let tone = match (&store.examination, store.latency) {
        (Ok(_), Some(_)) => Tone::Plain,
        _ => Tone::Bad,
    };
    let row = [
        store.store.clone(),
        match store.server() {
            Some((name, version)) => format!("{name} {version}"),
            None => String::new(),
        },
        store.fact("role").unwrap_or_default().to_owned(),
        match store.latency {
            Some(latency) => format!("{:.1}ms", latency.as_secs_f64() * 1000.0),
            None => "no answer".to_owned(),
        },
        offset.unwrap_or_default(),
    ];
    (tone, row)
}

fn text(evidence: &Evidence, findings: &[Finding]) -> String {
    const HEADER: [&str; 5] = ["STORE", "SERVER", "ROLE", "LATENCY", "CLOCK"];
    let rows = evidence.stores.iter().map(row);
    let mut text = table(HEADER, rows.collect());
    text.push('\n');
    if let Ok(kept) = &evidence.keeping {
        let level = kept.containment.level();
        let covers = supervise::covers(level).unwrap_or_default();
        text.push_str(&format!("{level} is in force here: {covers}\n"));
    }
    for finding in findings {
        let (tone, mark) = (finding.severity.tone(), finding.severity.word());
        let about = finding.store.as_deref().map(|store| format!("{store}: "));
        let head = format!(
            "{mark}: {}{}",
            about.unwrap_or_default(),
            one_line(&finding.found)
        );
        text.push_str(&tone.paint(&head));
        text.push('\n');
        text.push_str(&format!("  risk  {}\n", finding.risk));
        text.push_str(&format!("  fix   {}\n", finding.fix));
    }
    let count = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    text.push_str(&format!(
        "{} dangerous, {} to look at, {} to know\n",
        count(Severity::Danger),
        count(Severity::Warning),
        count(Severity::Note)
    ));
    text
}
