//! What is counted and measured, as OpenMetrics text. Labels come from closed sets: no collection, path or query is among them.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use strongroom_ingest::index::records::CollectionRecord;
use strongroom_ingest::pipeline::Progress;

use super::waking::Waking;
use crate::answer::Roster;
use crate::retrieve::Mode;

/// Upper bounds of the latency buckets, in seconds: fine around the milliseconds of a search, coarse up to a minute.
const BUCKETS: [f64; 14] = [0.001, 0.002, 0.004, 0.008, 0.012, 0.02, 0.04, 0.08, 0.16, 0.5, 1.0, 5.0, 20.0, 60.0];

/// How a request ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Outcome {
    pub method: &'static str,
    /// The route's template.
    pub route: String,
    pub status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClientLabel {
    client: String,
}

/// What one kind of client of this process has done since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutboundCounts {
    /// Requests begun.
    pub requests: u64,
    /// Bytes of their bodies.
    pub sent: u64,
    /// Bytes of the answers' bodies.
    pub received: u64,
}

/// Tells how much has left this process, by the name of the client.
pub type Outbound = Arc<dyn Fn() -> Vec<(String, OutboundCounts)> + Send + Sync>;

/// What is read from the pipeline when somebody asks for the metrics.
pub(super) struct Scrape {
    pub progress: Progress,
    pub collections: Vec<CollectionRecord>,
    pub outbound: Vec<(String, OutboundCounts)>,
}

/// Everything counted. Cheap to update from any thread.
pub struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    request_seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    search_seconds: Family<ModeLabel, Histogram, fn() -> Histogram>,
    embedded: Counter,
    finished: Counter,
    committed: Counter,
    documents: Family<StateLabel, Gauge>,
    collections: Gauge,
    missing: Gauge,
    chunks: Gauge,
    queue: Gauge,
    queue_bytes: Gauge,
    paused: Gauge,
    swept: Gauge,
    memory: Gauge,
    waking: Waking,
    outbound_requests: Family<ClientLabel, Counter>,
    outbound_sent: Family<ClientLabel, Counter>,
    outbound_received: Family<ClientLabel, Counter>,
    /// Held while totals that others count are carried over, so that two scrapes do not add the same difference.
    carrying: Mutex<()>,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(histogram as fn() -> Histogram),
            search_seconds: Family::new_with_constructor(histogram as fn() -> Histogram),
            embedded: Counter::default(),
            finished: Counter::default(),
            committed: Counter::default(),
            documents: Family::default(),
            collections: Gauge::default(),
            missing: Gauge::default(),
            chunks: Gauge::default(),
            queue: Gauge::default(),
            queue_bytes: Gauge::default(),
            paused: Gauge::default(),
            swept: Gauge::default(),
            memory: Gauge::default(),
            waking: Waking::default(),
            outbound_requests: Family::default(),
            outbound_sent: Family::default(),
            outbound_received: Family::default(),
            carrying: Mutex::new(()),
        };
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix("strongroom");
        ours.register("http_requests", "Requests answered", metrics.requests.clone());
        let help = "Time from a request's head to its answer's head, by route";
        ours.register_with_unit("http_request", help, Unit::Seconds, metrics.request_seconds.clone());
        ours.register_with_unit("search", "Time of a search, by mode", Unit::Seconds, metrics.search_seconds.clone());
        ours.register("chunks_embedded", "Chunks that went through the model", metrics.embedded.clone());
        ours.register("documents_finished", "Documents finished since the start", metrics.finished.clone());
        ours.register("chunks_committed", "Chunks made searchable since the start", metrics.committed.clone());
        ours.register("documents", "Documents by state; partial ones count as indexed too", metrics.documents.clone());
        ours.register("collections", "Collections", metrics.collections.clone());
        ours.register("collections_missing", "Collections whose watched folder is missing", metrics.missing.clone());
        ours.register("chunks", "Searchable chunks", metrics.chunks.clone());
        ours.register("queue_documents", "Documents waiting or being worked on", metrics.queue.clone());
        ours.register_with_unit("queue", "Source files still to be read", Unit::Bytes, metrics.queue_bytes.clone());
        ours.register("indexing_paused", "1 while nothing is taken up", metrics.paused.clone());
        ours.register("swept", "1 once every watched folder was looked through", metrics.swept.clone());
        ours.register("outbound_requests", "Requests of this process to others", metrics.outbound_requests.clone());
        ours.register_with_unit("outbound_sent", "Sent to others", Unit::Bytes, metrics.outbound_sent.clone());
        ours.register_with_unit("outbound_received", "Received from others", Unit::Bytes, metrics.outbound_received.clone());
        metrics.waking.register(ours);
        registry.register_with_unit("process_resident_memory", "Memory in use", Unit::Bytes, metrics.memory.clone());
        metrics.registry = registry;
        metrics
    }

    pub(super) fn count_request(&self, outcome: Outcome, took: Duration) {
        let route = RouteLabel { route: outcome.route.clone() };
        self.request_seconds.get_or_create(&route).observe(took.as_secs_f64());
        self.requests.get_or_create(&outcome).inc();
    }

    pub(super) fn count_search(&self, mode: Mode, took: Duration) {
        let mode = match mode {
            Mode::Hybrid => "hybrid",
            Mode::Dense => "dense",
            Mode::Lexical => "lexical",
        };
        self.search_seconds.get_or_create(&ModeLabel { mode }).observe(took.as_secs_f64());
    }

    /// Takes over what the pipeline says of itself.
    pub(super) fn take(&self, scrape: &Scrape) {
        let Scrape { progress, collections, outbound } = scrape;
        let _carrying = self.carrying.lock().unwrap_or_else(PoisonError::into_inner);
        raise(&self.finished, progress.finished);
        raise(&self.committed, progress.chunks);
        raise(&self.embedded, progress.embedded);
        for (client, counts) in outbound {
            let client = ClientLabel { client: client.clone() };
            raise(&self.outbound_requests.get_or_create(&client), counts.requests);
            raise(&self.outbound_sent.get_or_create(&client), counts.sent);
            raise(&self.outbound_received.get_or_create(&client), counts.received);
        }
        self.queue.set(progress.pending as i64);
        self.queue_bytes.set(progress.pending_bytes as i64);
        self.paused.set(i64::from(progress.paused.is_some()));
        self.swept.set(i64::from(progress.swept));
        self.collections.set(collections.len() as i64);
        self.missing.set(collections.iter().filter(|record| record.missing.is_some()).count() as i64);
        self.chunks.set(collections.iter().map(|record| record.chunks).sum::<u64>() as i64);
        let states = ["indexed", "partial", "pending", "unreadable", "failed"];
        let mut totals = [0; 5];
        for record in collections {
            let counts = record.counts;
            let each = [counts.indexed, counts.partial, counts.pending, counts.unreadable, counts.failed];
            for (total, count) in totals.iter_mut().zip(each) {
                *total += count;
            }
        }
        for (state, total) in states.into_iter().zip(totals) {
            self.documents.get_or_create(&StateLabel { state }).set(total as i64);
        }
    }

    /// Takes over how often models were woken.
    pub(super) fn take_waking(&self, roster: &Roster) {
        let _carrying = self.carrying.lock().unwrap_or_else(PoisonError::into_inner);
        self.waking.take(roster);
    }

    /// Everything as OpenMetrics text.
    pub(super) fn encode(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            self.memory.set(bytes as i64);
        }
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            // Writing to a string does not fail; if it ever does, what is there must not pass for the whole.
            text.clear();
            let _ = text.write_str("# EOF\n");
        }
        text
    }
}

/// Brings a counter up to a total that somebody else counts.
pub(super) fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Memory of this process that is in RAM, where the system tells it in `/proc`.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use strongroom_ingest::index::records::Counts;
    use strongroom_ingest::model::CollectionId;

    use super::*;

    fn record(name: &str, indexed: u64) -> CollectionRecord {
        CollectionRecord {
            id: CollectionId(1),
            name: name.to_owned(),
            title: name.to_owned(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            watched: None,
            missing: Some("the folder is gone".to_owned()),
            counts: Counts { indexed, partial: 1, pending: 2, unreadable: 3, failed: 4 },
            chunks: 10,
            fingerprint: None,
        }
    }

    #[test]
    fn a_scrape_sums_over_collections_and_names_none() {
        let metrics = Metrics::new();
        let progress =
            Progress { paused: Some("disk".into()), pending: 7, chunks: 30, embedded: 12, finished: 5, ..Progress::default() };
        let outbound = vec![("speech".to_owned(), OutboundCounts { requests: 2, sent: 300, received: 40 })];
        let scrape = Scrape { progress, collections: vec![record("acme", 40), record("zeta", 2)], outbound };
        metrics.take(&scrape);
        metrics.take(&scrape);
        metrics.count_search(Mode::Dense, Duration::from_millis(3));
        let text = metrics.encode();
        for line in [
            "strongroom_documents{state=\"indexed\"} 42",
            "strongroom_documents{state=\"failed\"} 8",
            "strongroom_collections_missing 2",
            "strongroom_chunks 20",
            "strongroom_queue_documents 7",
            "strongroom_outbound_requests_total{client=\"speech\"} 2",
            "strongroom_outbound_sent_bytes_total{client=\"speech\"} 300",
            "strongroom_indexing_paused 1",
            "strongroom_chunks_committed_total 30",
            "strongroom_chunks_embedded_total 12",
            "strongroom_search_seconds_bucket{le=\"0.004\",mode=\"dense\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("acme") && !text.contains("zeta"));
        assert!(text.ends_with("# EOF\n"));
    }
}
