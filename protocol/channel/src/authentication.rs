//! Who authenticated what: by a signature, or by the contract of a generalized account (`docs/protocol/fsm` §11).

use strait_encoding::AccountId;
use strait_ledger::{AccountKind, Authenticated, ChannelObject, FrozenAuth, RuleError, SignedTx, TxKind};

use crate::channel::Draft;
use crate::step::Move;

impl Move<'_> {
    /// Checks that exactly `signers` authenticated a transaction; `known`: what was verified of it before. What comes back
    /// saves verifying signatures again; nothing does where a contract was asked.
    ///
    /// # Errors
    /// They did not: the fault of whoever sent it.
    pub(crate) fn authenticate(
        &self,
        tx: &SignedTx,
        known: Option<&Draft>,
        signers: &[AccountId],
    ) -> Result<Option<Authenticated>, RuleError> {
        let is_state = tx.body().kind() == TxKind::ChannelOffchain;
        if tx.kind() != TxKind::GaMeta && !signers.iter().any(|signer| self.must_wrap(*signer, is_state)) {
            let known = known.and_then(|draft| draft.evidence.as_ref().map(|evidence| (&draft.tx, evidence)));
            let signed = tx.verify_more(self.chain.network(), known, signers);
            return signed.map(Some).map_err(|error| RuleError::Signatures { error });
        }
        match self.next.id {
            Some(id) if is_state => self.chain.authenticate_offchain(tx, id, signers),
            // The chain asked the contracts then; by now they may not take it a second time. What failed behind its
            // authentication is in a block too, and was never seen there.
            _ if self.next.height_of(&tx.hash()).is_some() => return Ok(None),
            _ => self.chain.authenticate_onchain(tx, signers),
        }?;
        Ok(None)
    }

    /// Checks that both parties, and nobody else, authenticated a transaction.
    pub(crate) fn check_both(
        &self,
        tx: &SignedTx,
        known: Option<&Draft>,
    ) -> Result<Option<Authenticated>, RuleError> {
        let signers: Vec<AccountId> = [self.next.me(), self.next.peer()].into_iter().flatten().collect();
        self.authenticate(tx, known, &signers)
    }

    /// Whether a signature is not enough for this account: it was generalized when the channel was created, which is what counts
    /// for states, or is so now.
    fn must_wrap(&self, account: AccountId, is_state: bool) -> bool {
        if is_state { self.next.generalized.contains(&account) } else { self.is_generalized_now(account) }
    }

    pub(crate) fn is_generalized_now(&self, account: AccountId) -> bool {
        let found = self.chain.account(account);
        found.is_some_and(|found| matches!(found.kind, AccountKind::Generalized { .. }))
    }

    /// Keeps how the parties authenticate states, as the chain has fixed it.
    pub(crate) fn note_generalized(&mut self, object: Option<&ChannelObject>) {
        let Some(object) = object else { return };
        let parties =
            [(object.initiator_id, object.initiator_auth), (object.responder_id, object.responder_auth)];
        let generalized =
            parties.into_iter().filter(|(_, auth)| matches!(auth, FrozenAuth::Generalized { .. }));
        let generalized: Vec<AccountId> = generalized.map(|(id, _)| id).collect();
        if generalized != self.next.generalized {
            self.next.generalized = generalized;
        }
    }
}
