//! BLS12-381 (`docs/protocol/contracts` §2.9).

use ark_bls12_381::{Fq, Fq2, Fq6, Fq12, Fr};
use ark_ff::{BigInt, BigInteger, Field, Fp, FpConfig, MontConfig, PrimeField};
use num_bigint::BigUint;

use crate::bls::{
    Endomorphism, Point, final_exponent, is_on_curve, miller_loop, multiple, normalized, power,
};
use crate::code::Operand;
use crate::integer::Integer;
use crate::machine::{Machine, Outcome, Step};
use crate::value::Value;

/// What can be read from a value and written as one.
trait Wire: Sized {
    /// The element; `Some(None)` for one whose bytes are no element of the field.
    fn read(value: &Value) -> Option<Option<Self>>;
    fn written(&self) -> Value;
}

/// A field element in Montgomery form, its bytes from the low end.
fn limbs<const N: usize>(value: &Value) -> Option<BigInt<N>> {
    let Value::Bytes(bytes) = value else { return None };
    if bytes.len() != 8 * N {
        return None;
    }
    let mut limbs = [0; N];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    Some(BigInt(limbs))
}

impl<P: FpConfig<N> + MontConfigMark, const N: usize> Wire for Fp<P, N> {
    fn read(value: &Value) -> Option<Option<Self>> {
        let limbs = limbs::<N>(value)?;
        Some((limbs < Self::MODULUS).then_some(Fp(limbs, std::marker::PhantomData)))
    }

    fn written(&self) -> Value {
        Value::bytes(self.0.to_bytes_le())
    }
}

/// Fields whose elements are kept in Montgomery form.
trait MontConfigMark {}
impl<C: MontConfig<N>, const N: usize> MontConfigMark for ark_ff::MontBackend<C, N> {}

fn read_fields<const N: usize>(value: &Value) -> Option<&[Value; N]> {
    match value {
        Value::Tuple(fields) => fields[..].try_into().ok(),
        _ => None,
    }
}

/// All elements, if all are there; each of them may be no element.
fn both<A, B>(first: Option<A>, second: Option<B>) -> Option<(A, B)> {
    Some((first?, second?))
}

impl Wire for Fq2 {
    fn read(value: &Value) -> Option<Option<Self>> {
        let [low, high] = read_fields(value)?;
        let (low, high) = (Fq::read(low)?, Fq::read(high)?);
        Some(both(low, high).map(|(low, high)| Fq2::new(low, high)))
    }

    fn written(&self) -> Value {
        Value::tuple(vec![self.c0.written(), self.c1.written()])
    }
}

impl<F: Wire> Wire for Point<F> {
    fn read(value: &Value) -> Option<Option<Self>> {
        let [x, y, z] = read_fields(value)?;
        let (x, y, z) = (F::read(x)?, F::read(y)?, F::read(z)?);
        Some(both(both(x, y), z).map(|((x, y), z)| Point { x, y, z }))
    }

    fn written(&self) -> Value {
        Value::tuple(vec![self.x.written(), self.y.written(), self.z.written()])
    }
}

impl Wire for Fq12 {
    fn read(value: &Value) -> Option<Option<Self>> {
        let fields = read_fields::<12>(value)?;
        let mut elements = Vec::with_capacity(fields.len());
        for field in fields {
            elements.push(Fq::read(field)?);
        }
        let elements: Option<Vec<Fq>> = elements.into_iter().collect();
        Some(elements.map(|e| {
            let sixth = |at: usize| {
                let pair = |at: usize| Fq2::new(e[at], e[at + 1]);
                Fq6::new(pair(at), pair(at + 2), pair(at + 4))
            };
            Fq12::new(sixth(0), sixth(6))
        }))
    }

    fn written(&self) -> Value {
        let pairs = [self.c0.c0, self.c0.c1, self.c0.c2, self.c1.c0, self.c1.c1, self.c1.c2];
        Value::tuple(pairs.iter().flat_map(|pair| [pair.c0.written(), pair.c1.written()]).collect())
    }
}

impl Wire for bool {
    fn read(value: &Value) -> Option<Option<Self>> {
        match value {
            Value::Boolean(value) => Some(Some(*value)),
            _ => None,
        }
    }

    fn written(&self) -> Value {
        Value::Boolean(*self)
    }
}

fn no_element(machine: &Machine<'_>) -> Box<crate::trap::Trap> {
    machine.crash("bytes that are no element of the field")
}

fn one<A: Wire, R: Wire>(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
    work: impl Fn(A) -> Option<R>,
) -> Step {
    let value = machine.read(&operands[1])?;
    let Some(element) = A::read(&value) else { return Err(machine.bad_arguments(word, vec![value])) };
    let result = element.and_then(work).ok_or_else(|| no_element(machine))?;
    machine.done(&operands[0], result.written())
}

fn two<A: Wire, B: Wire, R: Wire>(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
    work: impl Fn(A, B) -> Option<R>,
) -> Step {
    let first = machine.read(&operands[1])?;
    let second = machine.read(&operands[2])?;
    let (Some(a), Some(b)) = (A::read(&first), B::read(&second)) else {
        return Err(machine.bad_arguments(word, vec![first, second]));
    };
    let result = both(a, b).and_then(|(a, b)| work(a, b)).ok_or_else(|| no_element(machine))?;
    machine.done(&operands[0], result.written())
}

/// The number of a scalar.
fn scalar(element: Fr) -> BigUint {
    BigUint::from_bytes_le(&element.into_bigint().to_bytes_le())
}

fn times<F: Endomorphism>(factor: Fr, point: Point<F>) -> Point<F> {
    multiple(&point, &scalar(factor))
}

fn first_b() -> Fq {
    Fq::from(4u64)
}

fn second_b() -> Fq2 {
    Fq2::new(first_b(), first_b())
}

macro_rules! instructions {
    ($($name:ident $word:literal $kind:ident |$($input:ident: $of:ty),+| $work:expr;)*) => {$(
        pub(crate) fn $name(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
            $kind(machine, operands, $word, |$($input: $of),+| $work)
        }
    )*};
}

instructions! {
    g1_neg "bls12_381_g1_neg" one |p: Point<Fq>| Some(p.negated());
    g1_norm "bls12_381_g1_norm" one |p: Point<Fq>| Some(normalized(p));
    g1_valid "bls12_381_g1_valid" one |p: Point<Fq>| Some(is_on_curve(&p, first_b()));
    g1_is_zero "bls12_381_g1_is_zero" one |p: Point<Fq>| Some(p.is_infinity());
    g1_add "bls12_381_g1_add" two |p: Point<Fq>, q: Point<Fq>| Some(p.plus(&q));
    g1_mul "bls12_381_g1_mul" two |k: Fr, p: Point<Fq>| Some(times(k, p));
    g2_neg "bls12_381_g2_neg" one |p: Point<Fq2>| Some(p.negated());
    g2_norm "bls12_381_g2_norm" one |p: Point<Fq2>| Some(normalized(p));
    g2_valid "bls12_381_g2_valid" one |p: Point<Fq2>| Some(is_on_curve(&p, second_b()));
    g2_is_zero "bls12_381_g2_is_zero" one |p: Point<Fq2>| Some(p.is_infinity());
    g2_add "bls12_381_g2_add" two |p: Point<Fq2>, q: Point<Fq2>| Some(p.plus(&q));
    g2_mul "bls12_381_g2_mul" two |k: Fr, p: Point<Fq2>| Some(times(k, p));
    gt_inv "bls12_381_gt_inv" one |a: Fq12| Some(crate::bls::conjugate(&a));
    gt_add "bls12_381_gt_add" two |a: Fq12, b: Fq12| Some(a + b);
    gt_mul "bls12_381_gt_mul" two |a: Fq12, b: Fq12| Some(a * b);
    gt_pow "bls12_381_gt_pow" two |a: Fq12, k: Fr| Some(power(&a, &scalar(k)));
    gt_is_one "bls12_381_gt_is_one" one |a: Fq12| Some(a == Fq12::ONE);
    pairing "bls12_381_pairing" two |p: Point<Fq>, q: Point<Fq2>| final_exponent(miller_loop(p, q));
    miller_loop_op "bls12_381_miller_loop" two |p: Point<Fq>, q: Point<Fq2>| Some(miller_loop(p, q));
    final_exp "bls12_381_final_exp" one |a: Fq12| final_exponent(a);
}

fn from_int<F: PrimeField + Wire>(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
    below: &BigUint,
) -> Step {
    let value = machine.read(&operands[1])?;
    let number = match &value {
        Value::Integer(number) if !number.is_negative() => Some(number.to_big().magnitude().clone()),
        _ => None,
    };
    match number.filter(|number| number < below) {
        Some(number) => machine.done(&operands[0], F::from(number).written()),
        None => Err(machine.bad_arguments(word, vec![value])),
    }
}

fn order<F: PrimeField>() -> BigUint {
    BigUint::from_bytes_le(&F::MODULUS.to_bytes_le())
}

pub(crate) fn int_to_fr(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    // The reference leaves the last element out.
    from_int::<Fr>(machine, operands, "bls12_381_int_to_fr", &(order::<Fr>() - 1u32))
}

pub(crate) fn int_to_fp(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    from_int::<Fq>(machine, operands, "bls12_381_int_to_fp", &order::<Fq>())
}

/// The reference prints the number on the way, into a buffer of `room` characters, and refuses what fills it to the
/// last but one; one digit more it writes beyond the buffer's end, which is refused here.
fn to_int<F: PrimeField + Wire>(
    machine: &mut Machine<'_>,
    operands: &[Operand],
    word: &'static str,
    room: usize,
) -> Step {
    let value = machine.read(&operands[1])?;
    let Some(element) = F::read(&value) else { return Err(machine.bad_arguments(word, vec![value])) };
    let element: Outcome<F> = element.ok_or_else(|| no_element(machine));
    let number = Integer::from_magnitude(false, &element?.into_bigint().to_bytes_be());
    if number.to_string().len() + 1 >= room {
        return Err(machine.crash("a field element with too many digits"));
    }
    machine.done(&operands[0], number)
}

pub(crate) fn fr_to_int(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    to_int::<Fr>(machine, operands, "bls12_381_fr_to_int", 64)
}

pub(crate) fn fp_to_int(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    to_int::<Fq>(machine, operands, "bls12_381_fp_to_int", 96)
}
