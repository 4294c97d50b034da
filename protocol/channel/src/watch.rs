//! What the chain does (`docs/protocol/fsm` §8).

use std::sync::Arc;

use strait_encoding::Height;
use strait_ledger::{Tx, TxLocation};

use crate::channel::{Ceremony, Draft, Exchange, Stage, Stand};
use crate::effect::Effect;
use crate::flow::{Flow, Place};
use crate::input::{ChainNews, SeenTx};
use crate::notice::{Event, OnChainEvent};
use crate::refusal::Refusal;
use crate::step::Move;

impl Move<'_> {
    /// The chain moved.
    pub(crate) fn hear_chain(&mut self, news: &ChainNews) -> Result<(), Refusal> {
        for seen in &news.txs {
            let hash = seen.tx.hash();
            if !self.next.seen.contains(&hash) {
                self.next.seen.push(hash);
                self.see(seen);
            }
        }
        self.count_depth(news.top);
        self.forget_impossible_create();
        Ok(())
    }

    fn see(&mut self, seen: &SeenTx) {
        let kind = Flow::of_tx(seen.tx.kind());
        if let Some(flow) = kind
            && flow.row().lands == Some(Place::Closed)
        {
            return self.see_closed(seen);
        }
        match self.next.ceremony.clone().filter(|ceremony| ceremony.draft.tx.same_tx(&seen.tx)) {
            Some(ceremony) => self.see_own(&ceremony, seen),
            None => self.see_exposed_create(seen),
        }
        self.on_chain(OnChainEvent::ChannelChanged, &seen.tx);
    }

    /// The transaction of the flow under way is in a block.
    fn see_own(&mut self, ceremony: &Ceremony, seen: &SeenTx) {
        let stage = match ceremony.stage {
            Stage::Confirming { announced, peer_locked, .. } => {
                Stage::Confirming { announced, seen: Some(seen.height), peer_locked }
            }
            // The peer completed and handed in what this side proposed, without telling it.
            Stage::Proposed | Stage::Withdrawn { .. } | Stage::Unresolved => {
                Stage::Confirming { announced: true, seen: Some(seen.height), peer_locked: false }
            }
            Stage::Signing | Stage::Locking => return,
        };
        let draft = Arc::new(Draft { tx: seen.tx.clone(), ..(*ceremony.draft).clone() });
        self.next.exposed = Some(draft.clone());
        if let Some(ceremony) = &mut self.next.ceremony {
            ceremony.draft = draft;
        }
        self.enter_stage(stage);
    }

    /// A create transaction of this side appears after its opening was given up: the channel exists.
    fn see_exposed_create(&mut self, seen: &SeenTx) {
        let Some(exposed) = self.next.exposed.clone().filter(|exposed| exposed.tx.same_tx(&seen.tx)) else {
            return;
        };
        let stage = Stage::Confirming { announced: true, seen: Some(seen.height), peer_locked: false };
        let draft = Arc::new(Draft { tx: seen.tx.clone(), ..(*exposed).clone() });
        if matches!(seen.tx.tx(), Tx::ChannelCreate(_)) && self.next.stand == Stand::Opening {
            let (flow, side) = (Flow::Create, crate::Side::Proposer);
            self.next.exposed = Some(draft.clone());
            self.next.ceremony = Some(Ceremony { flow, side, stage, draft, since: self.now });
        }
    }

    fn see_closed(&mut self, seen: &SeenTx) {
        self.next.ceremony = None;
        // Nobody is looked for any more: only confirmations are awaited.
        self.enter(Exchange::None);
        self.next.stand = Stand::Closed { tx: seen.tx.clone(), seen: seen.height };
        self.tell_closing();
        self.on_chain(OnChainEvent::ChannelClosed, &seen.tx);
    }

    /// Counts key blocks on top of what is waited for (`docs/protocol/chain_service` §1).
    fn count_depth(&mut self, top: Height) {
        if let Stand::Closed { tx, seen } = &self.next.stand {
            if top.0.saturating_sub(seen.0) >= self.next.depth.confirmations(tx.tx().fee()) {
                self.close_for_good();
            }
            return;
        }
        let Some(ceremony) = self.next.ceremony.clone() else { return };
        let Stage::Confirming { seen: Some(seen), peer_locked, .. } = ceremony.stage else { return };
        let needed = self.next.depth.confirmations(ceremony.draft.tx.tx().fee());
        if top.0.saturating_sub(seen.0) >= needed {
            self.confirmed(&ceremony, peer_locked);
        }
    }

    fn close_for_good(&mut self) {
        self.info(Event::ClosedConfirmed);
        if self.next.talk.alive {
            self.next.agreed = None;
            self.next.exposed = None;
            self.die();
        } else {
            self.effects.push(Effect::Forget);
        }
    }

    /// A dormant opening whose create transaction can never be mined any more holds no coins: it may be forgotten.
    fn forget_impossible_create(&mut self) {
        if self.next.talk.alive || self.next.stand != Stand::Opening {
            return;
        }
        let Some(draft) = self.next.exposed.clone() else { return };
        let Tx::ChannelCreate(create) = draft.tx.tx() else { return };
        let used =
            self.chain.account(create.initiator_id).is_some_and(|account| account.nonce >= create.nonce);
        let mined = matches!(self.chain.locate_tx(&draft.tx.hash()), TxLocation::InBlock { .. });
        if used && !mined && self.chain.channel(create.channel_id()).is_none() {
            self.effects.push(Effect::Forget);
        }
    }
}
