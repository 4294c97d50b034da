//! The six trees of a state, on chain or off chain (`docs/protocol/state_trees` §2, §3).

use strait_encoding::hash::blake2b_of;
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{AccountId, ChannelId, RootHash, StateHash};
use strait_tree::Tree;

use crate::{Account, ChannelObject};

const STATE_TREES: u64 = 62;
const CONTRACTS: u64 = 621;
const CALLS: u64 = 622;
const CHANNELS: u64 = 623;
const NAMES: u64 = 624;
const ORACLES: u64 = 625;
const ACCOUNTS: u64 = 626;
const MAP: u64 = 63;
const PAIR: u64 = 64;
const STATE_HASH_VERSION: [u8; 8] = 1u64.to_be_bytes();

/// The state of a chain, or of a channel: six trees. A clone costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trees {
    /// Accounts, those of contracts too, by public key.
    pub accounts: Tree,
    /// Results of contract calls, by contract and call.
    pub calls: Tree,
    /// Channel objects by channel id; always empty off chain.
    pub channels: Tree,
    /// Contracts and their stores.
    pub contracts: Tree,
    /// Names; always empty off chain.
    pub names: Tree,
    /// Oracles; always empty off chain.
    pub oracles: Tree,
}

impl Trees {
    /// The hash over the roots of all six.
    pub fn state_hash(&self) -> StateHash {
        state_hash(self.in_hash_order().map(Tree::root_or_zero))
    }

    /// The account, if it exists and is well-formed.
    pub fn account(&self, id: AccountId) -> Option<Account> {
        self.accounts.get(&id.0).and_then(|bytes| Account::decode(bytes).ok())
    }

    /// Writes an account.
    pub fn set_account(&mut self, id: AccountId, account: &Account) {
        self.accounts.insert(&id.0, &account.encode());
    }

    /// The channel, if it exists and is well-formed.
    pub fn channel(&self, id: ChannelId) -> Option<ChannelObject> {
        self.channels.get(&id.0).and_then(|bytes| ChannelObject::decode(bytes).ok())
    }

    /// Writes a channel.
    pub fn set_channel(&mut self, id: ChannelId, channel: &ChannelObject) {
        self.channels.insert(&id.0, &channel.encode());
    }

    /// Removes a channel.
    pub fn remove_channel(&mut self, id: ChannelId) {
        self.channels.remove(&id.0);
    }

    /// The serialized trees, `ss_…` in text form (`docs/protocol/encodings` §4.6).
    pub fn encode(&self) -> Vec<u8> {
        let parts = [
            (CONTRACTS, &self.contracts),
            (CALLS, &self.calls),
            (CHANNELS, &self.channels),
            (NAMES, &self.names),
            (ORACLES, &self.oracles),
            (ACCOUNTS, &self.accounts),
        ];
        parts
            .iter()
            .fold(List::object(STATE_TREES, 0), |list, (tag, tree)| list.bytes(&encode_tree(*tag, tree)))
            .finish()
    }

    /// The serialized tree of calls alone, `cs_…` in text form.
    pub fn encode_calls(&self) -> Vec<u8> {
        encode_tree(CALLS, &self.calls)
    }

    /// Reads serialized trees. The pairs may come in any order.
    ///
    /// # Errors
    /// Malformed, a key twice, or an empty value: the fault of whoever made it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_version(bytes, STATE_TREES, 0)?;
        let trees = Self {
            contracts: decode_tree(CONTRACTS, fields.bytes()?)?,
            calls: decode_tree(CALLS, fields.bytes()?)?,
            channels: decode_tree(CHANNELS, fields.bytes()?)?,
            names: decode_tree(NAMES, fields.bytes()?)?,
            oracles: decode_tree(ORACLES, fields.bytes()?)?,
            accounts: decode_tree(ACCOUNTS, fields.bytes()?)?,
        };
        fields.end()?;
        Ok(trees)
    }

    /// The trees in the order in which state hash and proofs list them.
    pub(crate) fn in_hash_order(&self) -> [&Tree; 6] {
        [&self.accounts, &self.calls, &self.channels, &self.contracts, &self.names, &self.oracles]
    }
}

/// The state hash of six roots, in the order of [`Trees::in_hash_order`].
pub(crate) fn state_hash(roots: [RootHash; 6]) -> StateHash {
    let [accounts, calls, channels, contracts, names, oracles] = &roots;
    StateHash(blake2b_of(&[
        &STATE_HASH_VERSION,
        &accounts.0,
        &calls.0,
        &channels.0,
        &contracts.0,
        &names.0,
        &oracles.0,
    ]))
}

fn encode_tree(tag: u64, tree: &Tree) -> Vec<u8> {
    let mut pairs: Vec<_> =
        tree.iter().map(|(key, value)| List::object(PAIR, 1).bytes(&key).bytes(value).finish()).collect();
    // The node lists them from the last key to the first.
    pairs.reverse();
    let map = List::object(MAP, 1).all_bytes(pairs).finish();
    List::object(tag, 1).bytes(&map).finish()
}

fn decode_tree(tag: u64, bytes: &[u8]) -> Result<Tree, DecodeError> {
    let mut fields = Fields::of_version(bytes, tag, 1)?;
    let mut map = Fields::of_version(fields.bytes()?, MAP, 1)?;
    fields.end()?;
    let mut pairs = map.list()?;
    map.end()?;
    let mut tree = Tree::new();
    while !pairs.is_empty() {
        let mut pair = Fields::of_version(pairs.bytes()?, PAIR, 1)?;
        let (key, value) = (pair.bytes()?, pair.bytes()?);
        pair.end()?;
        if value.is_empty() {
            return Err(DecodeError::Rule("a tree holds a key without a value"));
        }
        if tree.get(key).is_some() {
            return Err(DecodeError::Rule("a tree holds a key twice"));
        }
        tree.insert(key, value);
    }
    Ok(tree)
}
