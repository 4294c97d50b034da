//! Contracts: what they are, their code, and the proof of what they hold (`docs/protocol/chain_service` §4).

use serde_json::json;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ContractId};
use strait_ledger::{ContractObject, StateProof};

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, bytes32};
use crate::param::CONTRACT;

/// `/contracts/{pubkey}`.
pub(crate) fn contract(ask: &Ask<'_>) -> Answer {
    let key = bytes32(ask.in_path(&CONTRACT), &[Prefix::Contract])
        .map_err(|_| Fault::bad_request("Invalid public key"))?;
    let id = ContractId(key);
    Ok(existing(ask, id)?.to_json(id))
}

/// `/contracts/{pubkey}/code`: as it is stored; of a clone that of its original.
pub(crate) fn code(ask: &Ask<'_>) -> Answer {
    let id = ContractId(ask.public_key(&CONTRACT, &[Prefix::Contract])?);
    let object = existing(ask, id)?;
    let code = ask.chain.top_state().code(&object).ok_or_else(none)?;
    Ok(json!({ "bytecode": text::encode(Prefix::ContractBytes, &code) }))
}

/// `/contracts/{pubkey}/poi`: of the contract with all of its store, and of its account.
pub(crate) fn proof(ask: &Ask<'_>) -> Answer {
    let key = bytes32(ask.in_path(&CONTRACT), &[Prefix::Contract])
        .map_err(|_| Fault::bad_request("Invalid hash: pubkey"))?;
    let (id, trees) = (ContractId(key), ask.chain.top_state());
    let mut proof = StateProof::new(trees);
    let missing = |of: &str| Fault::not_found(&format!("Proof for {of} not found"));
    proof.add_contract(trees, id).map_err(|_| missing("contract"))?;
    proof.add_account(trees, AccountId(id.0)).map_err(|_| missing("account"))?;
    Ok(json!({ "poi": text::encode(Prefix::Proof, &proof.encode()) }))
}

fn existing(ask: &Ask<'_>, id: ContractId) -> Result<ContractObject, Fault> {
    ask.chain.top_state().contract(id).ok_or_else(none)
}

fn none() -> Fault {
    Fault::not_found("Contract not found").code("not_present")
}
