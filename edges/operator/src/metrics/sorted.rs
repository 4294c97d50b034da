//! Metrics of one name, told apart by labels, always in the same order.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The metrics of a name, sorted by their `N` labels: a reader who compares two texts sees what changed. The library's own
/// family gives them in the order of a hash table, which is another one in every run.
#[derive(Debug)]
pub(crate) struct Sorted<M, const N: usize>(Vec<(Labels<N>, M)>);

type Labels<const N: usize> = [(&'static str, &'static str); N];

impl<M, const N: usize> Sorted<M, N> {
    /// The metrics with their labels, in any order.
    pub fn new(metrics: impl IntoIterator<Item = (Labels<N>, M)>) -> Self {
        let mut metrics: Vec<_> = metrics.into_iter().collect();
        metrics.sort_by_key(|(labels, _)| *labels);
        Self(metrics)
    }
}

impl<M: EncodeMetric + TypedMetric, const N: usize> EncodeMetric for Sorted<M, N> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(labels, metric)| metric.encode(encoder.encode_family(labels)?))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}
