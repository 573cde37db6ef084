//! `incumbent doctor [NAME]`: what is dangerous about the stores and the timing, and what to do about it.

mod findings;

use std::time::Duration;

use incumbent::election::{Observer, clock};
use incumbent::observe::ElectionView;
use incumbent::protocol::{ElectionName, Timing};
use serde::Serialize;

use super::args::{Doctor, Format};
use super::electorate;
use super::exit::{Exit, Failure};
use super::output::{self, one_line};
use super::runtime;
use super::settings::{Settings, Typed};
use findings::{Evidence, Finding, Severity};

/// How often each store is asked to learn how long it takes.
const SAMPLES: usize = 10;

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    election: Option<String>,
    stores: Vec<Examined>,
    findings: Vec<Finding>,
}

/// What was learnt of one store.
#[derive(Serialize)]
struct Examined {
    store: String,
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
    let mut typed = Typed::general(&arguments.general)?;
    typed.stores(&arguments.stores)?;
    typed.timing(&arguments.timing)?;
    let settings = Settings::load(typed, name.as_ref())?;
    super::warn(&settings);
    let timing = settings.timing()?;
    let observer = electorate::observe(&settings)?;
    let evidence = runtime()?.block_on(gather(&observer, name.as_ref(), timing));
    let findings = findings::judge(&evidence);
    match arguments.output.output {
        Format::Json => output::print_json(&document(name.as_ref(), &evidence, findings.clone()))?,
        Format::Text => output::print(&text(&findings))?,
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(match worst {
        Some(Severity::Danger) => Exit::Endangered,
        Some(Severity::Warning) => Exit::Questionable,
        Some(Severity::Note) | None => Exit::Success,
    })
}

async fn gather(observer: &Observer, name: Option<&ElectionName>, timing: Timing) -> Evidence {
    let scratch = ElectionName::new("incumbent-doctor").expect("this is a name");
    let looked_at = name.unwrap_or(&scratch);
    let mut latencies = vec![Duration::ZERO; observer.stores().len()];
    let mut offsets = vec![None; observer.stores().len()];
    for _ in 0..SAMPLES {
        for (at, store) in observer.stores().iter().enumerate() {
            let alone = Observer::new(vec![store.clone()]).expect("one store is an electorate");
            let (sent, wall) = (clock::now(), clock::wall());
            let view = alone.view(looked_at).await;
            let took = clock::now().since(sent);
            let answered = view
                .stores
                .first()
                .and_then(|one| one.inspection.as_ref().ok());
            if let Some(inspection) = answered {
                latencies[at] = latencies[at].max(took);
                offsets[at] = Some(offset(inspection.clock.get(), wall.get(), took));
            }
        }
    }
    Evidence {
        timing,
        electorate: observer.electorate(),
        view: look(observer, name).await,
        stores: observer
            .examine()
            .await
            .into_iter()
            .enumerate()
            .map(|(at, (store, examination))| findings::StoreEvidence {
                store: store.to_string(),
                examination,
                latency: offsets[at].map(|_| latencies[at]),
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
                version: store.fact("redis_version").map(str::to_owned),
                role: store.fact("role").map(str::to_owned),
                latency_ms: store.latency.map(|took| took.as_secs_f64() * 1000.0),
                clock_offset_ms: store.clock_offset_ms,
            })
            .collect(),
        findings,
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
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
        if let Some(risk) = &finding.risk {
            text.push_str(&format!("  risk  {risk}\n"));
        }
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("  fix   {fix}\n"));
        }
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
