//! Transactions: the decoded fields, who signed, and that what is signed is what was proposed.

use serde_json::{Map, Value, json};
use strait_encoding::Coins;
use strait_encoding::hash::{auth_id, channel_id_of_generalized};
use strait_ledger::{CloseMutualTx, CreateTx, GaMetaTx, SignedTx, Tx, split_mutual_close};

use super::{Compared, Walk};
use crate::dictionary::Signers;

impl Walk<'_> {
    pub(super) fn tx(&mut self, recorded: (&str, &[u8]), live: (&str, &[u8])) -> Compared {
        // An empty payload stands for the state on chain.
        if recorded.1.is_empty() && live.1.is_empty() {
            return Ok(());
        }
        let read = match SignedTx::decode(recorded.1) {
            Ok(read) => read,
            Err(error) => return self.differs(&format!("a transaction ({error} in the recording)"), &live.0),
        };
        let came = match SignedTx::decode(live.1) {
            Ok(came) => came,
            Err(error) => return self.differs(&read.kind().event_name(), &error),
        };
        self.under(read.kind().json_name(), |walk| {
            walk.metas(&read, &came)?;
            walk.fields(read.innermost().tx(), came.innermost().tx())?;
            walk.signers(&read, &came)?;
            if walk.dictionary.bind_tx((recorded.0, &read), (live.0, &came)) {
                Ok(())
            } else {
                walk.differs(&"the transaction that was signed", &"another one of the same kind")
            }
        })
    }

    /// Meta transactions around the innermost one: the same accounts in the same order, each with what the client chose. Who pays
    /// how much for them is the client's own, so nothing of it is free.
    fn metas(&mut self, recorded: &SignedTx, live: &SignedTx) -> Compared {
        let (read, came): (Vec<_>, Vec<_>) = (recorded.metas().collect(), live.metas().collect());
        if read.len() != came.len() {
            let count = |all: &[_]| format!("{} meta transactions", all.len());
            return self.under("metas", |walk| walk.differs(&count(&read), &count(&came)));
        }
        for (read, came) in read.into_iter().zip(came) {
            self.under("ga_id", |walk| walk.word(&read.ga_id.to_string(), &came.ga_id.to_string()))?;
            self.under("auth_data", |walk| walk.contract_bytes(&read.auth_data.0, &came.auth_data.0))?;
            let others = |meta: &GaMetaTx| json!({ "abi_version": meta.abi_version, "gas": meta.gas, "gas_price": meta.gas_price.to_string(), "fee": meta.fee.to_string() });
            self.value(&others(read), &others(came))?;
            if let (Tx::ChannelCreate(old), Tx::ChannelCreate(new)) =
                (recorded.innermost().tx(), live.innermost().tx())
                && (read.ga_id, came.ga_id) == (old.initiator_id, new.initiator_id)
            {
                let id = |create: &CreateTx, meta: &GaMetaTx| {
                    let auth = auth_id(meta.ga_id, &meta.auth_data.0);
                    channel_id_of_generalized(create.initiator_id, auth, create.responder_id).to_string()
                };
                self.under("channel_id", |walk| walk.word(&id(old, read), &id(new, came)))?;
            }
        }
        Ok(())
    }

    fn fields(&mut self, recorded: &Tx, live: &Tx) -> Compared {
        let (mut read, mut came) = (fields(recorded), fields(live));
        if let (Tx::ChannelCreate(old), Tx::ChannelCreate(new)) = (recorded, live) {
            self.under("channel_id", |walk| {
                walk.word(&old.channel_id().to_string(), &new.channel_id().to_string())
            })?;
            if self.dictionary.creates_are_old {
                as_version_2(&mut read);
            }
        }
        if let (Tx::ChannelCloseMutual(old), Tx::ChannelCloseMutual(new)) = (recorded, live)
            && self.dictionary.is_free("fee", &json!(old.fee))
            && let Some((initiator, responder)) = amounts_at(old, new.fee)
        {
            read.insert("initiator_amount_final".to_owned(), json!(initiator));
            read.insert("responder_amount_final".to_owned(), json!(responder));
        }
        // The JSON of a transaction leaves a ttl of 0 out.
        for fields in [&mut read, &mut came] {
            fields.entry("ttl").or_insert(json!(0));
        }
        self.object(&read, &came)
    }

    fn signers(&mut self, recorded: &SignedTx, live: &SignedTx) -> Compared {
        let expected = match self.dictionary.recorded.signers(recorded) {
            Ok(signers) => named(&signers),
            Err(left_over) => format!("{left_over} signatures of strangers (in the recording)"),
        };
        let found = match self.dictionary.live.signers(live) {
            Ok(signers) => named(&signers),
            Err(left_over) => format!("{left_over} signatures of strangers"),
        };
        if expected == found {
            Ok(())
        } else {
            self.under("signatures", |walk| walk.differs(&expected, &found))
        }
    }
}

fn fields(tx: &Tx) -> Map<String, Value> {
    match tx.to_json() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// What the parties would receive from a recorded close at another fee: it is taken from both, half and half
/// (`docs/protocol/fsm` §4.3), so what is free in it is free in the amounts.
fn amounts_at(recorded: &CloseMutualTx, fee: Coins) -> Option<(Coins, Coins)> {
    let (first, second) = (recorded.initiator_amount_final, recorded.responder_amount_final);
    let initiator = first.checked_add(Coins(recorded.fee.0.div_ceil(2)))?;
    let responder = second.checked_add(Coins(recorded.fee.0 / 2))?;
    let is_even = split_mutual_close(initiator, responder, recorded.fee) == Some((first, second));
    split_mutual_close(initiator, responder, fee).filter(|_| is_even)
}

/// A create transaction as it is built today: one list of delegates for each party.
fn as_version_2(fields: &mut Map<String, Value>) {
    if fields.get("delegate_ids") == Some(&json!([])) {
        fields.insert("delegate_ids".to_owned(), json!({ "initiator": [], "responder": [] }));
        fields.insert("version".to_owned(), json!(2));
    }
}

fn named(signers: &Signers) -> String {
    if signers.is_empty() {
        return "nobody".to_owned();
    }
    let names: Vec<_> = signers.iter().map(|(role, form)| format!("{} ({form:?})", role.as_str())).collect();
    names.join(" and ")
}
