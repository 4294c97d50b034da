//! Two channels against each other, in virtual time.

mod away;
mod chain;
mod conflicts;
mod faults;
mod liar;
mod liar_opening;
mod lies;
mod life;
mod patience;
mod random;
mod replay;
mod signing;
mod support;
