//! Durations by size, without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// A histogram of durations; clones count together. A reader may see a duration in one number and not yet in another: the
/// next reading has it.
#[derive(Clone, Debug)]
pub(crate) struct Durations(Arc<Sizes>);

#[derive(Debug)]
struct Sizes {
    /// Upper bounds in microseconds, ascending.
    bounds: &'static [u32],
    /// How many fell under each bound and over the one before; the last one over all.
    counts: Vec<AtomicU64>,
    sum_nanos: AtomicU64,
}

impl Durations {
    /// Nothing observed yet; the bounds are in microseconds, ascending.
    pub fn new(bounds: &'static [u32]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Sizes { bounds, counts, sum_nanos: AtomicU64::new(0) }))
    }

    /// Adds a duration.
    pub fn observe(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let place = self.0.bounds.partition_point(|bound| u64::from(*bound) * 1000 < nanos);
        if let Some(count) = self.0.counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        self.0.sum_nanos.fetch_add(nanos, Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.0.bounds.iter().map(|micros| f64::from(*micros) / 1e6);
        let counts = self.0.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.sum_nanos.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let durations = Durations::new(&[10, 100]);
        for nanos in [0, 10_000, 10_001, 100_000, 100_001, u64::MAX / 2] {
            durations.observe(Duration::from_nanos(nanos));
        }
        let counts: Vec<_> = durations.0.counts.iter().map(|count| count.load(Relaxed)).collect();
        assert_eq!(counts, [2, 2, 2]);
    }
}
