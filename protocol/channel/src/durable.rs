/// Proof that a step of a channel reached the disk.
///
/// Effects of a binding step can only be released against it (`Step::release`), so no signature
/// leaves before the state that it commits the party to is stored. Only a store makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Durable {
    step: u64,
}

impl Durable {
    /// Asserts that step number `step` of a channel is on disk, as durable as the operator asked for.
    ///
    /// For stores only: one search for `Durable::assertion` lists every place that makes the claim.
    pub fn assertion(step: u64) -> Self {
        Self { step }
    }

    /// The number of the stored step.
    pub fn step(&self) -> u64 {
        self.step
    }
}
