//! Bringing both sides back, and asking whether they agree.

use strait_channel::{Flow, Place, Reason, Refusal, Request, Role, Ticket, TxOptions};
use strait_encoding::{Coins, Height};
use strait_ledger::{ChainView, SignedTx, Tx, TxKind, TxLocation};

use crate::client::Reply;
use crate::network::{ROLES, place};
use crate::world::World;

/// How a story ends once both clients do what they can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both hold the same state, and can go on.
    Agreed {
        /// How often the clients of initiator and responder came back for it.
        returns: [usize; 2],
    },
    /// The channel is closed on chain, and both services have forgotten it.
    Closed,
    /// The channel never came about, and never will unless somebody starts again: no coins are in it.
    Never,
}

/// Milliseconds between two looks, and how often both clients look: longer than any patience.
const BETWEEN: u64 = 30_000;
const LOOKS: usize = 60;
/// How many key blocks a deposit or withdrawal has to get into a block, and some.
const LOOMING_BLOCKS: u64 = 60;

impl World {
    /// Both clients sign what they are asked for from now on, and come back whenever they were let go.
    ///
    /// # Panics
    /// They come to no end: one side is stuck, or the two can never agree again.
    pub fn recover(&mut self) -> Ending {
        self.try_recover().unwrap_or_else(|| panic!("no end: {}", self.describe()))
    }

    /// As [`recover`](Self::recover); none if they come to no end.
    pub fn try_recover(&mut self) -> Option<Ending> {
        for role in ROLES {
            let client = &mut self.party_mut(role).client;
            client.habit = Reply::Sign;
            client.watchful = true;
            client.plan.clear();
        }
        self.refusing_chain = None;
        self.mining = true;
        self.held = None;
        let mut returns = [0; 2];
        for _ in 0..LOOKS {
            self.calm();
            self.fetch_clients();
            if let Some(ending) = self.ending(returns) {
                self.check_clients(ending);
                self.check_trees();
                return Some(ending);
            }
            for role in ROLES {
                self.stop_if_lost(role);
                let asleep = self.party(role).process.as_ref().is_some_and(|channel| !channel.is_alive());
                if asleep && self.come_back(role).is_ok() {
                    returns[place(role)] += 1;
                }
                self.pursue(role);
            }
            self.run_for(BETWEEN);
        }
        self.is_void().then_some(Ending::Never)
    }

    /// A transfer that must succeed.
    ///
    /// # Panics
    /// It does not.
    pub fn transfer_well(&mut self, role: Role, amount: u128) {
        self.request_well(role, Self::transfer_request(role, amount));
    }

    /// A round off chain that must come about: a transfer, or one that runs a contract.
    ///
    /// # Panics
    /// It does not.
    pub fn request_well(&mut self, role: Role, request: Request) {
        let before = self.model.round();
        let mut ticket = self.ask(role, request.clone());
        self.calm();
        // What both signed and the chain refused bars the next round until its time is over.
        let mut left = self.setup.block_time.saturating_mul(LOOMING_BLOCKS);
        while left > 0 && self.is_barred(role, ticket, before) {
            self.run_for(self.setup.block_time);
            left = left.saturating_sub(self.setup.block_time);
            ticket = self.ask(role, request.clone());
            self.calm();
        }
        assert!(self.took(role, ticket), "{request:?} of the {role} is refused: {}", self.describe());
        let rounds = ROLES.map(|role| self.round(role));
        assert_eq!(rounds, [before + 1; 2], "{request:?} of the {role} fails: {}", self.describe());
    }

    /// Whether a deposit or withdrawal that the chain may still take stands in the way of a round, on either side.
    fn is_barred(&self, role: Role, ticket: Ticket, before: u64) -> bool {
        let looms = |refusal: &Refusal| matches!(refusal.reason, Reason::Looming { .. });
        match self.party(role).client.answer(ticket) {
            Some(Err(refusal)) => looms(refusal),
            _ => {
                let told = self.party(role).client.told();
                let refused = told.last().is_some_and(|last| last == "conflict(2)");
                refused && self.round(role) == before && self.something_looms()
            }
        }
    }

    /// Whether there is a deposit or withdrawal with the signatures of both that the chain may still take.
    fn something_looms(&self) -> bool {
        let top = self.chain.top_height();
        let may_be_mined = |tx: &SignedTx| {
            let moves = matches!(tx.body(), Tx::ChannelDeposit(_) | Tx::ChannelWithdraw(_));
            let account = tx.body().origin().and_then(|origin| self.chain.account(origin));
            let free =
                account.is_some_and(|account| !account.is_basic() || account.nonce < tx.body().nonce());
            let in_time = tx.body().ttl() == Height(0) || tx.body().ttl() >= top;
            moves && free && in_time && tx.authentications() > 1
        };
        let sent = self.wire.iter().filter_map(|sent| SignedTx::decode(sent.message.tx()?).ok());
        sent.into_iter().any(|tx| may_be_mined(&tx))
            || self.submitted.iter().any(|(_, tx, _)| may_be_mined(tx))
    }

    /// Where both are, for messages.
    pub fn describe(&self) -> String {
        let one = |role| {
            let party = self.party(role);
            let state = party.process.as_ref().map(|channel| {
                let (round, place) = (channel.round(), channel.place());
                format!("round {round} {place:?} {} peer {}", channel.doing(), channel.has_peer())
            });
            format!("{role}: {state:?} heard {:?}", party.client.told())
        };
        let wire: Vec<_> = self.wire.iter().map(|sent| (sent.at.0, sent.from, sent.message.name())).collect();
        format!("{}\n{}\n{wire:?}", one(Role::Initiator), one(Role::Responder))
    }

    fn ending(&self, returns: [usize; 2]) -> Option<Ending> {
        let gone = self.both(|party| party.process.is_none());
        if self.model.closed().is_some() {
            return gone.then_some(Ending::Closed);
        }
        if gone {
            return self.is_void().then_some(Ending::Never);
        }
        let at_rest = |role: Role| {
            let Some(channel) = &self.party(role).process else { return false };
            let open = channel.place() == Place::Open && channel.doing() == "idle" && channel.has_peer();
            open && self.party(role).session == self.party(role.other()).session
        };
        let [initiator, responder] = ROLES.map(|role| self.party(role).process.as_ref()?.agreed_tx());
        let same = match (initiator, responder) {
            (Some(initiator), Some(responder)) => initiator.same_tx(responder),
            _ => false,
        };
        // What waits for a block may still change everything.
        let rests = same && ROLES.into_iter().all(at_rest) && !self.chain.has_pending();
        rests.then_some(Ending::Agreed { returns })
    }

    /// Whether no channel holds coins, and none is about to.
    fn is_void(&self) -> bool {
        self.model.channels().all(|id| self.chain.channel(id).is_none()) && !self.chain.has_pending()
    }

    /// Both heard what they had to hear.
    fn check_clients(&self, ending: Ending) {
        for role in ROLES {
            let party = self.party(role);
            party.client.check_order();
            if let Ending::Agreed { .. } = ending {
                assert!(party.client.is_content(), "the {role} waits for an answer: {}", self.describe());
                let agreed = party.channel().agreed_tx();
                let latest = party.client.latest_update();
                assert!(
                    latest.is_none() || latest == agreed || self.is_told_of_forced(role, latest, agreed),
                    "the {role} was told of {latest:?}, and not of {agreed:?}"
                );
            }
        }
    }

    /// Whether the latest state is one that was forced, and the client was told that a block holds the call: then the latest update
    /// that it was told of is what both signed before, or another state that was forced on that.
    fn is_told_of_forced(&self, role: Role, latest: Option<&SignedTx>, agreed: Option<&SignedTx>) -> bool {
        let (Some(latest), Some(agreed)) = (latest, agreed) else { return false };
        let forced = agreed.body().kind() == TxKind::ChannelForceProgress;
        let settled = self.model.settled_by(agreed);
        forced
            && self.party(role).client.knows_forced(agreed)
            && settled.is_some()
            && self.model.settled_by(latest) == settled
    }

    /// Clients that went hold their running channels again.
    fn fetch_clients(&mut self) {
        for role in ROLES {
            if self.party(role).is_alive() && !self.party(role).client.attached {
                self.attach(role);
            }
        }
    }

    /// A client that watches the chain slashes an older close than what it knows, and settles what nobody settles.
    fn pursue(&mut self, role: Role) {
        let party = self.party(role);
        let Some(channel) = party.process.as_ref().filter(|_| party.client.attached) else { return };
        let Some(object) = channel.id().and_then(|id| self.chain.channel(id)) else { return };
        if object.is_active() || channel.place() != Place::Closing || self.chain.has_pending() {
            return;
        }
        let shown = channel.agreed_tx().and_then(|tx| tx.body().agreed_state()).map(|(_, hash)| hash);
        // What was forced on an older state may have the round of the latest one.
        let flow = if object.round <= channel.round() && Some(object.state_hash) != shown {
            Flow::Slash
        } else if object.locked_until < self.chain.top_height() {
            Flow::Settle
        } else {
            return;
        };
        let options = TxOptions { fee: self.fee_after_loss(flow, role), ..TxOptions::default() };
        self.ask(role, Request::Solo(flow, options));
    }

    /// What the chain dropped it does not take again: another fee makes another transaction.
    fn fee_after_loss(&self, flow: Flow, role: Role) -> Option<Coins> {
        let mut own = self.submitted.iter().rev().filter(|(by, ..)| *by == role).map(|(_, tx, _)| tx);
        let last = own.find(|tx| Flow::of_tx(tx.body().kind()) == Some(flow))?;
        let lost = self.chain.locate_tx(&last.hash()) == TxLocation::Gone;
        lost.then(|| Coins(last.body().fee().0 + 1))
    }

    /// A client whose service talks to nobody any more, without knowing it, gives up.
    fn stop_if_lost(&mut self, role: Role) {
        let session = self.party(role).session;
        let lost = session.is_some() && session != self.party(role.other()).session;
        let open = self.party(role).process.as_ref().is_some_and(|channel| channel.place() != Place::Closed);
        if lost && open && role == Role::Initiator && self.party(role).is_alive() {
            self.ask(role, Request::Stop);
        }
    }
}
