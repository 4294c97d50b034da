//! Contracts in the channel: making them, calling them, looking at them, forcing a call (`docs/protocol/contracts` §1).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, ContractId, Round};
use strait_ledger::{ABI_FATE, DEFAULT_MINER_GAS_PRICE, OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE, Update};

use super::drive::{broken, parse};
use super::query::result;
use super::{Outcome, Party};
use crate::book::Proposal;
use crate::{Calldata, Called, ClientError, Frame, Program};

/// The gas of a forced call. Unlike other calls it is paid for, by the account on chain of who forces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForcedGas {
    /// The most units that the call may use.
    pub limit: u64,
    /// The price of a unit.
    pub price: Coins,
}

impl Default for ForcedGas {
    /// As much gas as other calls have, at the price that miners take.
    fn default() -> Self {
        Self { limit: OFFCHAIN_GAS, price: DEFAULT_MINER_GAS_PRICE }
    }
}

/// A contract as the service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractState {
    /// The contract.
    pub id: ContractId,
    /// Who made it.
    pub owner: AccountId,
    /// Its virtual machine.
    pub vm: u64,
    /// Its call convention.
    pub abi: u64,
    /// What was locked in it when it was made.
    pub deposit: Coins,
    /// Its store: what it remembers.
    pub store: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Deserialize)]
struct StateForm<'a> {
    #[serde(borrow)]
    contract: ObjectForm<'a>,
    contract_state: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ObjectForm<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    owner_id: Cow<'a, str>,
    vm_version: u64,
    abi_version: u64,
    deposit: Coins,
}

impl Party {
    /// Makes a contract of `program` in the channel, in this party's name; `init` is the call that makes its first state.
    /// `deposit` is what the contract owns from the start. Its id is [`Outcome::contract_of`] this party.
    ///
    /// # Errors
    /// The request is refused, as where `init` fails; a check of an agreed state fails; nothing comes in time.
    pub async fn new_contract(
        &mut self,
        program: &Program,
        init: &Calldata,
        deposit: Coins,
        meta: &[&str],
    ) -> Result<Outcome, ClientError> {
        let update = Update::NewContract {
            owner: self.me.id,
            ct_version: program.version().pack(),
            code: program.bytes().to_vec(),
            deposit,
            call_data: init.bytes().to_vec(),
        };
        let params = format!(
            r#""vm_version":{},"abi_version":{},"deposit":{deposit},"code":"{}","call_data":"{}"{}"#,
            program.version().vm,
            program.version().abi,
            text::encode(Prefix::ContractBytes, program.bytes()),
            init.to_text(),
            meta_param(meta),
        );
        let updates = with_meta(update, meta);
        self.begin("channels.update.new_contract", &params, Proposal::Round(updates)).await
    }

    /// Calls a contract of the channel, in this party's name; `amount` goes with the call. A call that fails makes a round,
    /// too, and gives the amount back: what it came to is [`Book::called`](crate::Book::called).
    ///
    /// # Errors
    /// As for [`new_contract`](Self::new_contract).
    pub async fn call_contract(
        &mut self,
        contract: ContractId,
        call: &Calldata,
        amount: Coins,
        meta: &[&str],
    ) -> Result<Outcome, ClientError> {
        let update = self.call_update(contract, call, amount, OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE);
        let params = format!("{}{}", call_params(contract, call, amount), meta_param(meta));
        let updates = with_meta(update, meta);
        self.begin("channels.update.call_contract", &params, Proposal::Round(updates)).await
    }

    /// What a call would come to now, as the service says. Nothing is agreed on, and nothing stays.
    ///
    /// # Errors
    /// The request is refused; nothing comes in time; the answer cannot be read.
    pub async fn dry_run(
        &mut self,
        contract: ContractId,
        call: &Calldata,
        amount: Coins,
    ) -> Result<Called, ClientError> {
        let params = call_params(contract, call, amount);
        let frame = self.query("channels.dry_run.call_contract", &params).await?;
        called(&frame)
    }

    /// What a call came to, in any round, as the service remembers; of the latest round
    /// [`Book::called`](crate::Book::called) knows it without asking.
    ///
    /// # Errors
    /// The request is refused, with code 1004 where there is no such call; nothing comes in time.
    pub async fn contract_call(
        &mut self,
        contract: ContractId,
        caller: AccountId,
        round: Round,
    ) -> Result<Called, ClientError> {
        let caller = self.text(caller);
        let params = format!(r#""contract_id":"{contract}","caller_id":"{caller}","round":{}"#, round.0);
        let frame = self.query("channels.get.contract_call", &params).await?;
        called(&frame)
    }

    /// A contract and its store.
    ///
    /// # Errors
    /// The request is refused, with code 100 where there is no such contract; nothing comes in time.
    pub async fn contract(&mut self, contract: ContractId) -> Result<ContractState, ClientError> {
        let frame = self.query("channels.get.contract", &format!(r#""pubkey":"{contract}""#)).await?;
        let form: StateForm<'_> = parse(result(&frame)?, &frame)?;
        let entry = |(key, value): (&String, &String)| {
            Ok((text::decode(Prefix::StoreKey, key)?, text::decode(Prefix::StoreValue, value)?))
        };
        Ok(ContractState {
            id: form.contract.id.parse()?,
            owner: form.contract.owner_id.parse()?,
            vm: form.contract.vm_version,
            abi: form.contract.abi_version,
            deposit: form.contract.deposit,
            store: form.contract_state.iter().map(entry).collect::<Result<_, ClientError>>()?,
        })
    }

    /// Has the service forget what the calls of past rounds came to.
    ///
    /// # Errors
    /// The request is refused; nothing comes in time.
    pub async fn clean_contract_calls(&mut self) -> Result<(), ClientError> {
        let frame = self.query("channels.clean_contract_calls", "").await?;
        result(&frame).map(|_| ())
    }

    /// Makes a call on chain that the peer does not agree to, on top of the latest state, and waits until what comes of it is
    /// the state of the channel. The peer has no say; fee and gas are this party's, from its account on chain.
    ///
    /// What the call leaves behind is signed before it is known in which block it is made, so it must not depend on that.
    ///
    /// # Errors
    /// As for [`transfer`](Self::transfer). Where the chain comes to another state than the one signed, nothing changes and
    /// the time runs out.
    pub async fn force_progress(
        &mut self,
        contract: ContractId,
        call: &Calldata,
        amount: Coins,
        gas: ForcedGas,
    ) -> Result<Outcome, ClientError> {
        let update = self.call_update(contract, call, amount, gas.limit, gas.price);
        let mut params = call_params(contract, call, amount);
        // Writing to a string cannot fail.
        let _ = write!(params, r#","gas":{},"gas_price":{}"#, gas.limit, gas.price);
        self.begin("channels.force_progress", &params, Proposal::Force(update)).await
    }

    fn call_update(
        &self,
        contract: ContractId,
        call: &Calldata,
        amount: Coins,
        gas: u64,
        gas_price: Coins,
    ) -> Update {
        Update::CallContract {
            caller: self.me.id,
            contract,
            abi_version: ABI_FATE,
            amount,
            gas,
            gas_price: gas_price.0,
            call_data: call.bytes().to_vec(),
            call_stack: Vec::new(),
        }
    }
}

fn call_params(contract: ContractId, call: &Calldata, amount: Coins) -> String {
    let call = call.to_text();
    format!(r#""contract_id":"{contract}","abi_version":{ABI_FATE},"amount":{amount},"call_data":"{call}""#)
}

fn with_meta(update: Update, meta: &[&str]) -> Vec<Update> {
    let texts = meta.iter().map(|text| Update::Meta { data: text.as_bytes().to_vec() });
    std::iter::once(update).chain(texts).collect()
}

fn meta_param(meta: &[&str]) -> String {
    if meta.is_empty() { String::new() } else { format!(r#","meta":{}"#, Value::from(meta)) }
}

fn called(frame: &Frame) -> Result<Called, ClientError> {
    Called::parse(result(frame)?).map_err(|error| broken(&error, frame))
}
