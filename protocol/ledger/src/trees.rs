//! The six trees of a state, on chain or off chain (`docs/protocol/state_trees` §2, §3).

use serde_json::Value;
use strait_encoding::hash::{blake2b_of, call_id};
use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, ContractId, RootHash, Round, StateHash};
use strait_tree::Tree;

use crate::{Account, CallObject, ChannelObject, ContractCode, ContractObject};

const STATE_TREES: u64 = 62;
const CONTRACTS: u64 = 621;
const CALLS: u64 = 622;
const CHANNELS: u64 = 623;
const NAMES: u64 = 624;
const ORACLES: u64 = 625;
const ACCOUNTS: u64 = 626;
const MAP: u64 = 63;
const PAIR: u64 = 64;
const STORE: u8 = 0x10;
const STORE_MARK: [u8; 1] = [0];
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
    /// The contract, if it exists and is well-formed.
    pub fn contract(&self, id: ContractId) -> Option<ContractObject> {
        self.contracts.get(&id.0).and_then(|bytes| ContractObject::decode(bytes).ok())
    }

    /// The code of a contract: its own, or that of the one it is a clone of.
    pub fn code(&self, contract: &ContractObject) -> Option<Vec<u8>> {
        match &contract.code {
            ContractCode::Own(code) => Some(code.clone()),
            ContractCode::Of(id) => match self.contract(*id)?.code {
                ContractCode::Own(code) => Some(code),
                ContractCode::Of(_) => None,
            },
        }
    }

    /// Writes a contract, and marks where its store is.
    pub fn set_contract(&mut self, id: ContractId, contract: &ContractObject) {
        self.contracts.insert(&id.0, &contract.encode());
        self.contracts.insert(&store_key(&id.0), &STORE_MARK);
    }

    /// Whether there is a store under a key: a contract's id, or that of a copy.
    pub fn has_store(&self, key: &[u8; 32]) -> bool {
        self.contracts.get(&store_key(key)).is_some()
    }

    /// Copies the store of a contract as it is now to another key.
    pub fn copy_store(&mut self, contract: ContractId, to: &[u8; 32]) {
        let entries = self.store_entries(&contract.0, &[]);
        self.contracts.insert(&store_key(to), &STORE_MARK);
        for (entry, value) in entries {
            self.set_store_value(to, &entry, Some(&value));
        }
    }

    /// One entry of the store under a key, if there is one; the value is not empty.
    pub fn store_value(&self, key: &[u8; 32], entry: &[u8]) -> Option<&[u8]> {
        self.contracts.get(&[&store_key(key)[..], entry].concat())
    }

    /// The entries of the store under a key that begin with `prefix` and are longer, in ascending order: what follows
    /// the prefix, and the value.
    pub fn store_entries(&self, key: &[u8; 32], prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let begin = [&store_key(key)[..], prefix].concat();
        let entries = self.contracts.iter_prefix(&begin).filter(|(key, _)| key.len() > begin.len());
        entries.map(|(key, value)| (key[begin.len()..].to_vec(), value.to_vec())).collect()
    }

    /// The store of a contract as the node's interfaces show it: `ck_…` to `cv_…` (`docs/protocol/ws_api` §5).
    pub fn store_json(&self, contract: ContractId) -> Value {
        let text = |(key, value): (Vec<u8>, Vec<u8>)| {
            (text::encode(Prefix::StoreKey, &key), Value::String(text::encode(Prefix::StoreValue, &value)))
        };
        Value::Object(self.store_entries(&contract.0, &[]).into_iter().map(text).collect())
    }

    /// Changes one entry of the store under a key; without a value it is removed.
    pub fn set_store_value(&mut self, key: &[u8; 32], entry: &[u8], value: Option<&[u8]>) {
        self.contracts.insert(&[&store_key(key)[..], entry].concat(), value.unwrap_or_default());
    }

    /// Removes a contract and its store. Its account stays.
    pub fn remove_contract(&mut self, id: ContractId) {
        let keys: Vec<_> = self.contracts.iter_prefix(&id.0).map(|(key, _)| key).collect();
        for key in keys {
            self.contracts.remove(&key);
        }
    }

    /// The result of the call that an account made of a contract in a round of a channel.
    pub fn call_in_round(&self, contract: ContractId, caller: AccountId, round: Round) -> Option<CallObject> {
        self.call(&contract.0, &call_id(caller, round.0, contract))
    }

    /// The result of a call, if it is known: under the contract, or, for an authentication, under the account.
    pub fn call(&self, under: &[u8; 32], id: &[u8; 32]) -> Option<CallObject> {
        self.calls.get(&[*under, *id].concat()).and_then(|bytes| CallObject::decode(bytes).ok())
    }

    /// Writes the result of a call.
    pub fn set_call(&mut self, under: &[u8; 32], id: &[u8; 32], call: &CallObject) {
        self.calls.insert(&[*under, *id].concat(), &call.encode());
    }

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

/// Where the store of a contract, or a copy of it, begins in the contracts tree.
pub(crate) fn store_key(key: &[u8; 32]) -> [u8; 33] {
    let mut store = [STORE; 33];
    store[..32].copy_from_slice(key);
    store
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
