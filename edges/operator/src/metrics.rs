//! What is counted and measured, for Prometheus.
//!
//! Every counter is made at the start and held by its handle, so counting is an addition to an atomic number: no lock, no
//! allocation, no look-up by name. What the service carries at a moment is asked for only when somebody reads.
//!
//! The text is made by `prometheus-client`, the library of the Prometheus project itself: unlike the exporter of the `metrics`
//! façade it needs no recorder for the whole process and no task that empties buckets. Its histogram sits behind a lock, which
//! is why there is one here.

mod durations;
mod meter;
mod outcome;
mod sorted;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use strait_channel::{FLOWS, Flow, Place, Side};

use crate::operated::Load;
use crate::shown;
pub(crate) use durations::Durations;
pub use meter::{Meter, Seen};
pub use outcome::Outcome;
use sorted::Sorted;

/// Bounds of signing times in microseconds: programs sign in a millisecond, people in a minute.
const SIGNING_BOUNDS: &[u32] =
    &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000, 60_000_000];

/// Bounds of commit times in microseconds: around an fsync, from memory to a tired disk.
const COMMIT_BOUNDS: &[u32] =
    &[25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 102_400, 409_600, 1_638_400];

/// The media type of what `/metrics` gives.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PLACES: [Place; 4] = [Place::Opening, Place::Open, Place::Closing, Place::Closed];

/// The metrics of a service; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Counted>);

struct Counted {
    registry: Registry,
    /// Of the proposer's side and of the acceptor's.
    updates: [Counter; 2],
    /// For each flow in the order of the table, for each outcome in the order of [`Outcome::ALL`].
    flows: Vec<[Counter; Outcome::ALL.len()]>,
    signing: Durations,
    commit: Durations,
    /// The store counts: what it has counted is taken over when somebody reads.
    commit_failures: Counter,
    gauges: Gauges,
}

struct Gauges {
    places: [Gauge; 4],
    clients: Gauge,
    sockets: Gauge,
    peers: Gauge,
    commit_queue: Gauge,
    fullest_mailbox: Gauge,
    mempool: Gauge,
    chain_height: Gauge,
    chain_age: Gauge,
    chain_lag: Gauge,
}

/// What a reader of the metrics is told of the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// Sides in each place, in the order of the places.
    pub places: [u64; 4],
    /// Sides with a client.
    pub clients: u64,
    /// The height of the chain.
    pub height: u64,
    /// How long ago its last block was made.
    pub age: Duration,
    /// What the service says.
    pub load: Load,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics where nothing is counted yet.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("strait");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", version);
        let (updates, flows) = counters(&mut registry);
        let (signing, commit) = (Durations::new(SIGNING_BOUNDS), Durations::new(COMMIT_BOUNDS));
        let text = "Time from asking a client to sign to its signature";
        registry.register_with_unit("signing", text, Unit::Seconds, signing.clone());
        let text = "Time to store a step, waiting for the disk included";
        registry.register_with_unit("commit", text, Unit::Seconds, commit.clone());
        let commit_failures = Counter::default();
        let text = "Changes of channels that the store refused or could not write";
        registry.register("commit_failures", text, commit_failures.clone());
        let gauges = Gauges::new(&mut registry);
        Self(Arc::new(Counted { registry, updates, flows, signing, commit, commit_failures, gauges }))
    }

    /// What the task of one side of a channel counts with.
    pub fn meter(&self) -> Meter {
        Meter::new(self.clone())
    }

    /// A step was stored in this time.
    pub fn committed(&self, time: Duration) {
        self.0.commit.observe(time);
    }

    pub(crate) fn signed(&self, time: Duration) {
        self.0.signing.observe(time);
    }

    pub(crate) fn ended(&self, flow: Flow, side: Side, outcome: Outcome) {
        if (flow, outcome) == (Flow::Update, Outcome::Agreed) {
            self.0.updates[side as usize].inc();
        }
        if let Some(counter) = self.0.flows.get(flow as usize).and_then(|row| row.get(outcome as usize)) {
            counter.inc();
        }
    }

    /// Everything as text for Prometheus, of the type [`MEDIA_TYPE`].
    pub(crate) fn text(&self, moment: &Moment) -> String {
        self.0.gauges.set(moment);
        self.0.commit_failures.inner().fetch_max(moment.load.commit_failures, Relaxed);
        let mut text = String::with_capacity(16 * 1024);
        // Writing to memory does not fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

type FlowCounters = Vec<[Counter; Outcome::ALL.len()]>;

fn counters(registry: &mut Registry) -> ([Counter; 2], FlowCounters) {
    let updates: [Counter; 2] = Default::default();
    let of_side = ["proposer", "acceptor"].map(|side| [("side", side)]).into_iter().zip(updates.clone());
    let text = "Updates that both parties signed, counted on each side that is held here";
    registry.register("updates_agreed", text, Sorted::new(of_side));
    let flows: FlowCounters = FLOWS.iter().map(|_| Default::default()).collect();
    let of_flows = FLOWS.iter().zip(&flows).flat_map(|(flow, row)| {
        let labels = Outcome::ALL.map(|how| [("flow", flow.name), ("outcome", how.name())]);
        labels.into_iter().zip(row.clone())
    });
    let text = "Signing flows that ended, by how, counted on each side that is held here";
    registry.register("flows", text, Sorted::new(of_flows));
    (updates, flows)
}

impl Gauges {
    fn new(registry: &mut Registry) -> Self {
        let places: [Gauge; 4] = Default::default();
        let of_places = PLACES.map(|place| [("place", shown::place(place))]).into_iter().zip(places.clone());
        let text = "Sides of channels, by where the channel is in its life";
        registry.register("channels", text, Sorted::new(of_places));
        let mut gauge = |name: &str, text: &str| {
            let gauge = Gauge::default();
            registry.register(name, text, gauge.clone());
            gauge
        };
        Self {
            places,
            clients: gauge("clients", "Sides of channels with a client"),
            sockets: gauge("sockets", "Open sockets of clients"),
            peers: gauge("peer_sessions", "Sessions with peers"),
            commit_queue: gauge("commit_queue", "Steps that wait for their commit"),
            fullest_mailbox: gauge("fullest_mailbox", "Letters in the fullest mailbox of a channel"),
            mempool: gauge("mempool", "Transactions that wait for a block"),
            chain_height: gauge("chain_height", "Height of the top of the chain"),
            chain_age: gauge("chain_age_seconds", "How long ago the last block was made"),
            chain_lag: gauge("chain_lag_blocks", "Key blocks by which the slowest channel is behind the top"),
        }
    }

    fn set(&self, moment: &Moment) {
        for (gauge, count) in self.places.iter().zip(moment.places) {
            set(gauge, count);
        }
        let load = &moment.load;
        for (gauge, value) in [
            (&self.clients, moment.clients),
            (&self.sockets, load.sockets),
            (&self.peers, load.peers),
            (&self.commit_queue, load.commit_queue),
            (&self.fullest_mailbox, load.fullest_mailbox),
            (&self.mempool, load.mempool),
            (&self.chain_height, moment.height),
            (&self.chain_age, moment.age.as_secs()),
            (&self.chain_lag, load.chain_lag),
        ] {
            set(gauge, value);
        }
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_name_are_sorted_by_their_labels() {
        let text = Metrics::new().text(&Moment::default());
        for (name, count) in
            [("strait_flows_total{", 80), ("strait_channels{", 4), ("strait_updates_agreed_total{", 2)]
        {
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with(name)).collect();
            assert!(lines.len() == count && lines.is_sorted(), "{lines:#?}");
        }
    }

    #[test]
    fn what_is_counted_stands_in_the_text() {
        let metrics = Metrics::new();
        for _ in 0..3 {
            metrics.ended(Flow::Update, Side::Acceptor, Outcome::Agreed);
        }
        metrics.ended(Flow::Withdraw, Side::Proposer, Outcome::RejectedOnChain);
        metrics.committed(Duration::from_micros(150));
        metrics.signed(Duration::from_secs(3600));
        let load = Load { peers: 5, chain_lag: 2, commit_failures: 6, ..Load::default() };
        let moment = Moment { places: [1, 2, 3, 4], height: 77, load, ..Moment::default() };
        let text = metrics.text(&moment);
        for line in [
            "strait_updates_agreed_total{side=\"acceptor\"} 3",
            "strait_updates_agreed_total{side=\"proposer\"} 0",
            "strait_flows_total{flow=\"update\",outcome=\"agreed\"} 3",
            "strait_flows_total{flow=\"withdraw\",outcome=\"rejected_on_chain\"} 1",
            "strait_flows_total{flow=\"shutdown\",outcome=\"timeout\"} 0",
            "strait_commit_seconds_bucket{le=\"0.0001\"} 0",
            "strait_commit_seconds_bucket{le=\"0.0002\"} 1",
            "strait_commit_seconds_count 1",
            "strait_signing_seconds_bucket{le=\"60.0\"} 0",
            "strait_signing_seconds_bucket{le=\"+Inf\"} 1",
            "strait_signing_seconds_sum 3600.0",
            "strait_channels{place=\"closing\"} 3",
            "strait_peer_sessions 5",
            "strait_commit_failures_total 6",
            concat!("strait_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "strait_chain_lag_blocks 2",
            "strait_chain_height 77",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
