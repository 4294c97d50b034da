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

#[cfg(test)]
mod tests {
    use strait_encoding::{AccountId, ChannelId, NetworkId, Round, SecretKey, SignedForm, StateHash};
    use strait_ledger::{ABI_FATE, ContractBytes, MetaTtl, OffchainTx};

    use super::*;
    use crate::compare::{Difference, compare};
    use crate::dictionary::{Dictionary, Parties};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn account(seed: u8) -> AccountId {
        key(seed).account()
    }

    /// The recording's parties have the keys 1 and 2, the live ones 3 and 4.
    fn dictionary() -> Dictionary {
        let parties = |seeds: [u8; 2]| Parties {
            accounts: seeds.map(|seed| Some(account(seed))),
            network: NetworkId("ae_dev".to_owned()),
        };
        Dictionary::new(parties([1, 2]), parties([3, 4]), false)
    }

    fn state(round: u64, signer: Option<u8>) -> SignedTx {
        let (channel_id, state_hash) = (ChannelId([1; 32]), StateHash([2; 32]));
        let tx = SignedTx::unsigned(OffchainTx { channel_id, round: Round(round), state_hash });
        let Some(seed) = signer else { return tx };
        let network = NetworkId("ae_dev".to_owned());
        let signature = key(seed).sign(&network, tx.unsigned_bytes(), SignedForm::Hash);
        tx.with_signature(signature)
    }

    fn meta(seed: u8, tx: SignedTx) -> GaMetaTx {
        GaMetaTx {
            ga_id: account(seed),
            auth_data: ContractBytes(vec![1, 2, 3]),
            abi_version: ABI_FATE,
            fee: Coins(7),
            gas: 8,
            gas_price: Coins(9),
            ttl: MetaTtl(None),
            tx,
        }
    }

    fn compared(recorded: impl Into<Tx>, live: impl Into<Tx>) -> Compared {
        let text = |tx: Tx| json!(SignedTx::unsigned(tx).to_text());
        compare(&mut dictionary(), &text(recorded.into()), &text(live.into()))
    }

    #[test]
    fn meta_transactions_are_compared_by_all_that_is_in_them() {
        let recorded = || meta(1, state(2, Some(2)));
        let live = || meta(3, state(2, Some(4)));
        compared(recorded(), live()).unwrap();
        let path = |live: GaMetaTx| compared(recorded(), live).unwrap_err().path;
        let kind = "GAMetaTx";
        assert_eq!(path(GaMetaTx { ga_id: account(4), ..live() }), format!("{kind}.ga_id"));
        let auth_data = ContractBytes(vec![1, 2, 4]);
        assert!(path(GaMetaTx { auth_data, ..live() }).starts_with(&format!("{kind}.auth_data")));
        assert_eq!(path(GaMetaTx { fee: Coins(8), ..live() }), format!("{kind}.fee"));
        assert_eq!(path(GaMetaTx { gas: 9, ..live() }), format!("{kind}.gas"));
        assert_eq!(path(GaMetaTx { gas_price: Coins(10), ..live() }), format!("{kind}.gas_price"));
        assert_eq!(path(GaMetaTx { abi_version: 1, ..live() }), format!("{kind}.abi_version"));
        // What stands inside counts as if nothing were around it.
        assert_eq!(path(meta(3, state(3, Some(4)))), format!("{kind}.round"));
        assert_eq!(path(meta(3, state(2, None))), format!("{kind}.signatures"));
    }

    #[test]
    fn meta_transactions_are_counted_and_keep_their_order() {
        let both = |inner: u8, outer: u8| meta(outer, SignedTx::unsigned(meta(inner, state(2, None))));
        compared(both(1, 2), both(3, 4)).unwrap();
        let turned = compared(both(1, 2), both(4, 3)).unwrap_err();
        assert_eq!((&*turned.path, turned.found), ("GAMetaTx.ga_id", account(3).to_string()));
        let less: Difference = compared(both(1, 2), meta(3, state(2, None))).unwrap_err();
        assert_eq!((&*less.path, &*less.found), ("GAMetaTx.metas", "1 meta transactions"));
        let none = compared(both(1, 2), state(2, None).tx().clone()).unwrap_err();
        assert_eq!(none.path, "GAMetaTx.metas");
    }
}
