//! Questions about the agreed state.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins};
use strait_ledger::{SignedTx, StateProof, Trees, Tx};

use super::Party;
use super::drive::{broken, decode, parse};
use crate::book::Objection;
use crate::error::Rejection;
use crate::updates::Named;
use crate::{Book, ClientError, Frame, Role, View};

/// The service's answer to `channels.get.offchain_state`.
#[derive(Clone)]
pub struct OffchainState {
    /// The trees of the latest agreed state.
    pub trees: Trees,
    /// The latest transaction that both signed; none before the channel is created.
    pub signed_tx: Option<SignedTx>,
    /// A transaction that one of both has signed, while a flow is under way.
    pub half_signed_tx: Option<SignedTx>,
}

#[derive(Deserialize)]
struct Balance {
    account: String,
    balance: Coins,
}

#[derive(Deserialize)]
struct StateForm<'a> {
    #[serde(borrow)]
    trees: Cow<'a, str>,
    #[serde(borrow)]
    signed_tx: Cow<'a, str>,
    #[serde(borrow)]
    half_signed_tx: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ProofForm<'a> {
    #[serde(borrow)]
    poi: Cow<'a, str>,
}

impl Party {
    /// The balances of accounts inside the channel as the service has them, in the order asked; unknown accounts are left
    /// out. [`book`](Self::book) knows them without asking.
    ///
    /// # Errors
    /// The request is refused; nothing comes in time.
    pub async fn balances(&mut self, accounts: &[AccountId]) -> Result<Vec<(AccountId, Coins)>, ClientError> {
        let frame = self.query("channels.get.balances", &format!(r#""accounts":{}"#, list(accounts))).await?;
        let balances: Vec<Balance> = parse(result(&frame)?, &frame)?;
        balances.into_iter().map(|entry| Ok((entry.account.parse()?, entry.balance))).collect()
    }

    /// The state that the service holds.
    ///
    /// # Errors
    /// The request is refused; nothing comes in time; the answer cannot be decoded.
    pub async fn offchain_state(&mut self) -> Result<OffchainState, ClientError> {
        let frame = self.query("channels.get.offchain_state", "").await?;
        let form: StateForm<'_> = parse(result(&frame)?, &frame)?;
        let tx = |text: &str| (!text.is_empty()).then(|| decode(text, &frame)).transpose();
        let trees = text::decode(Prefix::StateTrees, &form.trees)?;
        Ok(OffchainState {
            trees: Trees::decode(&trees).map_err(|error| broken(&error, &frame))?,
            signed_tx: tx(&form.signed_tx)?,
            half_signed_tx: tx(&form.half_signed_tx)?,
        })
    }

    /// A proof of what accounts own in the latest agreed state. It is checked against the state hash that both signed.
    ///
    /// # Errors
    /// The request is refused, as where an account is not in the channel; the proof is of another state.
    pub async fn poi(&mut self, accounts: &[AccountId]) -> Result<StateProof, ClientError> {
        let frame = self.query("channels.get.poi", &format!(r#""accounts":{}"#, list(accounts))).await?;
        let form: ProofForm<'_> = parse(result(&frame)?, &frame)?;
        let bytes = text::decode(Prefix::Proof, &form.poi)?;
        let proof = StateProof::decode(&bytes).map_err(|error| broken(&error, &frame))?;
        match self.book().map(Book::state_hash) {
            Some(expected) if proof.state_hash() != expected => {
                let (found, expected) = (proof.state_hash().to_string(), expected.to_string());
                Err(Objection::Field { field: "the state hash of the proof", found, expected }.into())
            }
            _ => Ok(proof),
        }
    }

    /// Fills the book from what the service holds, and trusts nothing of it unsigned.
    pub(super) async fn restore(&mut self, channel: ChannelId) -> Result<(), ClientError> {
        let initiator =
            self.params.initiator.ok_or(ClientError::Misuse("coming back needs the initiator's id"))?;
        let state = self.offchain_state().await?;
        let latest = state.signed_tx.ok_or(ClientError::Misuse("the channel has no agreed state yet"))?;
        let parties = [initiator, self.params.responder];
        // What was forced is signed by one, and is a state because the chain has taken it.
        let signers: &[AccountId] = match latest.tx() {
            Tx::ChannelForceProgress(forced) if parties.contains(&forced.from_id) => &[forced.from_id],
            _ => &parties,
        };
        latest.verify(&self.signer.network, signers).map_err(Objection::from)?;
        let book =
            Book::restore(channel, latest.tx(), state.trees, &self.params, initiator, self.signer.rules())?;
        let peer = if self.params.role == Role::Initiator { self.params.responder } else { initiator };
        self.peer = Some(Named::new(peer));
        self.channel_text = Some(channel.to_string());
        self.book = Some(book);
        self.latest = Some(latest);
        Ok(())
    }

    /// Sends a request with an id and waits for its answer.
    pub(super) async fn query(&mut self, method: &'static str, params: &str) -> Result<Frame, ClientError> {
        self.requests += 1;
        let id = self.requests.to_string();
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#);
        self.connection.send(request).await?;
        loop {
            let (frame, progress) = self.step(method).await?;
            if let super::Progress::Died = progress {
                return Err(self.ended(method));
            }
            if matches!(frame.view()?, View::Reply(reply) if reply.id == Some(&id)) {
                return Ok(frame);
            }
        }
    }
}

pub(super) fn result(frame: &Frame) -> Result<&str, ClientError> {
    match frame.view()? {
        View::Reply(reply) => match reply.outcome {
            Ok(result) => Ok(result),
            Err(error) => {
                let rejection = Rejection::parse(error).map_err(|error| broken(&error, frame))?;
                Err(ClientError::Rejected(rejection))
            }
        },
        View::Notification(_) | View::Batch(_) => Err(broken(&"a reply was expected", frame)),
    }
}

fn list(accounts: &[AccountId]) -> Box<RawValue> {
    let texts: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    serde_json::value::to_raw_value(&texts).unwrap_or_default()
}
