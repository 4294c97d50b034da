//! Multiples of points and powers, by the tables that the reference makes.

use std::sync::LazyLock;

use ark_bls12_381::{Fq, Fq2, Fq12};
use ark_ff::{BigInteger, Field, MontFp};
use num_bigint::{BigInt, BigUint};
use num_integer::Integer as _;
use num_traits::{One, Signed, Zero};

use crate::bls::curve::Point;

/// A group of points with a map that multiplies by a known number at little cost.
pub(crate) trait Endomorphism: Field {
    fn mapped(point: &Point<Self>) -> Point<Self>;
    /// The parts of a factor: the sum of part times power of that number.
    fn parts(factor: &BigUint) -> Vec<BigInt>;
}

/// The absolute value of the curve's parameter, which is negative.
const PARAMETER: u64 = 0xd201_0000_0001_0000;

/// A cube root of one by which the map of the first curve multiplies.
const CUBE_ROOT: Fq = MontFp!(
    "4002409555221667392624310435006688643935503118305586438271171395842971157480381377015405980053539358417135540939436"
);

impl Endomorphism for Fq {
    fn mapped(point: &Point<Self>) -> Point<Self> {
        Point { x: point.x * CUBE_ROOT, ..*point }
    }

    fn parts(factor: &BigUint) -> Vec<BigInt> {
        // The number is the square of the parameter less one; the quotient comes by a reciprocal.
        let square = BigUint::from(PARAMETER) * PARAMETER - 1u32;
        let reciprocal = BigUint::from(0xbe35_f678_f00f_d56e_b1fb_7291_7b67_f718u128);
        let high: BigUint = (factor * reciprocal) >> 255u32;
        vec![BigInt::from(factor.clone()) - BigInt::from(&high * square), BigInt::from(high)]
    }
}

impl Endomorphism for Fq2 {
    fn mapped(point: &Point<Self>) -> Point<Self> {
        let [third, half] = *TWIST_FACTORS;
        let conjugate = |element: Fq2| Fq2::new(element.c0, -element.c1);
        Point { x: conjugate(point.x) * third, y: conjugate(point.y) * half, z: conjugate(point.z) }
    }

    fn parts(factor: &BigUint) -> Vec<BigInt> {
        parameter_parts(factor)
    }
}

/// What the Frobenius map of the second curve multiplies by: the inverse of the twist's non-residue to a third and to
/// half of the field's order less one.
static TWIST_FACTORS: LazyLock<[Fq2; 2]> = LazyLock::new(|| {
    let order = BigUint::from_bytes_le(&<Fq as ark_ff::PrimeField>::MODULUS.to_bytes_le());
    let inverse = Fq2::new(Fq::ONE, Fq::ONE).inverse().expect("the non-residue is not zero");
    [3u32, 2].map(|part| inverse.pow(((&order - 1u32) / part).to_u64_digits()))
});

/// The digits of a factor to the base of the parameter.
fn parameter_parts(factor: &BigUint) -> Vec<BigInt> {
    let base = BigUint::from(PARAMETER);
    let mut rest = factor.clone();
    (0..4)
        .map(|index| {
            let (quotient, digit) = rest.div_rem(&base);
            rest = quotient;
            if index % 2 == 1 { -BigInt::from(digit) } else { BigInt::from(digit) }
        })
        .collect()
}

/// The non-adjacent form of width `width`: odd digits and zeros, the lowest first.
fn non_adjacent(number: &BigInt, width: u32) -> Vec<i32> {
    let (mut rest, sign) = (number.abs(), if number.is_negative() { -1 } else { 1 });
    let (modulus, half) = (BigInt::one() << width, 1i32 << (width - 1));
    let mut digits = Vec::new();
    while !rest.is_zero() {
        let mut digit = 0;
        if rest.is_odd() {
            let low = i32::try_from(&rest % &modulus).unwrap_or_default();
            digit = if low >= half { low - 2 * half } else { low };
            rest -= digit;
        }
        digits.push(sign * digit);
        rest >>= 1u32;
    }
    digits
}

/// The odd multiples that a non-adjacent form of this width asks for.
fn odd_multiples<F: Field>(point: &Point<F>, width: u32) -> Vec<Point<F>> {
    let double = point.doubled();
    let mut table = vec![*point];
    for index in 1..1usize << (width - 2) {
        let next = table[index - 1].plus(&double);
        table.push(next);
    }
    table
}

fn add_digit<F: Field>(sum: Point<F>, table: &[Point<F>], digit: i32) -> Point<F> {
    let entry = |digit: i32| table[usize::try_from((digit - 1) / 2).unwrap_or_default()];
    match digit {
        0 => sum,
        digit if digit > 0 => sum.plus(&entry(digit)),
        digit => sum.minus(&entry(-digit)),
    }
}

/// The width of tables for large factors.
const WIDTH: u32 = 5;

/// The multiple of a point.
pub(crate) fn multiple<F: Endomorphism>(point: &Point<F>, factor: &BigUint) -> Point<F> {
    match factor.bits() {
        0..=64 => {
            let factor = factor.iter_u64_digits().next().unwrap_or_default();
            small_multiple(point, factor).unwrap_or_else(|| medium_multiple(point, factor))
        }
        _ => large_multiple(point, factor),
    }
}

fn large_multiple<F: Endomorphism>(point: &Point<F>, factor: &BigUint) -> Point<F> {
    let digits: Vec<Vec<i32>> = F::parts(factor).iter().map(|part| non_adjacent(part, WIDTH)).collect();
    let mut tables = vec![odd_multiples(point, WIDTH)];
    while tables.len() < digits.len() {
        let mapped = tables[tables.len() - 1].iter().map(F::mapped).collect();
        tables.push(mapped);
    }
    let longest = digits.iter().map(Vec::len).max().unwrap_or_default();
    let mut sum = Point::infinity();
    for position in (0..longest).rev() {
        sum = sum.doubled();
        for (digits, table) in digits.iter().zip(&tables) {
            sum = add_digit(sum, table, digits.get(position).copied().unwrap_or_default());
        }
    }
    sum
}

fn medium_multiple<F: Field>(point: &Point<F>, factor: u64) -> Point<F> {
    let width = if factor <= 1 << 32 { 3 } else { 4 };
    let table = odd_multiples(point, width);
    let digits = non_adjacent(&BigInt::from(factor), width);
    digits.iter().rev().fold(Point::infinity(), |sum, digit| add_digit(sum.doubled(), &table, *digit))
}

/// Up to sixteen, each by its own shortest way.
fn small_multiple<F: Field>(point: &Point<F>, factor: u64) -> Option<Point<F>> {
    let two = || point.doubled();
    let four = || two().doubled();
    let eight = || four().doubled();
    Some(match factor {
        0 => Point::infinity(),
        1 => *point,
        2 => two(),
        3 => two().plus(point),
        4 => four(),
        5 => four().plus(point),
        6 => two().plus(point).doubled(),
        7 => eight().minus(point),
        8 => eight(),
        9 => eight().plus(point),
        10 => four().plus(point).doubled(),
        11 => eight().plus(&two()).plus(point),
        12 => four().plus(&eight()),
        13 => four().plus(&eight()).plus(point),
        14 => eight().minus(point).doubled(),
        15 => eight().doubled().minus(point),
        16 => eight().doubled(),
        _ => return None,
    })
}

/// The power of an element of the target group. For others it is what the reference makes of it: in large powers it
/// takes the conjugate for the inverse, and the Frobenius map for the power by the parameter.
pub(crate) fn power(element: &Fq12, exponent: &BigUint) -> Fq12 {
    if exponent.bits() <= 64 {
        return element.pow(exponent.to_u64_digits());
    }
    let digits: Vec<Vec<i32>> =
        parameter_parts(exponent).iter().map(|part| non_adjacent(part, WIDTH)).collect();
    let square = element.square();
    let mut table = vec![*element];
    for index in 1..1usize << (WIDTH - 2) {
        let next = table[index - 1] * square;
        table.push(next);
    }
    let mut tables = vec![table];
    while tables.len() < digits.len() {
        let mapped = tables[tables.len() - 1].iter().map(|element| element.frobenius_map(1)).collect();
        tables.push(mapped);
    }
    let longest = digits.iter().map(Vec::len).max().unwrap_or_default();
    let mut product = Fq12::ONE;
    for position in (0..longest).rev() {
        product.square_in_place();
        for (digits, table) in digits.iter().zip(&tables) {
            let digit = digits.get(position).copied().unwrap_or_default();
            let entry = |digit: i32| table[usize::try_from((digit - 1) / 2).unwrap_or_default()];
            match digit {
                0 => {}
                digit if digit > 0 => product *= entry(digit),
                digit => product *= conjugate(&entry(-digit)),
            }
        }
    }
    product
}

/// The inverse of an element of the target group; of others the reference gives the same.
pub(crate) fn conjugate(element: &Fq12) -> Fq12 {
    Fq12::new(element.c0, -element.c1)
}
