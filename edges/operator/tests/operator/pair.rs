//! Two real sides of a channel over a chain of their own, each with a meter: what they decide is counted as a service would.

// The bench uses a part of it.
#![allow(dead_code)]

use std::collections::VecDeque;

use strait_channel::{
    ChainNews, Channel, DepthRule, Durable, Effect, Input, Message, Notice, Patience, PeerEvent, PinWindow,
    Report, Reports, Request, Role, SeenTx, Side, Step, Terms, Ticket, Time, TxOptions,
};
use strait_encoding::hash::blake2b;
use strait_encoding::{BlockHash, Coins, Height, NetworkId, SecretKey, SignedForm};
use strait_ledger::{Chain, ChainConfig, ChainView, SignedTx};
use strait_operator::{Meter, Metrics};

/// What a client does when it is asked to sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Habit {
    Signs,
    Declines,
    Waits,
}

pub struct Pair {
    pub metrics: Metrics,
    pub chain: Chain,
    /// The habits of the initiator's client and of the responder's.
    pub habits: [Habit; 2],
    now: Time,
    sides: [One; 2],
    post: VecDeque<(usize, Input)>,
}

struct One {
    key: SecretKey,
    channel: Option<Channel>,
    meter: Meter,
    seen: BlockHash,
}

impl Pair {
    /// A channel that is open.
    pub fn open() -> Self {
        let keys = [b"initiator", b"responder"].map(|name| SecretKey::from_seed(blake2b(name)));
        let funded = keys.iter().map(|key| (key.account(), Coins(10_u128.pow(21)))).collect();
        let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_test".to_owned()), funded));
        (1..=12).for_each(|time| drop(chain.mine_key_block(time)));
        let metrics = Metrics::new();
        let seen = chain.top().hash();
        let sides = keys.map(|key| One { key, channel: None, meter: metrics.meter(), seen });
        let (now, post) = (Time(1_000_000), VecDeque::new());
        let mut pair = Self { metrics, chain, habits: [Habit::Signs; 2], now, sides, post };
        for place in [1, 0] {
            let step = Channel::open(pair.terms(place), [9; 32], now, &pair.chain).unwrap();
            pair.carry_out(place, step);
        }
        pair.go_on();
        (0..4).for_each(|_| pair.mine());
        assert_eq!(pair.rounds(), [1, 1]);
        pair
    }

    /// A payment of the initiator; false where the side refuses it.
    pub fn pay(&mut self) -> bool {
        let [from, to] = [0, 1].map(|place| self.sides[place].key.account());
        let request = Request::Transfer { from, to, amount: Coins(1), pin: None, meta: Vec::new() };
        let taken = self.take(0, Input::Client(Ticket(1), request));
        self.go_on();
        taken
    }

    pub fn close(&mut self) {
        self.take(0, Input::Client(Ticket(2), Request::Shutdown(TxOptions::default())));
        self.go_on();
    }

    /// The initiator's side, and the step that a payment would be: its client is asked to sign.
    pub fn proposal(&self) -> (Channel, Step) {
        let before = self.sides[0].channel.clone().unwrap();
        let [from, to] = [0, 1].map(|place| self.sides[place].key.account());
        let request = Request::Transfer { from, to, amount: Coins(1), pin: None, meta: Vec::new() };
        let step = before.decide(self.now, Input::Client(Ticket(1), request), &self.chain).unwrap();
        (before, step)
    }

    /// A micro block and a key block.
    pub fn mine(&mut self) {
        self.chain.mine_micro_block(self.now.0);
        self.chain.mine_key_block(self.now.0);
        for place in [0, 1] {
            let one = &mut self.sides[place];
            let Some(id) = one.channel.as_ref().and_then(Channel::id) else { continue };
            let news = self.chain.news_since(id, &one.seen);
            one.seen = news.tip;
            let txs = news.txs.into_iter().map(|mined| SeenTx { tx: mined.tx, height: mined.height });
            let news =
                ChainNews { top: news.top, txs: txs.collect(), failed: Vec::new(), object: news.object };
            self.post.push_back((place, Input::Chain(news)));
        }
        self.go_on();
    }

    /// Lets the waits of one side end.
    pub fn wait_out(&mut self, place: usize) {
        let due = self.sides[place].channel.as_ref().and_then(Channel::deadline);
        self.now = due.unwrap_or(self.now);
        self.take(place, Input::Tick);
        self.go_on();
    }

    pub fn rounds(&self) -> [u64; 2] {
        [0, 1].map(|place| self.sides[place].channel.as_ref().map_or(0, |channel| channel.round().0))
    }

    fn terms(&self, place: usize) -> Terms {
        Terms {
            role: [Role::Initiator, Role::Responder][place],
            initiator: Some(self.sides[0].key.account()),
            responder: self.sides[1].key.account(),
            initiator_amount: Coins(10_u128.pow(18)),
            responder_amount: Coins(10_u128.pow(18)),
            push_amount: Coins(0),
            channel_reserve: Coins(0),
            lock_period: 10,
            depth: Some(DepthRule::TxFee(0)),
            ttl: Height(0),
            create: TxOptions::default(),
            keep_running: false,
            msg_forwarding: false,
            log_keep: 0,
            slogan: None,
            patience: Patience::default(),
            reports: Reports::default(),
            pin: PinWindow::default(),
            host: "localhost".to_owned(),
            port: 3114,
        }
    }

    fn go_on(&mut self) {
        while let Some((place, input)) = self.post.pop_front() {
            self.take(place, input);
        }
    }

    fn take(&mut self, place: usize, input: Input) -> bool {
        let one = &mut self.sides[place];
        let Some(before) = &one.channel else { return false };
        let seen = Meter::notice(&input);
        let Ok(step) = before.decide(self.now, input, &self.chain) else { return false };
        one.meter.observe(seen, before, &step);
        self.carry_out(place, step);
        true
    }

    fn carry_out(&mut self, place: usize, step: Step) {
        let (channel, effects) = match step.release_unstored() {
            Ok(released) => released,
            Err(step) => {
                let proof = Durable::assertion(step.next().step());
                step.release(&proof)
            }
        };
        self.sides[place].channel = Some(channel);
        for effect in effects {
            match effect {
                Effect::Tell(report) => self.tell(place, report),
                Effect::Send(message) => {
                    let message = Message::decode(&message.encode().unwrap()).unwrap();
                    self.post.push_back((1 - place, Input::Peer(PeerEvent::Message(message))));
                }
                Effect::Submit(tx) => {
                    let result = self.chain.submit(tx.clone()).map(drop).map_err(|why| why.atom());
                    self.post.push_back((place, Input::Submitted { tx, result }));
                }
                // The responder has begun to listen before.
                Effect::Connect if place == 0 => {
                    for side in [1, 0] {
                        self.post.push_back((side, Input::Peer(PeerEvent::Connected)));
                    }
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self, place: usize, report: Report) {
        let Notice::Sign { flow, side, tx, .. } = report.notice else { return };
        let request = match self.habits[place] {
            Habit::Signs => Request::Signed { flow, side, tx: self.sign(place, tx) },
            Habit::Declines => Request::Declined { flow, side, code: 4711 },
            Habit::Waits => return,
        };
        self.post.push_back((place, Input::Client(Ticket(3), request)));
    }

    fn sign(&self, place: usize, tx: SignedTx) -> SignedTx {
        let key = &self.sides[place].key;
        let signature = key.sign(self.chain.network(), tx.unsigned_bytes(), SignedForm::Plain);
        tx.with_signature(signature)
    }
}

/// The label of a side of a flow.
pub fn label(side: Side) -> &'static str {
    match side {
        Side::Proposer => "proposer",
        Side::Acceptor => "acceptor",
    }
}
