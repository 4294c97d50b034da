//! The checksummed text forms, `ak_…`, `tx_…` (`docs/protocol/encodings` §1).

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The longest base58 text that is decoded: its cost grows with the square of the length.
const MAX_BASE58: usize = 512;

macro_rules! prefixes {
    ($($(#[$doc:meta])* $name:ident $text:literal $base58:literal $size:expr;)*) => {
        /// What a text form holds. The table of `docs/protocol/encodings` §1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Prefix { $($(#[$doc])* $name,)* }

        impl Prefix {
            /// Every prefix, in the order of the table.
            pub const ALL: &'static [Prefix] = &[$(Prefix::$name,)*];

            /// The two letters before the underscore.
            pub fn as_str(self) -> &'static str {
                match self { $(Prefix::$name => $text,)* }
            }

            fn is_base58(self) -> bool {
                match self { $(Prefix::$name => $base58,)* }
            }

            /// The number of bytes of the body, where it is fixed.
            pub fn size(self) -> Option<usize> {
                match self { $(Prefix::$name => $size,)* }
            }
        }
    };
}

prefixes! {
    /// Account public key.
    Account "ak" true Some(32);
    /// Account secret key: the ed25519 seed.
    SecretKey "sk" true Some(32);
    /// Channel id.
    Channel "ch" true Some(32);
    /// Contract id.
    Contract "ct" true Some(32);
    /// Oracle id.
    Oracle "ok" true Some(32);
    /// Oracle query id.
    OracleQueryId "oq" true Some(32);
    /// Name or hash of a name.
    Name "nm" true None;
    /// Name commitment.
    Commitment "cm" true Some(32);
    /// Transaction hash.
    TxHash "th" true Some(32);
    /// Key block hash.
    KeyBlock "kh" true Some(32);
    /// Micro block hash.
    MicroBlock "mh" true Some(32);
    /// Proof-of-fraud hash of a block.
    BlockPofHash "bf" true Some(32);
    /// Transactions hash of a block.
    BlockTxsHash "bx" true Some(32);
    /// State hash of a block.
    BlockStateHash "bs" true Some(32);
    /// Signature.
    Signature "sg" true Some(64);
    /// Public key of a peer node.
    PeerKey "pp" true Some(32);
    /// Transaction, signed or not.
    Transaction "tx" false None;
    /// State hash of a channel.
    StateHash "st" false Some(32);
    /// Proof of inclusion.
    Proof "pi" false None;
    /// Serialized state trees.
    StateTrees "ss" false None;
    /// Serialized tree of contract calls.
    CallTree "cs" false None;
    /// Contract bytes: code, call data, return values.
    ContractBytes "cb" false None;
    /// Key in a contract store.
    StoreKey "ck" false None;
    /// Value in a contract store.
    StoreValue "cv" false None;
    /// Other bytes.
    Bytes "ba" false None;
    /// Oracle query.
    OracleQuery "ov" false None;
    /// Oracle response.
    OracleResponse "or" false None;
}

/// Why a text form could not be read: always the fault of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// There is no underscore.
    #[error("expected {expected}_…, found no underscore")]
    NoPrefix {
        /// The prefix that was asked for.
        expected: &'static str,
    },
    /// The letters before the underscore are another kind's, or nobody's.
    #[error("expected {expected}_…, found {found}_…")]
    WrongPrefix {
        /// The prefix that was asked for.
        expected: &'static str,
        /// The prefix that was there, at most eight characters of it.
        found: String,
    },
    /// A character outside the alphabet, or broken padding.
    #[error("the text after {expected}_ is not base58 or base64 as this kind asks for")]
    Alphabet {
        /// The prefix that was asked for.
        expected: &'static str,
    },
    /// The last four bytes are not the checksum of the others: a typing error somewhere.
    #[error("the checksum of {expected}_… does not match: a character is wrong or missing")]
    Checksum {
        /// The prefix that was asked for.
        expected: &'static str,
    },
    /// The body has another size than this kind asks for.
    #[error("{expected}_… must hold {size} bytes, found {found}")]
    Size {
        /// The prefix that was asked for.
        expected: &'static str,
        /// The size asked for, in bytes.
        size: usize,
        /// The size found, in bytes.
        found: usize,
    },
}

/// The text form of `body`.
pub fn encode(prefix: Prefix, body: &[u8]) -> String {
    match <&[u8; 32]>::try_from(body) {
        Ok(id) if matches!(prefix, Prefix::Account | Prefix::Channel | Prefix::Contract) => {
            encode_id(prefix, id)
        }
        _ => encode_anew(prefix, body),
    }
}

/// How many ids each thread remembers the text of: 16 KiB.
const PLACES: usize = 128;

/// The text of an id.
#[derive(Clone)]
struct Remembered {
    prefix: Prefix,
    id: [u8; 32],
    text: String,
}

thread_local! {
    /// A channel says its own id and those of its parties in nearly every message, and base58 of one costs a microsecond and more.
    /// Remembering is not state: what is remembered follows from the id alone.
    static TEXTS: RefCell<Vec<Option<Remembered>>> = const { RefCell::new(Vec::new()) };
}

fn encode_id(prefix: Prefix, id: &[u8; 32]) -> String {
    TEXTS.with_borrow_mut(|texts| {
        texts.resize(PLACES, None);
        let place = &mut texts[usize::from(id[0]) % PLACES];
        match place {
            Some(known) if known.prefix == prefix && known.id == *id => known.text.clone(),
            _ => {
                let text = encode_anew(prefix, id);
                *place = Some(Remembered { prefix, id: *id, text: text.clone() });
                text
            }
        }
    })
}

fn encode_anew(prefix: Prefix, body: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(body.len() + 4);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&checksum(body));
    let mut text = String::with_capacity(3 + bytes.len() * 3 / 2);
    text.push_str(prefix.as_str());
    text.push('_');
    if prefix.is_base58() {
        text.push_str(&bs58::encode(bytes).into_string());
    } else {
        BASE64.encode_string(&bytes, &mut text);
    }
    text
}

/// The body of a text form of this kind.
///
/// # Errors
/// Another kind, characters outside the alphabet, a wrong checksum or size.
pub fn decode(prefix: Prefix, text: &str) -> Result<Vec<u8>, TextError> {
    let expected = prefix.as_str();
    let (found, rest) = text.split_once('_').ok_or(TextError::NoPrefix { expected })?;
    if found != expected {
        return Err(TextError::WrongPrefix { expected, found: found.chars().take(8).collect() });
    }
    let mut body = unpack(prefix, rest).ok_or(TextError::Alphabet { expected })?;
    let Some(split) = body.len().checked_sub(4) else { return Err(TextError::Checksum { expected }) };
    let check = body.split_off(split);
    if check != checksum(&body) {
        return Err(TextError::Checksum { expected });
    }
    match prefix.size() {
        Some(size) if size != body.len() => Err(TextError::Size { expected, size, found: body.len() }),
        _ => Ok(body),
    }
}

/// As [`decode`], for a body of exactly `N` bytes.
///
/// # Errors
/// As [`decode`].
pub fn decode_array<const N: usize>(prefix: Prefix, text: &str) -> Result<[u8; N], TextError> {
    let body = decode(prefix, text)?;
    let found = body.len();
    body.try_into().map_err(|_| TextError::Size { expected: prefix.as_str(), size: N, found })
}

fn unpack(prefix: Prefix, rest: &str) -> Option<Vec<u8>> {
    if prefix.is_base58() {
        (rest.len() <= MAX_BASE58).then(|| bs58::decode(rest).into_vec().ok()).flatten()
    } else {
        BASE64.decode(rest).ok()
    }
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest(Sha256::digest(body));
    [digest[0], digest[1], digest[2], digest[3]]
}
