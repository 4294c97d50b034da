use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch. The protocol reads no clock: every input carries its moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// This many milliseconds later; stays at the end of time.
    pub fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}
