//! The hash by which the reference places the entries of large maps (`docs/protocol/contracts` §2.8).
//!
//! Known for integers and strings only: other keys mix in numbers that differ from one run of the reference to the
//! next.

use crate::integer::Integer;
use crate::value::Value;

/// The golden ratio, in 32 bits.
const GOLDEN: u32 = 0x9e37_79b9;
const START: u32 = 3_432_918_353;

/// Where a key comes in the walk through a large map; nothing if that cannot be known.
pub(super) fn path(key: &Value) -> Option<u32> {
    let hash = match key {
        Value::Integer(number) => integer(number),
        Value::String(bytes) => block(bytes, GOLDEN.wrapping_mul(13).wrapping_add(START)),
        _ => return None,
    };
    // The trie is walked nibble by nibble from the low end.
    Some((0..8).fold(0, |path, nibble| path << 4 | (hash >> (4 * nibble)) & 15))
}

fn integer(number: &Integer) -> u32 {
    let immediate = number.small().filter(|small| (-(1i64 << 59)..1 << 59).contains(small));
    if let Some(small) = immediate {
        let word = (small << 4 | 15) as u64;
        return words(word, GOLDEN, START);
    }
    let salt = GOLDEN.wrapping_mul(if number.is_negative() { 10 } else { 11 });
    let limbs = number.to_big().magnitude().to_u64_digits();
    limbs.into_iter().fold(START, |hash, limb| words(limb, salt, hash))
}

fn words(word: u64, salt: u32, hash: u32) -> u32 {
    let (low, high) = (word as u32, (word >> 32) as u32);
    mix(salt.wrapping_add(low), salt.wrapping_add(high), hash).2
}

fn mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    for [first, second, third] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
        a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> first);
        b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << second);
        c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> third);
    }
    (a, b, c)
}

fn block(bytes: &[u8], start: u32) -> u32 {
    let word = |bytes: &[u8]| {
        bytes
            .iter()
            .take(4)
            .enumerate()
            .fold(0u32, |word, (index, byte)| word | u32::from(*byte) << (8 * index))
    };
    let (mut a, mut b, mut c) = (GOLDEN, GOLDEN, start);
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        a = a.wrapping_add(word(chunk));
        b = b.wrapping_add(word(&chunk[4..]));
        c = c.wrapping_add(word(&chunk[8..]));
        (a, b, c) = mix(a, b, c);
    }
    let rest = chunks.remainder();
    c = c.wrapping_add(bytes.len() as u32);
    a = a.wrapping_add(word(rest));
    b = b.wrapping_add(word(rest.get(4..).unwrap_or_default()));
    // The low byte of the third word is the length's.
    c = c.wrapping_add(word(rest.get(8..).unwrap_or_default()) << 8);
    mix(a, b, c).2
}
