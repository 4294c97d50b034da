//! BLS12-381, to the bytes of the reference (`docs/protocol/contracts` §2.9).
//!
//! Points are kept in Jacobian coordinates and field elements in Montgomery form, both as they are in the reference's
//! memory, so that not only the point but also the way to it matters: every addition, doubling and table below is the
//! one the reference makes.

mod curve;
mod multiple;
mod pairing;

pub(crate) use curve::{Point, is_on_curve, normalized};
pub(crate) use multiple::{Endomorphism, conjugate, multiple, power};
pub(crate) use pairing::{final_exponent, miller_loop};
