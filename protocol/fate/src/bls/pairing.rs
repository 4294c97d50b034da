//! The pairing.

use std::sync::LazyLock;

use ark_bls12_381::{Bls12_381, Fq, Fq2, Fq12};
use ark_ec::pairing::{MillerLoopOutput, Pairing};
use ark_ff::{AdditiveGroup, Field};

use crate::bls::curve::{Point, normalized};

/// The absolute value of the curve's parameter, which is negative.
const PARAMETER: u64 = 0xd201_0000_0001_0000;

static HALF: LazyLock<Fq> =
    LazyLock::new(|| Fq::from(2u64).inverse().expect("two is not zero in an odd field"));

/// The coefficients of a line: the constant, and what the two coordinates are multiplied by.
struct Line {
    constant: Fq2,
    x: Fq2,
    y: Fq2,
}

/// The Miller loop, with its lines scaled as the reference scales them.
pub(crate) fn miller_loop(first: Point<Fq>, second: Point<Fq2>) -> Fq12 {
    let (p, q) = (normalized(first), normalized(second));
    if q.is_infinity() {
        return Fq12::ONE;
    }
    let mut t = q;
    let mut f = Fq12::ONE;
    let bits = 64 - PARAMETER.leading_zeros();
    for position in (0..bits - 1).rev() {
        f.square_in_place();
        multiply(&mut f, &doubling_line(&mut t), -p.y, p.x.double() + p.x);
        if PARAMETER >> position & 1 == 1 {
            multiply(&mut f, &adding_line(&mut t, &q), p.y, p.x);
        }
    }
    super::multiple::conjugate(&f)
}

/// From the Miller loop to the target group; nothing for zero.
pub(crate) fn final_exponent(element: Fq12) -> Option<Fq12> {
    Bls12_381::final_exponentiation(MillerLoopOutput(element)).map(|output| output.0)
}

fn multiply(f: &mut Fq12, line: &Line, y: Fq, x: Fq) {
    let scaled = |coefficient: &Fq2, by: Fq| Fq2::new(coefficient.c0 * by, coefficient.c1 * by);
    f.mul_by_014(&line.constant, &scaled(&line.x, x), &scaled(&line.y, y));
}

/// Doubles a point in homogeneous coordinates; the tangent on the way.
fn doubling_line(t: &mut Point<Fq2>) -> Line {
    let half = |element: Fq2| Fq2::new(element.c0 * *HALF, element.c1 * *HALF);
    let twist = Fq2::new(Fq::from(4u64), Fq::from(4u64));
    let (z_square, y_square) = (t.z.square(), t.y.square());
    let product = half(t.x * t.y);
    let e = twist * (z_square.double() + z_square);
    let x_square = t.x.square();
    let triple = e.double() + e;
    let h = (t.y + t.z).square() - (y_square + z_square);
    let x = (y_square - triple) * product;
    let middle = half(y_square + triple);
    let e_square = e.square();
    let y = middle.square() - (e_square.double() + e_square);
    *t = Point { x, y, z: y_square * h };
    Line { constant: e - y_square, x: x_square, y: h }
}

/// Adds an affine point to one in homogeneous coordinates; the line through both on the way.
fn adding_line(t: &mut Point<Fq2>, q: &Point<Fq2>) -> Line {
    let theta = t.y - t.z * q.y;
    let lambda = t.x - t.z * q.x;
    let square = lambda.square();
    let cube = square * lambda;
    let scaled = square * t.x;
    let e = theta.square() * t.z + cube - scaled.double();
    let y = theta * (scaled - e) - cube * t.y;
    *t = Point { x: lambda * e, y, z: cube * t.z };
    Line { constant: theta * q.x - lambda * q.y, x: -theta, y: lambda }
}
