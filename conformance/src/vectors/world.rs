//! A channel in the surroundings that a vector file describes.

use std::collections::BTreeMap;

use strait_encoding::hash::{call_id, contract_id};
use strait_encoding::{AccountId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Nonce, Round};
use strait_ledger::rules::{BlockEnv, SOLO_ROUND_SWITCH};
use strait_ledger::{
    Account, CallError, CallObject, CallResult, CtVersion, MIN_GAS_PRICE, Machine, NoResult, OffchainEnv,
    Pinned, Protocol, Trees, Update, apply_updates_at,
};
use strait_tree::Tree;

use super::Mismatch;
use super::place::{Place, Read};

/// A channel, with the block that its updates are pinned to.
pub(super) struct World {
    /// The state of the channel.
    pub trees: Trees,
    chain: Trees,
    protocol: Protocol,
    network: NetworkId,
    height: Height,
    key_hash: KeyBlockHash,
    time_ms: u64,
    beneficiary: AccountId,
    difficulty: u64,
    reserve: Coins,
    machine: Machine,
}

/// What came of a step.
pub(super) enum Outcome {
    /// The state after it.
    Applied(Trees),
    /// Refused for this reason.
    Refused(&'static str),
    /// The reference breaks down over it, and so it has to be refused.
    Broken(String),
    /// Nothing here can tell: it takes another machine, say. No reference ever says that.
    Unknown(String),
}

/// A call as a step makes it.
pub(super) struct CallOf {
    pub caller: AccountId,
    pub contract: ContractId,
    pub round: u64,
}

impl World {
    /// The state before the first step.
    pub fn of(file: &Place<'_>) -> Read<Self> {
        let env = file.at("env");
        let serialized = file.at("onchain_trees_serialized");
        let chain = if serialized.is_there() {
            Trees::decode(&serialized.bytes()?).map_err(|_| serialized.wrong("the trees of a chain"))?
        } else {
            accounts(&env.at("onchain_accounts"))?
        };
        Ok(Self {
            trees: accounts(&env.at("offchain_accounts"))?,
            chain,
            protocol: match env.at("protocol").number()? {
                4 => Protocol::Lima,
                5 => Protocol::Iris,
                6 => Protocol::Ceres,
                _ => return Err(env.at("protocol").wrong("4, 5 or 6")),
            },
            network: NetworkId(env.at("network_id").text()?.to_owned()),
            height: Height(env.at("height").small()?),
            key_hash: KeyBlockHash(env.at("key_hash").key()?),
            time_ms: env.at("time_in_msecs").small()?,
            beneficiary: AccountId(env.at("beneficiary").key()?),
            difficulty: env.at("difficulty").small()?,
            reserve: Coins(env.at("channel_reserve").number()?),
            machine: Machine::fate(),
        })
    }

    /// What a step makes of the state. The state itself does not change.
    pub fn apply(&self, step: &Place<'_>) -> Read<Outcome> {
        if step.at("op").value() == "insert_failed_call" {
            return Ok(Outcome::Applied(self.with_failed_call(step)?));
        }
        let updates = match step.at("updates") {
            list if list.is_there() => list.list()?.iter().map(update).collect::<Read<Vec<_>>>()?,
            _ => vec![update(&step.at("update"))?],
        };
        let applied = self.apply_updates(step.at("round").small()?, &updates);
        Ok(match applied {
            Ok(next) => Outcome::Applied(next),
            Err(
                error @ CallError::NoResult(
                    NoResult::Unsupported { .. } | NoResult::Limit(_) | NoResult::NotKnown(_),
                ),
            ) => Outcome::Unknown(error.to_string()),
            Err(error) => match error.atom() {
                Some(reason) => Outcome::Refused(reason),
                None => Outcome::Broken(error.to_string()),
            },
        })
    }

    fn apply_updates(&self, round: u64, updates: &[Update]) -> Result<Trees, CallError> {
        let env = OffchainEnv { reserve: self.reserve, round: Round(round), protocol: self.protocol };
        let block = BlockEnv {
            network: &self.network,
            height: self.height,
            key_hash: self.key_hash,
            time_ms: self.time_ms,
            protocol: self.protocol,
            min_gas_price: MIN_GAS_PRICE,
            solo_round_switch: SOLO_ROUND_SWITCH,
            beneficiary: self.beneficiary,
            difficulty: self.difficulty,
            key_blocks: const { &BTreeMap::new() },
            machine: self.machine.get(),
        };
        apply_updates_at(&self.trees, updates, &env, &Pinned { block, trees: &self.chain })
    }

    /// What forced progress records of a call that is impossible.
    fn with_failed_call(&self, step: &Place<'_>) -> Read<Trees> {
        let CallOf { caller, contract, round } = CallOf::of(step)?;
        let call = CallObject {
            caller: caller.into(),
            nonce: Nonce(round),
            height: Height(round),
            contract,
            name: None,
            gas_price: Coins(step.at("gas_price").number()?),
            gas_used: step.at("gas").small()?,
            result: CallResult::Error(b"invalid_call".to_vec()),
            log: Vec::new(),
        };
        let mut next = Trees { calls: Tree::new(), ..self.trees.clone() };
        next.set_call(&contract.0, &call_id(caller, round, contract), &call);
        Ok(next)
    }
}

impl CallOf {
    /// The call of a step that makes one.
    pub fn of(step: &Place<'_>) -> Read<Self> {
        let caller = if step.at("op").value() == "create" { "owner" } else { "caller" };
        Ok(Self {
            caller: AccountId(step.at(caller).key()?),
            contract: ContractId(step.at("contract").key()?),
            round: step.at("round").small()?,
        })
    }

    /// The key of its result in the tree of calls.
    pub fn id(&self) -> [u8; 32] {
        call_id(self.caller, self.round, self.contract)
    }
}

/// That the fields of a step say the same as its update, where it has both: what is run is the update.
pub(super) fn compare_fields(step: &Place<'_>, before: &Trees, found: &mut Vec<Mismatch>) -> Read<()> {
    let hash = step.at("state_hash_before");
    if hash.is_there() {
        // Every step begins with an empty tree of calls.
        let emptied = Trees { calls: Tree::new(), ..before.clone() };
        hash.expect_bytes(&emptied.state_hash().0, found);
    }
    if !step.at("update").is_there() {
        return Ok(());
    }
    let bytes = step.at("update").bytes()?;
    let same = match step.at("op").value().as_str() {
        Some("create") => {
            let (vm, abi) = (step.at("vm_version").small()?, step.at("abi_version").small()?);
            let owner = AccountId(step.at("owner").key()?);
            step.at("contract").expect_bytes(&contract_id(owner, step.at("round").small()?).0, found);
            Update::NewContract {
                owner,
                ct_version: CtVersion { vm, abi }.pack(),
                code: step.at("code").bytes()?,
                deposit: Coins(step.at("deposit").number()?),
                call_data: step.at("calldata").bytes()?,
            }
        }
        Some("call") => Update::CallContract {
            caller: AccountId(step.at("caller").key()?),
            contract: ContractId(step.at("contract").key()?),
            abi_version: step.at("abi_version").small()?,
            amount: Coins(step.at("amount").number()?),
            gas: step.at("gas").small()?,
            gas_price: step.at("gas_price").number()?,
            call_data: step.at("calldata").bytes()?,
            // It stands in the update only.
            call_stack: match update(&step.at("update"))? {
                Update::CallContract { call_stack, .. } => call_stack,
                _ => Vec::new(),
            },
        },
        Some(_) => update(&step.at("update"))?,
        None => return Ok(()),
    };
    if same.encode() != bytes {
        step.at("update").expect_bytes(&same.encode(), found);
    }
    Ok(())
}

fn update(place: &Place<'_>) -> Read<Update> {
    Update::decode(&place.bytes()?)
        .map_err(|error| Mismatch { expected: format!("an off-chain update ({error})"), ..place.wrong("") })
}

fn accounts(list: &Place<'_>) -> Read<Trees> {
    let mut trees = Trees::default();
    for account in list.list()? {
        let id = AccountId(account.at("pubkey").key()?);
        trees.set_account(id, &Account::new(Coins(account.at("balance").number()?)));
    }
    Ok(trees)
}
