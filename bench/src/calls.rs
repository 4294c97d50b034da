//! Contract calls: two clients of bare frames, because what they sign is what the service says.

use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use strait_client::{Connection, OpenParams};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{NetworkId, SecretKey, SignedForm, hash};
use strait_ledger::SignedTx;

use crate::Failure;
use crate::load::{histogram, params};

/// A counter of the Sophia compiler: `add` of an integer to its state. From the recorded session `new__fate_contract`.
const CODE: &str = include_str!("../contract/code.txt");
const INIT: &str = "cb_KxFE1kQfGwphxkNE";
const ADD: &str = "cb_KxFLBQ6pGwYhkxi7";

/// The round of the contract's creation: the first behind the opening, so the contract's id is known.
const CREATED_IN: u64 = 2;

/// A channel with a contract in it.
pub(crate) struct Called {
    sides: [Side; 2],
    call: Value,
}

/// One client.
struct Side {
    connection: Connection,
    key: SecretKey,
    network: NetworkId,
}

impl Called {
    pub(crate) async fn open(url: &str, initiator: SecretKey, responder: SecretKey) -> Result<Self, Failure> {
        let (ours, theirs) = params(&initiator, &responder)?;
        let owner = initiator.account();
        let (mut first, mut second) =
            tokio::try_join!(Side::connect(url, &ours, initiator), Side::connect(url, &theirs, responder))?;
        // The last word of an opening is its state.
        tokio::try_join!(first.sign_until_agreed(), second.sign_until_agreed())?;
        let create =
            json!({"vm_version": 8, "abi_version": 3, "deposit": 0, "code": CODE.trim(), "call_data": INIT});
        first.ask("channels.update.new_contract", &create).await?;
        tokio::try_join!(first.sign_until_agreed(), second.sign_until_agreed())?;
        let id = text::encode(Prefix::Contract, &hash::contract_id(owner, CREATED_IN).0);
        let call = json!({"contract_id": id, "abi_version": 3, "amount": 0, "call_data": ADD});
        Ok(Self { sides: [first, second], call })
    }

    /// Makes so many calls, by the initiator or in turn.
    pub(crate) async fn run(mut self, calls: u32, both: bool) -> Result<(Self, Histogram<u64>), Failure> {
        let mut latency = histogram()?;
        for number in 0..calls {
            let [initiator, responder] = &mut self.sides;
            let turn = both && number % 2 == 1;
            let (caller, other) = if turn { (responder, initiator) } else { (initiator, responder) };
            let asked = Instant::now();
            caller.ask("channels.update.call_contract", &self.call).await?;
            tokio::try_join!(caller.sign_until_agreed(), other.sign_until_agreed())?;
            latency.record(u64::try_from(asked.elapsed().as_micros())?)?;
        }
        Ok((self, latency))
    }
}

impl Side {
    async fn connect(url: &str, params: &OpenParams, key: SecretKey) -> Result<Self, Failure> {
        let connection = Connection::connect(&format!("{url}?{}", params.query())).await?;
        Ok(Self { connection, key, network: NetworkId("ae_dev".to_owned()) })
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Result<(), Failure> {
        let frame = json!({"jsonrpc": "2.0", "method": method, "params": params});
        Ok(self.connection.send_value(&frame).await?)
    }

    /// Signs what it is asked to until the next state is agreed.
    async fn sign_until_agreed(&mut self) -> Result<(), Failure> {
        loop {
            let frame = self.connection.next().await?.ok_or("the service closed a socket")?.value()?;
            let data = &frame["params"]["data"];
            match frame["method"].as_str() {
                Some("channels.update") => return Ok(()),
                Some("channels.info" | "channels.on_chain_tx") => {}
                Some(method) if method.starts_with("channels.sign.") => {
                    let signed_tx = self.sign(data["signed_tx"].as_str().unwrap_or_default())?;
                    let reply = method.replace(".sign.", ".");
                    self.ask(&reply, &json!({"signed_tx": signed_tx})).await?;
                }
                _ => return Err(format!("no agreement: {frame}").into()),
            }
        }
    }

    fn sign(&self, tx: &str) -> Result<String, Failure> {
        let tx = SignedTx::decode(&text::decode(Prefix::Transaction, tx)?)?;
        let signature = self.key.sign(&self.network, tx.unsigned_bytes(), SignedForm::Hash);
        Ok(tx.with_signature(signature).to_text())
    }
}
