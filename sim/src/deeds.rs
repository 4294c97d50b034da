//! What a test has clients, machines, the line and strangers do.

use std::collections::VecDeque;

use strait_channel::{Answer, Channel, Flow, Input, Message, Refusal, Request, Role, Ticket, TxOptions};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Id, Nonce};
use strait_ledger::{
    Chain, ChainView, CloseSoloTx, ForceProgressTx, OffchainEnv, Payload, ProofBytes, SettleTx, SignedTx,
    SlashTx, SnapshotSoloTx, SpendPayload, SpendTx, StateProof, Trees, TreesBytes, Tx, TxKind,
    apply_updates_at, choose_fee,
};

use crate::agenda::Frame;
use crate::contracts::Call;
use crate::faults::Fault;
use crate::network::{ROLES, place};
use crate::rng::Rng;
use crate::setup::Setup;
use crate::turn::Outcome;
use crate::world::World;

impl World {
    /// The client of a role opens the channel.
    ///
    /// # Panics
    /// The service refuses.
    pub fn open(&mut self, role: Role) {
        let temporary_id = [place(role) as u8 + 1; 32];
        let terms = self.party(role).terms.clone();
        let step = match Channel::open(terms, temporary_id, self.now(), &self.chain) {
            Ok(step) => step,
            Err(refusal) => panic!("the {role} cannot open: {refusal}"),
        };
        self.party_mut(role).client.connect();
        let mut inbox = VecDeque::new();
        self.release(role, step, &mut inbox);
        self.drain(role, inbox);
        self.check();
    }

    /// The client of a role comes back to its channel.
    ///
    /// # Errors
    /// The service does not take it now.
    pub fn come_back(&mut self, role: Role) -> Result<(), Refusal> {
        self.party_mut(role).client.connect();
        let outcome = self.turn(role, Input::Reestablish);
        self.check();
        match outcome {
            Outcome::Refused(refusal) => {
                self.party_mut(role).client.lose();
                Err(refusal)
            }
            _ => Ok(()),
        }
    }

    /// The client of a role goes, and its service notices.
    pub fn detach(&mut self, role: Role) {
        self.party_mut(role).client.attached = false;
        self.turn(role, Input::Detached);
        self.check();
    }

    /// The client of a role goes, and its service does not notice.
    pub fn detach_quietly(&mut self, role: Role) {
        self.party_mut(role).client.attached = false;
    }

    /// A client of a role holds the running channel again.
    pub fn attach(&mut self, role: Role) {
        self.party_mut(role).client.connect();
        self.turn(role, Input::Attached);
        self.check();
    }

    /// The client of a role asks for something.
    pub fn ask(&mut self, role: Role, request: Request) -> Ticket {
        let ticket = self.party_mut(role).client.ticket();
        self.party_mut(role).client.ask(ticket);
        self.turn(role, Input::Client(ticket, request));
        self.check();
        ticket
    }

    /// The client of a role asks for a transfer of so many aettos to the other one.
    pub fn transfer(&mut self, role: Role, amount: u128) -> Ticket {
        self.ask(role, Self::transfer_request(role, amount))
    }

    /// The request for a transfer from a role to the other one.
    pub fn transfer_request(role: Role, amount: u128) -> Request {
        let (from, to) = (Setup::account(role), Setup::account(role.other()));
        Request::Transfer { from, to, amount: Coins(amount), pin: None, meta: Vec::new() }
    }

    /// The request to bring so many aettos into the channel, or to take them out. `flow`: deposit or withdraw.
    pub fn funds_request(flow: Flow, amount: u128) -> Request {
        let (amount, options) = (Coins(amount), TxOptions::default());
        Request::Funds { flow, amount, pin: None, options, meta: Vec::new() }
    }

    /// The request to act alone.
    pub fn solo_request(flow: Flow) -> Request {
        Request::Solo(flow, TxOptions::default())
    }

    /// Whoever holds the key of a role closes the channel alone, past its service, with the state of a round that was agreed.
    /// The chain does not take everything: a round that came about on chain counts only while it is the latest there.
    ///
    /// # Panics
    /// There was no such round.
    pub fn close_with(&mut self, role: Role, round: u64) -> SignedTx {
        let close = self.solo_of(Flow::CloseSolo, role, round, &self.chain);
        self.post(role, close)
    }

    /// What a role would post alone, past its service, on such a chain, with the state of a round that was agreed: a solo
    /// close, a slash, a snapshot or a settlement. It has no fee yet.
    ///
    /// # Panics
    /// There was no such round, or it is another flow.
    pub fn solo_of(&self, flow: Flow, role: Role, round: u64, chain: &Chain) -> Tx {
        let (Some(channel_id), Some(agreement)) = (self.channel_on(chain), self.model.agreement(round))
        else {
            panic!("round {round} was never agreed, or there is no channel");
        };
        let mut proof = StateProof::new(&agreement.trees);
        for party in ROLES {
            if let Err(error) = proof.add_account(&agreement.trees, Setup::account(party)) {
                panic!("no proof of round {round}: {error}");
            }
        }
        let object = chain.channel(channel_id);
        let known = object.as_ref().is_some_and(|object| object.round.0 == round) && flow == Flow::CloseSolo;
        let payload = Payload(if known { Vec::new() } else { agreement.tx.encode() });
        let (from_id, poi) = (Setup::account(role), ProofBytes(proof.encode()));
        let (ttl, fee, nonce) = (Height(0), Coins::ZERO, chain.next_nonce(from_id));
        match flow {
            Flow::CloseSolo => CloseSoloTx { channel_id, from_id, payload, poi, ttl, fee, nonce }.into(),
            Flow::Slash => SlashTx { channel_id, from_id, payload, poi, ttl, fee, nonce }.into(),
            Flow::SnapshotSolo => SnapshotSoloTx { channel_id, from_id, payload, ttl, fee, nonce }.into(),
            Flow::Settle => {
                let [initiator_amount_final, responder_amount_final] = agreement.balances.map(Coins);
                SettleTx {
                    channel_id,
                    from_id,
                    initiator_amount_final,
                    responder_amount_final,
                    ttl,
                    fee,
                    nonce,
                }
                .into()
            }
            _ => panic!("{flow:?} is not posted alone"),
        }
    }

    /// A call that a role would force past its service, on such a chain, on the state of a round that was agreed; with the
    /// result that it has there. It has no fee yet.
    ///
    /// # Panics
    /// There was no such round, or the call cannot be made.
    pub fn forced_of(
        &self,
        role: Role,
        round: u64,
        (contract, call): (ContractId, &Call),
        chain: &Chain,
    ) -> Tx {
        let Some(agreement) = self.model.agreement(round) else { panic!("round {round} was never agreed") };
        self.forced_on(role, (&agreement.trees, &agreement.tx), (contract, call), chain)
    }

    /// As [`forced_of`](Self::forced_of), on these trees and the transaction that both signed of them.
    ///
    /// # Panics
    /// There is no channel, it is no state, or the call cannot be made.
    pub fn forced_on(
        &self,
        role: Role,
        (trees, signed): (&Trees, &SignedTx),
        (contract, call): (ContractId, &Call),
        chain: &Chain,
    ) -> Tx {
        let (Some(channel_id), Some((round, _))) = (self.channel_on(chain), signed.body().agreed_state())
        else {
            panic!("{signed:?} is no state, or there is no channel");
        };
        let from_id = Setup::account(role);
        let update = call.forced_update(from_id, contract);
        let next = round.next();
        let env = OffchainEnv { reserve: Coins(self.setup.reserve), round: next, protocol: chain.protocol() };
        let pinned = chain
            .pinned(None)
            .map(|pinned| apply_updates_at(trees, std::slice::from_ref(&update), &env, &pinned));
        let Some(Ok(after)) = pinned else { panic!("{call:?} cannot be made: {pinned:?}") };
        let object = chain.channel(channel_id);
        let known = object.is_some_and(|object| object.state_hash == trees.state_hash());
        ForceProgressTx {
            channel_id,
            from_id,
            payload: Payload(if known { Vec::new() } else { signed.encode() }),
            round: next,
            update,
            state_hash: after.state_hash(),
            offchain_trees: TreesBytes(trees.encode()),
            ttl: Height(0),
            fee: Coins::ZERO,
            nonce: chain.next_nonce(from_id),
        }
        .into()
    }

    /// The channel that such a chain holds; the last one that there was, where it holds none.
    pub(crate) fn channel_on(&self, chain: &Chain) -> Option<ChannelId> {
        let mut channels = self.model.channels();
        channels.find(|id| chain.channel(*id).is_some()).or_else(|| self.model.channels().last())
    }

    /// A spend of a role to a stranger with the next nonce on such a chain, whatever else would use it. It has no fee yet.
    pub fn spend_of(role: Role, chain: &Chain) -> Tx {
        let sender_id = Setup::account(role);
        let nonce = Self::first_nonce(sender_id, chain);
        let recipient_id = Id::Account(Setup::stranger().account());
        let (amount, ttl) = (Coins(1), Height(0));
        SpendTx {
            sender_id,
            recipient_id,
            amount,
            fee: Coins::ZERO,
            ttl,
            nonce,
            payload: SpendPayload::default(),
        }
        .into()
    }

    /// The next nonce of an account that no block has used; a generalized one has none.
    fn first_nonce(account: AccountId, chain: &Chain) -> Nonce {
        match chain.account(account) {
            Some(account) if !account.is_basic() => Nonce(0),
            account => account.map_or(Nonce(1), |account| account.nonce.next()),
        }
    }

    /// The transaction with the signature of a role, the next nonce that no block has used and twice the usual fee: it goes
    /// before whatever else of that account waits.
    ///
    /// # Panics
    /// It is not one that a party posts alone.
    pub fn outbidding(&self, role: Role, mut tx: Tx, chain: &Chain) -> SignedTx {
        let next = Self::first_nonce(Setup::account(role), chain);
        match &mut tx {
            Tx::Spend(SpendTx { nonce, .. })
            | Tx::ChannelCloseSolo(CloseSoloTx { nonce, .. })
            | Tx::ChannelSlash(SlashTx { nonce, .. })
            | Tx::ChannelSnapshotSolo(SnapshotSoloTx { nonce, .. })
            | Tx::ChannelSettle(SettleTx { nonce, .. })
            | Tx::ChannelForceProgress(ForceProgressTx { nonce, .. }) => *nonce = next,
            other => panic!("{other:?} is not posted alone"),
        }
        let price = Coins(self.chain.miner_gas_price().0.saturating_mul(2));
        match choose_fee(tx, None, Some(price), self.chain.protocol()) {
            Ok(tx) => self.party(role).signer.add_to(&SignedTx::unsigned(tx)),
            Err(error) => panic!("no fee: {error}"),
        }
    }

    /// The transaction with the least fee that the miner takes and the signature of a role.
    ///
    /// # Panics
    /// There is no such fee.
    pub fn signed_by(&self, role: Role, tx: impl Into<Tx>) -> SignedTx {
        match choose_fee(tx.into(), None, None, self.chain.protocol()) {
            Ok(tx) => self.party(role).signer.add_to(&SignedTx::unsigned(tx)),
            Err(error) => panic!("no fee: {error}"),
        }
    }

    /// Whoever holds the key of a role hands this to the chain, past its service, with the least fee that the miner takes.
    /// Whether the chain takes it stands in `submitted`.
    ///
    /// # Panics
    /// There is no such fee.
    pub fn post(&mut self, role: Role, tx: impl Into<Tx>) -> SignedTx {
        let tx = self.signed_by(role, tx);
        self.hand_in(&tx);
        tx
    }

    /// Somebody hands this to the chain, past all services, as it is. Whether the chain takes it stands in `submitted`, with
    /// whoever pays for it.
    pub fn hand_in(&mut self, tx: &SignedTx) {
        let payer = ROLES.into_iter().find(|role| tx.body().origin() == Some(Setup::account(*role)));
        let result = self.chain.submit(tx.clone()).map(drop).map_err(|error| error.atom());
        self.submitted.push((payer.unwrap_or(Role::Initiator), tx.clone(), result));
        self.tell_authorities();
    }

    /// Whoever holds the key of a role completes a mutual close that the other one proposed, and hands it in past all services: the one
    /// that is so many proposals old. Gives it, if there was such a proposal.
    pub fn complete_close(&mut self, role: Role, old: usize) -> Option<SignedTx> {
        let proposals = self.wire.iter().rev().filter(|sent| sent.from == role.other());
        let closes = proposals.filter_map(|sent| match &sent.message {
            Message::Shutdown { tx, .. } => SignedTx::decode(tx).ok(),
            _ => None,
        });
        let half = closes.filter(|tx| tx.tx().kind() == TxKind::ChannelCloseMutual).nth(old)?;
        let close = self.party(role).signer.add_to(&half);
        self.model.expect_close(&close);
        self.hand_in(&close);
        Some(close)
    }

    /// Whether a request was answered with ok.
    pub fn took(&self, role: Role, ticket: Ticket) -> bool {
        self.party(role).client.answer(ticket) == Some(&Ok(Answer::Ok))
    }

    /// The owner of a role's key gives so many aettos of its account on chain to a stranger, with the next nonce that no block
    /// has used. Gives that nonce.
    ///
    /// # Panics
    /// The chain does not take it.
    pub fn spend(&mut self, role: Role, amount: Coins) -> u64 {
        let account = Setup::account(role);
        let nonce = Self::first_nonce(account, &self.chain);
        let spend = SpendTx {
            sender_id: account,
            recipient_id: Id::Account(Setup::stranger().account()),
            amount,
            fee: Coins(60_000_000_000_000),
            ttl: Height(0),
            nonce,
            payload: SpendPayload::default(),
        };
        let tx = self.party(role).signer.add_to(&SignedTx::unsigned(spend));
        if let Err(error) = self.chain.submit(tx) {
            panic!("the chain does not take a spend: {error}");
        }
        self.tell_authorities();
        nonce.0
    }

    /// Arms a fault; what was counted before is forgotten.
    pub fn arm(&mut self, fault: Fault) {
        self.faults.arm(fault);
    }

    /// Whether the armed fault struck.
    pub fn struck(&self) -> bool {
        self.faults.struck
    }

    /// The line between the two is cut.
    pub fn cut_line(&mut self) {
        let now = self.now();
        let session = self.party(Role::Initiator).session.or(self.party(Role::Responder).session);
        if let Some(session) = session {
            self.network.cut(&mut self.agenda, now, session);
        }
    }

    /// How long messages to a role are under way from now on, in milliseconds.
    pub fn set_latency(&mut self, to: Role, milliseconds: u64) {
        self.network.latency[place(to)] = milliseconds;
    }

    /// Up to how many milliseconds more they are under way from now on, by chance.
    pub fn set_jitter(&mut self, milliseconds: u64, seed: u64) {
        self.network.jitter = milliseconds;
        self.network.rng = Rng::new(seed);
    }

    /// Puts a message on the way as if `from` had sent it in its session.
    ///
    /// # Panics
    /// There is no session, or the message cannot be encoded.
    pub fn inject(&mut self, from: Role, message: &Message) {
        let bytes = message.encode().unwrap_or_else(|error| panic!("{message:?} cannot be sent: {error}"));
        let base = self.party(from).process.as_ref().and_then(|channel| channel.agreed_tx().cloned());
        self.model.hear(message, &self.chain, base.as_ref());
        self.inject_bytes(from, bytes);
    }

    /// As [`inject`](Self::inject), for bytes that need not be a message.
    ///
    /// # Panics
    /// There is no session.
    pub fn inject_bytes(&mut self, from: Role, bytes: Vec<u8>) {
        let session = self.party(from).session.or(self.party(from.other()).session);
        let Some(session) = session else { panic!("no session to send in") };
        let now = self.now();
        self.network.send(&mut self.agenda, now, Frame::new(session, from.other(), bytes, None));
    }

    /// A knock of a stranger at the door of the responder: a session whose first message is this one.
    pub fn knock(&mut self, message: &Message) {
        let bytes = message.encode().unwrap_or_else(|error| panic!("{message:?} cannot be sent: {error}"));
        let session = self.network.open();
        let frame = Frame::new(session, Role::Responder, bytes, None);
        let now = self.now();
        self.network.send(&mut self.agenda, now, frame);
    }
}
