//! The node's flavour of RLP, and reading and writing tagged objects with it (`docs/protocol/encodings` §3).

use thiserror::Error;

use crate::{AccountId, ChannelId, Coins, ContractId, Height, Id, Nonce, Round, StateHash};

/// Why bytes are not the object that they should be: always the fault of whoever made them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside an item.
    #[error("the bytes end inside an item")]
    Truncated,
    /// Bytes are left behind the last item.
    #[error("bytes are left behind the last item")]
    Trailing,
    /// A length is written with leading zero bytes or is larger than memory.
    #[error("a length prefix is malformed")]
    Length,
    /// A list where bytes should be, or the other way round.
    #[error("expected {0}")]
    Kind(&'static str),
    /// An integer with a leading zero byte.
    #[error("an integer has a leading zero byte")]
    LeadingZero,
    /// An integer of more bits than its field can hold.
    #[error("an integer exceeds {0} bits")]
    TooLarge(u32),
    /// Neither `00` nor `01`.
    #[error("a boolean must be 00 or 01")]
    Bool,
    /// Not 33 bytes with a known tag, or an identifier of another kind.
    #[error("not an identifier of the expected kind")]
    Id,
    /// A byte string of another size than its field asks for.
    #[error("expected {expected} bytes, found {found}")]
    Size {
        /// Size asked for.
        expected: usize,
        /// Size found.
        found: usize,
    },
    /// The object is of another kind.
    #[error("expected an object with tag {expected}, found tag {found}")]
    Tag {
        /// Tag asked for.
        expected: u64,
        /// Tag found.
        found: u64,
    },
    /// The object is of a version nobody knows.
    #[error("object {tag} has the unknown version {version}")]
    Version {
        /// Tag of the object.
        tag: u64,
        /// Version found.
        version: u64,
    },
    /// A tag nobody knows where several are possible.
    #[error("unknown object tag {0}")]
    UnknownTag(u64),
    /// A rule of one object kind is broken.
    #[error("{0}")]
    Rule(&'static str),
}

/// One item, not yet looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A byte string.
    Bytes(&'a [u8]),
    /// The concatenated items of a list.
    List(&'a [u8]),
}

/// Splits the first item off `bytes`.
///
/// # Errors
/// The first item is truncated or its length malformed.
pub fn split(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), DecodeError> {
    let (&first, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    let short = usize::from(first);
    match first {
        0x00..=0x7f => Ok((Item::Bytes(&bytes[..1]), rest)),
        0x80..=0xb7 => take(rest, short - 0x80).map(|(body, rest)| (Item::Bytes(body), rest)),
        0xb8..=0xbf => take_long(rest, short - 0xb7).map(|(body, rest)| (Item::Bytes(body), rest)),
        0xc0..=0xf7 => take(rest, short - 0xc0).map(|(body, rest)| (Item::List(body), rest)),
        0xf8..=0xff => take_long(rest, short - 0xf7).map(|(body, rest)| (Item::List(body), rest)),
    }
}

fn take(bytes: &[u8], size: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    bytes.split_at_checked(size).ok_or(DecodeError::Truncated)
}

fn take_long(bytes: &[u8], length_size: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    let (length, rest) = take(bytes, length_size)?;
    if length.first() == Some(&0) {
        return Err(DecodeError::Length);
    }
    let size = length.iter().fold(0u64, |size, byte| (size << 8) | u64::from(*byte));
    take(rest, usize::try_from(size).map_err(|_| DecodeError::Length)?)
}

/// The tag of an object, without reading the rest of it.
///
/// # Errors
/// The bytes are not a list that starts with an integer.
pub fn tag_of(object: &[u8]) -> Result<u64, DecodeError> {
    Fields::of_list(object)?.uint()
}

/// Reads the fields of a list one after the other. Nothing is copied, nothing recurses.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the list that fills `bytes`.
    ///
    /// # Errors
    /// Not exactly one list.
    pub fn of_list(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match split(bytes)? {
            (_, [_, ..]) => Err(DecodeError::Trailing),
            (Item::List(rest), _) => Ok(Self { rest }),
            (Item::Bytes(_), _) => Err(DecodeError::Kind("a list, found bytes")),
        }
    }

    /// The fields behind tag and version of an object, and the version.
    ///
    /// # Errors
    /// Not an object, or of another tag.
    pub fn of_object(bytes: &'a [u8], tag: u64) -> Result<(u64, Self), DecodeError> {
        let mut fields = Self::of_list(bytes)?;
        let found = fields.uint()?;
        if found != tag {
            return Err(DecodeError::Tag { expected: tag, found });
        }
        Ok((fields.uint()?, fields))
    }

    /// As [`of_object`](Self::of_object), where one version alone is known.
    ///
    /// # Errors
    /// As there, or another version.
    pub fn of_version(bytes: &'a [u8], tag: u64, version: u64) -> Result<Self, DecodeError> {
        match Self::of_object(bytes, tag)? {
            (found, fields) if found == version => Ok(fields),
            (found, _) => Err(DecodeError::Version { tag, version: found }),
        }
    }

    /// Whether all fields were read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// # Errors
    /// Fields are left.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// The next item as it is.
    ///
    /// # Errors
    /// None is left, or it is malformed.
    pub fn item(&mut self) -> Result<Item<'a>, DecodeError> {
        let (item, rest) = split(self.rest)?;
        self.rest = rest;
        Ok(item)
    }

    /// The next field, bytes of any size.
    ///
    /// # Errors
    /// It is a list, missing or malformed.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.item()? {
            Item::Bytes(bytes) => Ok(bytes),
            Item::List(_) => Err(DecodeError::Kind("bytes, found a list")),
        }
    }

    /// The next field, bytes of exactly `N`.
    ///
    /// # Errors
    /// Another size or kind, missing or malformed.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.bytes()?;
        bytes.try_into().map_err(|_| DecodeError::Size { expected: N, found: bytes.len() })
    }

    /// The next field, a list.
    ///
    /// # Errors
    /// It is bytes, missing or malformed.
    pub fn list(&mut self) -> Result<Fields<'a>, DecodeError> {
        match self.item()? {
            Item::List(rest) => Ok(Fields { rest }),
            Item::Bytes(_) => Err(DecodeError::Kind("a list, found bytes")),
        }
    }

    /// The next field, an integer of at most 128 bits. The empty string reads as zero.
    ///
    /// # Errors
    /// A leading zero byte, too large, or not bytes.
    pub fn uint128(&mut self) -> Result<u128, DecodeError> {
        let bytes = self.bytes()?;
        match bytes {
            [0, _, ..] => Err(DecodeError::LeadingZero),
            _ if bytes.len() > 16 => Err(DecodeError::TooLarge(128)),
            _ => Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))),
        }
    }

    /// The next field, an integer of at most 64 bits.
    ///
    /// # Errors
    /// As [`uint128`](Self::uint128).
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.uint128()?.try_into().map_err(|_| DecodeError::TooLarge(64))
    }

    /// The next field, an amount.
    ///
    /// # Errors
    /// As [`uint128`](Self::uint128).
    pub fn coins(&mut self) -> Result<Coins, DecodeError> {
        self.uint128().map(Coins)
    }

    /// The next field, a height.
    ///
    /// # Errors
    /// As [`uint`](Self::uint).
    pub fn height(&mut self) -> Result<Height, DecodeError> {
        self.uint().map(Height)
    }

    /// The next field, a round.
    ///
    /// # Errors
    /// As [`uint`](Self::uint).
    pub fn round(&mut self) -> Result<Round, DecodeError> {
        self.uint().map(Round)
    }

    /// The next field, a nonce.
    ///
    /// # Errors
    /// As [`uint`](Self::uint).
    pub fn nonce(&mut self) -> Result<Nonce, DecodeError> {
        self.uint().map(Nonce)
    }

    /// The next field, a boolean.
    ///
    /// # Errors
    /// Neither `00` nor `01`.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.bytes()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::Bool),
        }
    }

    /// The next field, an identifier of any kind.
    ///
    /// # Errors
    /// Not 33 bytes, or an unknown tag.
    pub fn id(&mut self) -> Result<Id, DecodeError> {
        Id::from_bytes(self.bytes()?)
    }

    /// The next field, an account.
    ///
    /// # Errors
    /// Another kind of identifier, or none.
    pub fn account(&mut self) -> Result<AccountId, DecodeError> {
        match self.id()? {
            Id::Account(id) => Ok(id),
            _ => Err(DecodeError::Id),
        }
    }

    /// The next field, a channel.
    ///
    /// # Errors
    /// Another kind of identifier, or none.
    pub fn channel(&mut self) -> Result<ChannelId, DecodeError> {
        match self.id()? {
            Id::Channel(id) => Ok(id),
            _ => Err(DecodeError::Id),
        }
    }

    /// The next field, a contract.
    ///
    /// # Errors
    /// Another kind of identifier, or none.
    pub fn contract(&mut self) -> Result<ContractId, DecodeError> {
        match self.id()? {
            Id::Contract(id) => Ok(id),
            _ => Err(DecodeError::Id),
        }
    }

    /// The next field, a list of accounts.
    ///
    /// # Errors
    /// An element is not an account.
    pub fn accounts(&mut self) -> Result<Vec<AccountId>, DecodeError> {
        let mut list = self.list()?;
        let mut accounts = Vec::new();
        while !list.is_empty() {
            accounts.push(list.account()?);
        }
        Ok(accounts)
    }

    /// The next field, a state hash of exactly 32 bytes.
    ///
    /// # Errors
    /// Another size or kind.
    pub fn state_hash(&mut self) -> Result<StateHash, DecodeError> {
        self.array().map(StateHash)
    }
}

/// Writes a list field by field; the counterpart of [`Fields`].
#[derive(Clone, Debug, Default)]
pub struct List {
    payload: Vec<u8>,
}

impl List {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The beginning of an object: tag and version.
    pub fn object(tag: u64, version: u64) -> Self {
        let list = Self { payload: Vec::with_capacity(256) };
        list.uint(tag).uint(version)
    }

    /// Appends bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        write_bytes(&mut self.payload, bytes);
        self
    }

    /// Appends an integer: minimal, zero as one zero byte.
    #[must_use]
    pub fn uint(self, number: u64) -> Self {
        self.uint128(number.into())
    }

    /// Appends an integer of up to 128 bits.
    #[must_use]
    pub fn uint128(self, number: u128) -> Self {
        let bytes = number.to_be_bytes();
        let skip = (number.leading_zeros() / 8).min(15) as usize;
        self.bytes(&bytes[skip..])
    }

    /// Appends an amount.
    #[must_use]
    pub fn coins(self, coins: Coins) -> Self {
        self.uint128(coins.0)
    }

    /// Appends a boolean.
    #[must_use]
    pub fn bool(self, value: bool) -> Self {
        self.bytes(&[u8::from(value)])
    }

    /// Appends an identifier.
    #[must_use]
    pub fn id(self, id: impl Into<Id>) -> Self {
        self.bytes(&id.into().to_bytes())
    }

    /// Appends a list.
    #[must_use]
    pub fn list(mut self, list: List) -> Self {
        write_header(&mut self.payload, 0xc0, list.payload.len());
        self.payload.extend_from_slice(&list.payload);
        self
    }

    /// Appends a list of identifiers.
    #[must_use]
    pub fn ids<I: Into<Id>>(self, ids: impl IntoIterator<Item = I>) -> Self {
        self.list(ids.into_iter().fold(List::new(), |list, id| list.id(id)))
    }

    /// Appends a list of byte strings.
    #[must_use]
    pub fn all_bytes<B: AsRef<[u8]>>(self, all: impl IntoIterator<Item = B>) -> Self {
        self.list(all.into_iter().fold(List::new(), |list, bytes| list.bytes(bytes.as_ref())))
    }

    /// The finished list.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + 9);
        write_header(&mut bytes, 0xc0, self.payload.len());
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if !matches!(bytes, [0x00..=0x7f]) {
        write_header(out, 0x80, bytes.len());
    }
    out.extend_from_slice(bytes);
}

fn write_header(out: &mut Vec<u8>, offset: u8, size: usize) {
    if size <= 55 {
        // At most 55, so it fits behind the offset.
        out.push(offset + size as u8);
        return;
    }
    let bytes = (size as u64).to_be_bytes();
    let skip = ((size as u64).leading_zeros() / 8) as usize;
    out.push(offset + 55 + (8 - skip) as u8);
    out.extend_from_slice(&bytes[skip..]);
}
