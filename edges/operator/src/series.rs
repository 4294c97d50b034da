//! Rates over time: the last minutes second by second, the last day minute by minute.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// Ten minutes of seconds.
const SECONDS: usize = 600;

/// A day of minutes.
const MINUTES: usize = 1440;

/// Updates a second, as they were.
#[derive(Debug, Default)]
pub(crate) struct Series {
    seconds: VecDeque<f64>,
    minutes: VecDeque<f64>,
    /// How many seconds were added in all.
    count: u64,
    minute: (f64, u32),
}

impl Series {
    /// Adds the rate of one second.
    pub fn push(&mut self, rate: f64) {
        keep(&mut self.seconds, rate, SECONDS);
        self.count += 1;
        let (sum, seconds) = (self.minute.0 + rate, self.minute.1 + 1);
        self.minute = (sum, seconds);
        if seconds == 60 {
            keep(&mut self.minutes, sum / 60.0, MINUTES);
            self.minute = (0.0, 0);
        }
    }

    /// The rate of the last second.
    pub fn latest(&self) -> f64 {
        self.seconds.back().copied().unwrap_or(0.0)
    }

    /// The seconds after the first `after`, as far as they are kept, and how many there were in all.
    pub fn seconds(&self, after: u64) -> Value {
        let wanted = usize::try_from(self.count.saturating_sub(after)).unwrap_or(usize::MAX);
        let skip = self.seconds.len().saturating_sub(wanted);
        let values: Vec<f64> = self.seconds.iter().skip(skip).copied().map(tenths).collect();
        json!({ "step_ms": 1000, "count": self.count, "values": values })
    }

    /// The minutes of the last day.
    pub fn minutes(&self) -> Value {
        let values: Vec<f64> = self.minutes.iter().copied().map(tenths).collect();
        json!({ "step_ms": 60_000, "values": values })
    }
}

/// A number with one digit behind the point: nobody reads more of them.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn keep(values: &mut VecDeque<f64>, value: f64, most: usize) {
    if values.len() == most {
        values.pop_front();
    }
    values.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_kept_and_no_more() {
        let mut series = Series::default();
        for second in 0..2 * 86_400_u32 {
            series.push(f64::from(second / 60));
        }
        let (seconds, minutes) = (series.seconds(0), series.minutes());
        assert_eq!(seconds["values"].as_array().unwrap().len(), SECONDS);
        assert_eq!(seconds["count"], 2 * 86_400);
        let minutes = minutes["values"].as_array().unwrap();
        assert_eq!((minutes.len(), &minutes[0]), (MINUTES, &json!(1440.0)));
    }

    #[test]
    fn only_what_is_new_is_given() {
        let mut series = Series::default();
        [1.0, 2.04, 3.06].into_iter().for_each(|rate| series.push(rate));
        assert_eq!(series.seconds(1)["values"], json!([2.0, 3.1]));
        assert_eq!(series.seconds(3)["values"], json!([]));
        assert_eq!(series.seconds(u64::MAX)["values"], json!([]));
        assert_eq!(series.latest(), 3.06);
    }
}
