//! The Poseidon hash of two numbers (`docs/protocol/contracts` §2.9).

mod constants;

use std::sync::LazyLock;

use num_bigint::BigUint;
use num_traits::Num;

use crate::integer::Integer;

/// The order of the scalar field of BLS12-381.
static ORDER: LazyLock<BigUint> =
    LazyLock::new(|| number("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"));

struct Parameters {
    rounds: Vec<[BigUint; 3]>,
    matrix: [[BigUint; 3]; 3],
}

static PARAMETERS: LazyLock<Parameters> = LazyLock::new(|| Parameters {
    rounds: constants::ROUNDS.as_chunks::<3>().0.iter().map(|round| round.map(number)).collect(),
    matrix: constants::MATRIX.map(|row| row.map(number)),
});

fn number(digits: &str) -> BigUint {
    BigUint::from_str_radix(digits, 16).expect("the constants are hexadecimal digits")
}

/// Rounds before and after the partial ones.
const FULL: usize = 4;

/// The hash; nothing if an input is not below the largest element of the field, which the reference leaves out.
pub(crate) fn hash(first: &Integer, second: &Integer) -> Option<Integer> {
    let last = &*ORDER - 1u32;
    let element = |number: &Integer| {
        (!number.is_negative()).then(|| number.to_big().magnitude().clone()).filter(|element| *element < last)
    };
    let mut state = [BigUint::ZERO, element(first)?, element(second)?];
    let parameters = &*PARAMETERS;
    for (round, constants) in parameters.rounds.iter().enumerate() {
        for (element, constant) in state.iter_mut().zip(constants) {
            *element += constant;
        }
        let is_full = round < FULL || round >= parameters.rounds.len() - FULL;
        let raised = if is_full { state.len() } else { 1 };
        state.iter_mut().take(raised).for_each(|element| *element = fifth_power(element));
        state = mixed(&state, &parameters.matrix);
    }
    let [hash, ..] = state;
    Some(Integer::from_magnitude(false, &hash.to_bytes_be()))
}

fn fifth_power(element: &BigUint) -> BigUint {
    let square = element * element % &*ORDER;
    let fourth = &square * &square % &*ORDER;
    fourth * element % &*ORDER
}

fn mixed(state: &[BigUint; 3], matrix: &[[BigUint; 3]; 3]) -> [BigUint; 3] {
    [0, 1, 2].map(|row: usize| {
        let sum: BigUint = matrix[row].iter().zip(state).map(|(factor, element)| factor * element).sum();
        sum % &*ORDER
    })
}
