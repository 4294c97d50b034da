//! Two channels against each other, in virtual time.

mod alarm;
mod away;
mod chain;
mod conflicts;
mod contracts;
mod disputes;
mod faults;
mod forced;
mod fork_grid;
mod forks;
mod funds;
mod liar;
mod liar_choice;
mod liar_contracts;
mod liar_funds;
mod liar_opening;
mod lies;
mod life;
mod patience;
mod pins;
mod races;
mod random;
mod rejections;
mod replay;
mod signing;
mod support;
