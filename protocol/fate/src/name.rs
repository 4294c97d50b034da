//! The hashes of names (`docs/protocol/contracts` §2.9).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use strait_encoding::hash::blake2b;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// It breaks a rule of names.
    Invalid,
    /// The reference's engine breaks down on it.
    Broken,
}

/// The hash under which a name is known.
pub(crate) fn name_hash(name: &[u8]) -> Result<[u8; 32], NameError> {
    let end = name.iter().rposition(|byte| *byte != b'.').ok_or(NameError::Broken)?;
    match name[..=end].split(|byte| *byte == b'.').collect::<Vec<_>>()[..] {
        [_, b"chain" | b"test"] => {}
        _ => return Err(NameError::Invalid),
    }
    let text = std::str::from_utf8(name).map_err(|_| NameError::Broken)?;
    let ascii =
        Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore);
    let ascii = ascii.map_err(|_| NameError::Invalid)?;
    let ascii = ascii.trim_start_matches('.');
    match ascii.rsplit_once('.') {
        Some((_, "chain")) => Ok(blake2b(ascii.as_bytes())),
        Some(_) => Ok(chained(ascii)),
        None => Err(NameError::Invalid),
    }
}

/// The older way: each label's hash, hashed together with what is before it.
fn chained(name: &str) -> [u8; 32] {
    name.split('.').fold([0; 32], |hash, label| {
        let label = blake2b(label.as_bytes());
        blake2b(&[&hash[..], &label].concat())
    })
}
