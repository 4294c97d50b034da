//! Proofs of what is in a state (`docs/protocol/state_trees` §4).

use strait_encoding::rlp::{DecodeError, Fields, List};
use strait_encoding::{AccountId, ContractId, StateHash};
use strait_tree::{Proof, ProofError};
use thiserror::Error;

use crate::trees::{state_hash, store_key};
use crate::{Account, ContractObject, Trees};

const TAG: u64 = 60;
const ACCOUNTS: usize = 0;
const CONTRACTS: usize = 3;

/// A proof of inclusion in the six trees of a state: for each tree that is not empty its root and some nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// In the order of the state hash: accounts, calls, channels, contracts, names, oracles.
    parts: [Option<Proof>; 6],
}

/// Why an account or a contract could not be added to a proof, or not be read from one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StateProofError {
    /// The tree has no such account; or is not the one of the proof; or the proof has no sound nodes for it.
    #[error("account {account}: {error}")]
    Tree {
        /// The account asked for.
        account: AccountId,
        /// What is wrong.
        error: ProofError,
    },
    /// The proof shows that the account does not exist.
    #[error("the state of the proof has no account {0}")]
    Absent(AccountId),
    /// The proof leads to something that is no account: the fault of whoever made the state.
    #[error("what the proof shows at {account} is no account: {error}")]
    Malformed {
        /// The account asked for.
        account: AccountId,
        /// What is wrong.
        error: DecodeError,
    },
    /// As [`Tree`](Self::Tree), of a contract.
    #[error("contract {contract}: {error}")]
    ContractTree {
        /// The contract asked for.
        contract: ContractId,
        /// What is wrong.
        error: ProofError,
    },
    /// The proof shows that the contract does not exist.
    #[error("the state of the proof has no contract {0}")]
    AbsentContract(ContractId),
    /// As [`Malformed`](Self::Malformed), of a contract.
    #[error("what the proof shows at {contract} is no contract: {error}")]
    MalformedContract {
        /// The contract asked for.
        contract: ContractId,
        /// What is wrong.
        error: DecodeError,
    },
}

impl StateProof {
    /// A proof of the roots alone.
    pub fn new(trees: &Trees) -> Self {
        Self { parts: trees.in_hash_order().map(Proof::new) }
    }

    /// Adds the nodes that prove an account of the same `trees` that the proof was made of.
    ///
    /// # Errors
    /// No such account, or other trees; the proof is then unchanged.
    pub fn add_account(&mut self, trees: &Trees, account: AccountId) -> Result<(), StateProofError> {
        let part = self.parts[ACCOUNTS].as_mut().ok_or(StateProofError::Absent(account))?;
        part.add(&trees.accounts, &account.0).map_err(|error| StateProofError::Tree { account, error })
    }

    /// Adds the nodes that prove a contract with all of its store, of the same `trees` that the proof was made of. Its account
    /// is another matter: [`add_account`](Self::add_account) of the same key.
    ///
    /// # Errors
    /// No such contract, or other trees; the proof is then unchanged.
    pub fn add_contract(&mut self, trees: &Trees, contract: ContractId) -> Result<(), StateProofError> {
        let absent = || StateProofError::AbsentContract(contract);
        let part = self.parts[CONTRACTS].as_mut().ok_or_else(absent)?;
        if trees.contracts.get(&contract.0).is_none() {
            return Err(absent());
        }
        // The keys of the store begin with the key of the contract, and no others do.
        let added = part.add_prefix(&trees.contracts, &contract.0);
        added.map_err(|error| StateProofError::ContractTree { contract, error })
    }

    /// The hash of the state that is proved. It covers the roots; the nodes are checked when they are used.
    pub fn state_hash(&self) -> StateHash {
        state_hash(
            self.parts
                .each_ref()
                .map(|part| part.as_ref().map_or(strait_encoding::RootHash::ZERO, Proof::root)),
        )
    }

    /// The account, where the proof shows it.
    ///
    /// # Errors
    /// It does not: a node is missing or false, or there is no such account.
    pub fn account(&self, account: AccountId) -> Result<Account, StateProofError> {
        let part = self.parts[ACCOUNTS].as_ref().ok_or(StateProofError::Absent(account))?;
        let found = part.lookup(&account.0).map_err(|error| StateProofError::Tree { account, error })?;
        let bytes = found.ok_or(StateProofError::Absent(account))?;
        Account::decode(&bytes).map_err(|error| StateProofError::Malformed { account, error })
    }

    /// The contract, where the proof shows it.
    ///
    /// # Errors
    /// It does not: a node is missing or false, or there is no such contract.
    pub fn contract(&self, contract: ContractId) -> Result<ContractObject, StateProofError> {
        let bytes = self.contract_entry(contract, &contract.0)?;
        let bytes = bytes.ok_or(StateProofError::AbsentContract(contract))?;
        let object = ContractObject::decode(&bytes);
        object.map_err(|error| StateProofError::MalformedContract { contract, error })
    }

    /// One entry of the store of a contract, where the proof shows it; `None` where it shows that there is none.
    ///
    /// # Errors
    /// A node is missing or false.
    pub fn store_value(
        &self,
        contract: ContractId,
        entry: &[u8],
    ) -> Result<Option<Vec<u8>>, StateProofError> {
        self.contract_entry(contract, &[&store_key(&contract.0)[..], entry].concat())
    }

    fn contract_entry(&self, contract: ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateProofError> {
        let part = self.parts[CONTRACTS].as_ref().ok_or(StateProofError::AbsentContract(contract))?;
        part.lookup(key).map_err(|error| StateProofError::ContractTree { contract, error })
    }

    /// The serialized proof, `pi_…` in text form.
    pub fn encode(&self) -> Vec<u8> {
        let part =
            |part: &Option<Proof>| part.iter().fold(List::new(), |list, proof| list.list(proof.encode()));
        self.parts.iter().fold(List::object(TAG, 1), |list, proof| list.list(part(proof))).finish()
    }

    /// Reads a serialized proof.
    ///
    /// # Errors
    /// Malformed: the fault of whoever made it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_version(bytes, TAG, 1)?;
        let mut parts = [const { None }; 6];
        for part in &mut parts {
            let mut list = fields.list()?;
            if !list.is_empty() {
                *part = Some(Proof::decode(list.list()?)?);
            }
            list.end()?;
        }
        fields.end()?;
        Ok(Self { parts })
    }
}
