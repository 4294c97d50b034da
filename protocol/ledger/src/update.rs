//! Off-chain updates: what a round changes (`docs/protocol/encodings` §4.2).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strait_encoding::rlp::{self, DecodeError, Fields, List};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, Coins, ContractId};

use crate::CtVersion;

/// One change of an off-chain state. A round applies a list of them in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Update {
    /// Moves coins inside the channel.
    Transfer {
        /// Who pays.
        from: AccountId,
        /// Who receives; a contract's account too.
        to: AccountId,
        /// How much.
        amount: Coins,
    },
    /// Adds the coins of a deposit transaction.
    Deposit {
        /// Who deposited.
        from: AccountId,
        /// How much.
        amount: Coins,
    },
    /// Removes the coins of a withdraw transaction.
    Withdraw {
        /// Who withdraws.
        to: AccountId,
        /// How much.
        amount: Coins,
    },
    /// Creates a contract.
    NewContract {
        /// Who creates it.
        owner: AccountId,
        /// Virtual machine and call convention, packed.
        ct_version: u64,
        /// The serialized code.
        code: Vec<u8>,
        /// Coins locked in it.
        deposit: Coins,
        /// The call of `init`.
        call_data: Vec<u8>,
    },
    /// Calls a contract.
    CallContract {
        /// Who calls.
        caller: AccountId,
        /// What is called.
        contract: ContractId,
        /// Call convention.
        abi_version: u64,
        /// Coins that go with the call.
        amount: Coins,
        /// Gas limit.
        gas: u64,
        /// Price of a unit of gas.
        gas_price: u128,
        /// Function and arguments.
        call_data: Vec<u8>,
        /// Always empty today.
        call_stack: Vec<u64>,
    },
    /// Text for the other client; changes nothing.
    Meta {
        /// The text; bytes, because a peer may send what is not UTF-8.
        data: Vec<u8>,
    },
}

impl Update {
    /// The serialized update.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Update::Transfer { from, to, amount } => List::object(570, 1).id(*from).id(*to).coins(*amount),
            Update::Deposit { from, amount } => List::object(571, 1).id(*from).coins(*amount),
            Update::Withdraw { to, amount } => List::object(572, 1).id(*to).coins(*amount),
            Update::NewContract { owner, ct_version, code, deposit, call_data } => {
                List::object(573, 1).id(*owner).uint(*ct_version).bytes(code).coins(*deposit).bytes(call_data)
            }
            Update::CallContract {
                caller,
                contract,
                abi_version,
                amount,
                gas,
                gas_price,
                call_data,
                call_stack,
            } => List::object(574, 1)
                .id(*caller)
                .id(*contract)
                .uint(*abi_version)
                .coins(*amount)
                .uint(*gas)
                .uint128(*gas_price)
                .bytes(call_data)
                .list(call_stack.iter().fold(List::new(), |list, number| list.uint(*number))),
            Update::Meta { data } => List::object(576, 2).bytes(data),
        }
        .finish()
    }

    /// Reads a serialized update.
    ///
    /// # Errors
    /// Malformed, or of a kind or version that is not known: the sender's fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tag = rlp::tag_of(bytes)?;
        let version = if tag == 576 { 2 } else { 1 };
        let mut fields = Fields::of_version(bytes, tag, version)?;
        let update = match tag {
            570 => {
                Update::Transfer { from: fields.account()?, to: fields.account()?, amount: fields.coins()? }
            }
            571 => Update::Deposit { from: fields.account()?, amount: fields.coins()? },
            572 => Update::Withdraw { to: fields.account()?, amount: fields.coins()? },
            573 => Update::NewContract {
                owner: fields.account()?,
                ct_version: fields.uint()?,
                code: fields.bytes()?.to_vec(),
                deposit: fields.coins()?,
                call_data: fields.bytes()?.to_vec(),
            },
            574 => Update::CallContract {
                caller: fields.account()?,
                contract: fields.contract()?,
                abi_version: fields.uint()?,
                amount: fields.coins()?,
                gas: fields.uint()?,
                gas_price: fields.uint128()?,
                call_data: fields.bytes()?.to_vec(),
                call_stack: call_stack(&mut fields)?,
            },
            576 => Update::Meta { data: fields.bytes()?.to_vec() },
            other => return Err(DecodeError::UnknownTag(other)),
        };
        fields.end()?;
        Ok(update)
    }

    /// The client's JSON (`docs/protocol/ws_api` §6). Meta data that is not UTF-8 is shown with replacement characters.
    pub fn to_json(&self) -> Value {
        match self {
            Update::Transfer { from, to, amount } => {
                json!({ "op": "OffChainTransfer", "from": from.to_string(), "to": to.to_string(), "amount": amount })
            }
            Update::Deposit { from, amount } => {
                json!({ "op": "OffChainDeposit", "from": from.to_string(), "amount": amount })
            }
            Update::Withdraw { to, amount } => {
                json!({ "op": "OffChainWithdrawal", "to": to.to_string(), "amount": amount })
            }
            Update::NewContract { owner, ct_version, code, deposit, call_data } => {
                let CtVersion { vm: vm_version, abi: abi_version } = CtVersion::unpack(*ct_version);
                json!({
                    "op": "OffChainNewContract", "owner": owner.to_string(),
                    "vm_version": vm_version, "abi_version": abi_version,
                    "code": text::encode(Prefix::ContractBytes, code), "deposit": deposit,
                    "call_data": text::encode(Prefix::ContractBytes, call_data),
                })
            }
            Update::CallContract {
                caller,
                contract,
                abi_version,
                amount,
                gas,
                gas_price,
                call_data,
                call_stack,
            } => {
                json!({
                    "op": "OffChainCallContract", "caller_id": caller.to_string(),
                    "contract_id": contract.to_string(), "abi_version": abi_version, "amount": amount,
                    "gas": gas, "gas_price": gas_price,
                    "call_data": text::encode(Prefix::ContractBytes, call_data), "call_stack": call_stack,
                })
            }
            Update::Meta { data } => json!({ "op": "OffChainMeta", "data": String::from_utf8_lossy(data) }),
        }
    }
}

fn call_stack(fields: &mut Fields<'_>) -> Result<Vec<u64>, DecodeError> {
    let mut list = fields.list()?;
    let mut stack = Vec::new();
    while !list.is_empty() {
        stack.push(list.uint()?);
    }
    Ok(stack)
}
