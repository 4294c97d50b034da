//! How a signing flow ends.

use strait_channel::{ConflictCode, Flow, Message};

/// How a signing flow ends for one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both signed, and the chain confirmed what it has to.
    Agreed,
    /// The own client declined.
    Declined,
    /// Somebody did not answer in time.
    Timeout,
    /// The chain refused the transaction.
    RejectedOnChain,
    /// A check failed.
    Invalid,
    /// Both proposed at once, or it could not be taken at the time.
    Conflict,
    /// The other party declined.
    DeclinedByPeer,
    /// The session or the channel's process ended.
    BrokenOff,
}

impl Outcome {
    /// Every outcome, in order.
    pub const ALL: [Self; 8] = [
        Self::Agreed,
        Self::Declined,
        Self::Timeout,
        Self::RejectedOnChain,
        Self::Invalid,
        Self::Conflict,
        Self::DeclinedByPeer,
        Self::BrokenOff,
    ];

    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Declined => "declined",
            Self::Timeout => "timeout",
            Self::RejectedOnChain => "rejected_on_chain",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::DeclinedByPeer => "declined_by_peer",
            Self::BrokenOff => "broken_off",
        }
    }

    /// What a code between peers says of a flow (`docs/protocol/fsm` §5).
    pub(super) fn of_code(code: u16) -> Self {
        match ConflictCode(code) {
            ConflictCode::VALIDATION => Self::Invalid,
            ConflictCode::CONFLICT => Self::Conflict,
            ConflictCode::TIMEOUT => Self::Timeout,
            ConflictCode::ON_CHAIN => Self::RejectedOnChain,
            _ => Self::DeclinedByPeer,
        }
    }
}

/// The flow that a message refuses, and the code that it gives.
pub(super) fn refusal(message: &Message) -> Option<(Flow, u16)> {
    match message {
        Message::UpdateError { error_code, .. } => Some((Flow::Update, *error_code)),
        Message::DepositError { error_code, .. } => Some((Flow::Deposit, *error_code)),
        Message::WithdrawError { error_code, .. } => Some((Flow::Withdraw, *error_code)),
        Message::ShutdownError { error_code, .. } => Some((Flow::Shutdown, *error_code)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stand_in_the_order_of_their_numbers() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{}", outcome.name());
        }
    }
}
