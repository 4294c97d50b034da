//! Hashes and signatures (`docs/protocol/contracts` §2.9).

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use strait_encoding::hash;

use crate::code::Operand;
use crate::gas::UNFOLD_SERIAL;
use crate::machine::{Machine, Outcome, Step};
use crate::op::{behind, read_all};
use crate::poseidon;
use crate::value::{Octets, Value};

/// The bytes that are hashed of a value: strings and bytes as they are.
fn read_for_hashing(machine: &mut Machine<'_>, operand: &Operand) -> Outcome<Octets> {
    let value = machine.read(operand)?;
    let bytes = match machine.unfold(value, UNFOLD_SERIAL)? {
        Value::String(bytes) | Value::Bytes(bytes) => bytes,
        other => other.encode().map(Octets::from).map_err(|error| machine.trap(error))?,
    };
    machine.work(bytes.len() as u64 * 2)?;
    Ok(bytes)
}

pub(crate) fn sha3(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_for_hashing(machine, &operands[1])?;
    machine.done(&operands[0], Value::bytes(keccak(&bytes)))
}

pub(crate) fn sha256(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_for_hashing(machine, &operands[1])?;
    let digest: [u8; 32] = Sha256::digest(&bytes[..]).into();
    machine.done(&operands[0], Value::bytes(digest))
}

pub(crate) fn blake2b(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let bytes = read_for_hashing(machine, &operands[1])?;
    machine.done(&operands[0], Value::bytes(hash::blake2b(&bytes)))
}

/// The original Keccak padding, not that of the standard.
fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// A byte string of this size.
fn sized<const N: usize>(value: &Value) -> Option<&[u8; N]> {
    match value {
        Value::Bytes(bytes) => bytes[..].try_into().ok(),
        _ => None,
    }
}

pub(crate) fn verify_sig(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [message, key, signature] = read_all(machine, behind::<3>(operands))?;
    let any_size = machine.vm >= 8;
    let word = if any_size { "verify_sig" } else { "verify_sig_of_hash" };
    let (Value::Bytes(text), Value::Address(signer), Some(sealed)) =
        (&message, &key, sized::<64>(&signature))
    else {
        return Err(machine.bad_arguments(word, vec![message, key, signature]));
    };
    if !any_size && text.len() != 32 {
        return Err(machine.bad_arguments(word, vec![message, key, signature]));
    }
    let signer: [u8; 32] = signer[..].try_into().map_err(|_| machine.crash("a key of another size"))?;
    machine.work(text.len() as u64)?;
    // As the reference: no key of small order, nothing that is not in its one canonical form.
    let valid = ed25519_dalek::VerifyingKey::from_bytes(&signer).is_ok_and(|signer| {
        signer.verify_strict(text, &ed25519_dalek::Signature::from_bytes(sealed)).is_ok()
    });
    machine.done(&operands[0], Value::Boolean(valid))
}

pub(crate) fn verify_sig_secp256k1(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [message, key, signature] = read_all(machine, behind::<3>(operands))?;
    let (Some(digest), Some(point), Some(sealed)) =
        (sized::<32>(&message), sized::<64>(&key), sized::<64>(&signature))
    else {
        return Err(machine.bad_arguments("verify_sig_secp256k1", vec![message, key, signature]));
    };
    let uncompressed = [&[4][..], point].concat();
    let key = VerifyingKey::from_sec1_bytes(&uncompressed);
    let key = key.map_err(|_| machine.crash("a key that is no point of the curve"))?;
    // Signatures with a large second half are as good as any.
    let valid = Signature::from_slice(sealed)
        .is_ok_and(|sealed| key.verify_prehash(digest, &sealed.normalize_s()).is_ok());
    machine.done(&operands[0], Value::Boolean(valid))
}

/// The Ethereum address whose key made the signature (`V`, `R`, `S`) of a digest.
fn recovered(digest: &[u8; 32], sealed: &[u8; 65]) -> Option<[u8; 20]> {
    let (first, rest) = sealed.split_first()?;
    let odd = match first {
        27 => false,
        28 => true,
        _ => return None,
    };
    let signature = Signature::from_slice(rest).ok()?;
    let low = signature.normalize_s();
    let flipped = low != signature;
    let id = RecoveryId::new(odd ^ flipped, false);
    let key = VerifyingKey::recover_from_prehash(digest, &low, id).ok()?;
    let point = key.to_sec1_point(false);
    let hash = keccak(point.as_bytes().get(1..)?);
    hash[12..].try_into().ok()
}

pub(crate) fn ecverify_secp256k1(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [message, address, signature] = read_all(machine, behind::<3>(operands))?;
    let (Some(digest), Some(address_bytes), Some(sealed)) =
        (sized::<32>(&message), sized::<20>(&address), sized::<65>(&signature))
    else {
        return Err(machine.bad_arguments("ecverify_secp256k1", vec![message, address, signature]));
    };
    let valid = recovered(digest, sealed).as_ref() == Some(address_bytes);
    machine.done(&operands[0], Value::Boolean(valid))
}

pub(crate) fn ecrecover_secp256k1(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [message, signature] = read_all(machine, behind::<2>(operands))?;
    let (Some(digest), Some(sealed)) = (sized::<32>(&message), sized::<65>(&signature)) else {
        return Err(machine.bad_arguments("ecrecover_secp256k1", vec![message, signature]));
    };
    let found = recovered(digest, sealed);
    let value = found.map_or_else(Value::none, |address| Value::some(Value::bytes(address)));
    machine.done(&operands[0], value)
}

pub(crate) fn poseidon(machine: &mut Machine<'_>, operands: &[Operand]) -> Step {
    let [first, second] = read_all(machine, behind::<2>(operands))?;
    let hash = match (&first, &second) {
        (Value::Integer(a), Value::Integer(b)) => poseidon::hash(a, b),
        _ => None,
    };
    match hash {
        Some(hash) => machine.done(&operands[0], hash),
        None => Err(machine.bad_arguments("poseidon", vec![first, second])),
    }
}
