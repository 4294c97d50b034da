//! What happened off stage: on the chain, without a word in the recording.

use strait_encoding::{ChannelId, Coins, Height, NetworkId, Nonce, SecretKey, SignedForm};
use strait_ledger::{
    CloseSoloTx, CreateTx, Payload, ProofBytes, Protocol, SignedTx, StateProof, Trees, Tx, choose_fee,
    initial_trees,
};

use super::{Failure, Fault, Play};
use crate::generalized::Authentication;
use crate::plan::OffStage;
use crate::service::{Chain, ServiceError};
use crate::session::Act;
use crate::url;

/// Makes the account of `key` a generalized one, as it was in the recording before its first word; returns when it is.
pub(super) async fn attach(
    chain: &impl Chain,
    key: &SecretKey,
    authentication: Authentication,
    network: &NetworkId,
) -> Result<(), ServiceError> {
    let account = key.account();
    let nonce = chain.next_nonce(account).await?;
    let tx = Tx::from(authentication.attach(account, nonce));
    let tx = SignedTx::unsigned(choose_fee(tx, None, None, Protocol::default())?);
    let signature = key.sign(network, tx.unsigned_bytes(), SignedForm::Hash);
    chain.submit(&tx.with_signature(signature)).await?;
    chain.attached(account).await
}

impl<C: Chain> Play<'_, C> {
    /// Does what must have happened on chain before a step.
    pub(super) async fn off_stage(&mut self, step: usize) -> Result<(), Failure> {
        let Some(needed) = self.plan.off_stage.get(&step) else { return Ok(()) };
        let channel = self.channel_at(step).map_err(|fault| self.at(step, fault))?;
        match needed {
            OffStage::LockPassed => self.chain.unlock(channel).await?,
            OffStage::FirstStateClosed => {
                let close = self.close_with_first_state(step, channel);
                let close = close.map_err(|fault| self.at(step, fault))?;
                self.post(close).await?;
            }
        }
        Ok(())
    }

    /// The channel that a step is about.
    fn channel_at(&self, step: usize) -> Result<ChannelId, Fault> {
        let recorded = self.plan.sockets[self.plan.socket_of[step]].channel.as_deref();
        let live = recorded.and_then(|recorded| self.dictionary.live_word(recorded));
        let unknown = || Fault::OffStage("no channel of this session stands for the recorded one".to_owned());
        live.and_then(|live| live.parse().ok()).ok_or_else(unknown)
    }

    /// A solo close by the initiator without a payload: it says that the state of the create transaction is the latest
    /// (`docs/protocol/channel_txs` §4.5).
    fn close_with_first_state(&self, step: usize, channel_id: ChannelId) -> Result<CloseSoloTx, Fault> {
        let unknown = || Fault::OffStage(format!("the create transaction of {channel_id} was never shown"));
        let create = self.dictionary.create_of(channel_id).ok_or_else(unknown)?;
        let trees = self.first_trees(step, create)?;
        let impossible = |why: String| Fault::OffStage(format!("no proof of the first state: {why}"));
        let mut proof = StateProof::new(&trees);
        for party in [create.initiator_id, create.responder_id] {
            proof.add_account(&trees, party).map_err(|why| impossible(why.to_string()))?;
        }
        Ok(CloseSoloTx {
            channel_id,
            from_id: create.initiator_id,
            payload: Payload(Vec::new()),
            poi: ProofBytes(proof.encode()),
            ttl: Height(0),
            fee: Coins::ZERO,
            nonce: Nonce(0),
        })
    }

    /// The state that the create transaction commits to: what each put in, after the push that the client asked for.
    fn first_trees(&self, step: usize, create: &CreateTx) -> Result<Trees, Fault> {
        let opened = self.plan.sockets[self.plan.socket_of[step]].opened;
        let parameters = match &self.session.steps[opened].act {
            Act::Open(url) => url::parameters(url),
            _ => Vec::new(),
        };
        let pushed = parameters.iter().find(|(name, _)| name == "push_amount");
        let pushed = Coins(pushed.and_then(|(_, value)| value.parse().ok()).unwrap_or_default());
        let balances =
            create.initiator_amount.checked_sub(pushed).zip(create.responder_amount.checked_add(pushed));
        let impossible = || Fault::OffStage(format!("a push of {pushed} is impossible"));
        let (initiator, responder) = balances.ok_or_else(impossible)?;
        let trees = initial_trees(create.initiator_id, create.responder_id, initiator, responder);
        if trees.state_hash() == create.state_hash {
            return Ok(trees);
        }
        let (expected, found) = (trees.state_hash(), create.state_hash);
        Err(Fault::OffStage(format!(
            "the create transaction commits to {found}, its amounts make {expected}"
        )))
    }

    /// Posts a transaction of the initiator as the next one of its account.
    async fn post(&self, close: CloseSoloTx) -> Result<(), ServiceError> {
        let nonce = self.chain.next_nonce(close.from_id).await?;
        let tx = Tx::from(CloseSoloTx { nonce, ..close });
        let tx = SignedTx::unsigned(choose_fee(tx, None, None, Protocol::default())?);
        let [initiator, _] = &self.keys;
        let signature = initiator.sign(&self.endpoint.network, tx.unsigned_bytes(), SignedForm::Hash);
        self.chain.submit(&tx.with_signature(signature)).await
    }
}
