//! Two open channels and a chain, without sockets, disk or clock.

use std::collections::{BTreeMap, VecDeque};

use strait_channel::{
    ChainNews, Channel, Contract, Durable, Effect, Input, Message, Notice, Patience, PeerEvent, PinWindow,
    Report, Reports, Request, Role, SeenTx, Step, Terms, Ticket, Time, TxOptions,
};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{BlockHash, Coins, Height, NetworkId, SecretKey, SignedForm, hash};
use strait_ledger::{Chain, ChainConfig, SignedTx};

const NOW: Time = Time(1_000_000);

/// As in the load driver.
const CODE: &str = include_str!("../../contract/code.txt");
const INIT: &str = "cb_KxFE1kQfGwphxkNE";
const ADD: &str = "cb_KxFLBQ6pGwYhkxi7";

/// Both sides of an open channel.
pub struct Pair {
    pub chain: Chain,
    keys: [SecretKey; 2],
    sides: [Channel; 2],
}

impl Pair {
    /// Opens the channel.
    pub fn open() -> Self {
        let keys = [SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32])];
        let funds: BTreeMap<_, _> = keys.iter().map(|key| (key.account(), Coins(1 << 80))).collect();
        let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), funds));
        chain.mine_key_block(1);
        let open =
            |role| Channel::open(terms(role, &keys), [7; 32], NOW, &chain).expect("the terms are good");
        let steps = [open(Role::Initiator), open(Role::Responder)];
        let sides = [steps[0].next().clone(), steps[1].next().clone()];
        drop(steps);
        let mut pair = Self { chain, keys, sides };
        pair.run(0, Input::Peer(PeerEvent::Connected));
        for time in 2..20 {
            pair.chain.mine_micro_block(time * 10);
            pair.chain.mine_key_block(time * 10 + 1);
            pair.tell_news();
        }
        assert_eq!(pair.sides[0].round().0, 1, "the channel is open");
        pair
    }

    /// The inputs of one payment in order, each with the channel that takes it.
    pub fn steps_of_an_update(&self) -> Vec<(&'static str, Channel, Input)> {
        let [initiator, responder] = &self.keys;
        let (from, to, amount) = (initiator.account(), responder.account(), Coins(1));
        self.steps_of(Request::Transfer { from, to, amount, pin: None, meta: Vec::new() })
    }

    /// Creates a small contract, a counter, and calls it so many times.
    pub fn with_contract(mut self, calls: u32) -> Self {
        let bytes = |text: &str| text::decode(Prefix::ContractBytes, text.trim()).expect("contract bytes");
        let create =
            Contract::New { vm: 8, abi: 3, deposit: Coins(0), code: bytes(CODE), call_data: bytes(INIT) };
        self.run(0, Input::Client(Ticket(1), propose(create)));
        for _ in 0..calls {
            let add = propose(self.add());
            self.run(0, Input::Client(Ticket(1), add));
        }
        self
    }

    /// The inputs of one contract call in order, each with the channel that takes it.
    pub fn steps_of_a_call(&self) -> Vec<(&'static str, Channel, Input)> {
        self.steps_of(propose(self.add()))
    }

    fn add(&self) -> Contract {
        // The contract came with the first round behind the opening.
        let contract = hash::contract_id(self.keys[0].account(), 2);
        let call_data = text::decode(Prefix::ContractBytes, ADD).expect("call data");
        Contract::Call { contract, abi: 3, amount: Coins(0), call_data }
    }

    fn steps_of(&self, request: Request) -> Vec<(&'static str, Channel, Input)> {
        let mut sides = self.sides.clone();
        let (mut side, mut input) = (0, Input::Client(Ticket(1), request));
        let mut steps = Vec::new();
        for name in
            ["propose", "sign as proposer", "take a proposal", "sign as acceptor", "take an acceptance"]
        {
            steps.push((name, sides[side].clone(), input.clone()));
            let taken = sides[side].decide(NOW, input.clone(), &self.chain).expect("the step is taken");
            let (next, effects) = release(taken);
            sides[side] = next;
            if let Some(follows) = effects.iter().find_map(|effect| self.answer(side, effect)) {
                (side, input) = follows;
            }
        }
        steps
    }

    /// An update that no party signed.
    pub fn stranger_update(&self) -> Message {
        let channel_id = self.sides[0].id().expect("the channel has an id");
        let tx = self.sides[0].agreed_tx().expect("there is a state").encode();
        Message::Update { channel_id, block_hash: BlockHash::UNPINNED, tx, updates: Vec::new() }
    }

    /// What the client or the other side makes of an effect of `side`.
    fn answer(&self, side: usize, effect: &Effect) -> Option<(usize, Input)> {
        match effect {
            Effect::Tell(Report { notice: Notice::Sign { flow, side: part, tx, .. }, .. }) => {
                let tx = self.sign(side, tx);
                Some((side, Input::Client(Ticket(2), Request::Signed { flow: *flow, side: *part, tx })))
            }
            Effect::Send(message) => Some((1 - side, Input::Peer(PeerEvent::Message(message.clone())))),
            _ => None,
        }
    }

    fn sign(&self, side: usize, tx: &SignedTx) -> SignedTx {
        let network = NetworkId("ae_dev".to_owned());
        tx.clone().with_signature(self.keys[side].sign(&network, tx.unsigned_bytes(), SignedForm::Hash))
    }

    fn run(&mut self, side: usize, input: Input) {
        let mut queue = VecDeque::from([(side, input)]);
        while let Some((side, input)) = queue.pop_front() {
            let step = self.sides[side].decide(NOW, input, &self.chain).expect("the input is taken");
            let (next, effects) = release(step);
            self.sides[side] = next;
            for effect in effects {
                if let Effect::Submit(tx) = &effect {
                    self.chain.submit(tx.clone()).expect("the chain takes it");
                    queue.push_back((side, Input::Submitted { tx: tx.clone(), result: Ok(()) }));
                }
                queue.extend(self.answer(side, &effect));
            }
        }
    }

    fn tell_news(&mut self) {
        for side in [0, 1] {
            let Some(id) = self.sides[side].id() else { continue };
            let news = self.chain.news_since(id, &BlockHash::UNPINNED);
            let txs =
                news.txs.into_iter().map(|mined| SeenTx { tx: mined.tx, height: mined.height }).collect();
            self.run(
                side,
                Input::Chain(ChainNews { top: news.top, txs, failed: Vec::new(), object: news.object }),
            );
        }
    }
}

fn propose(contract: Contract) -> Request {
    Request::Contract { contract, pin: None, meta: Vec::new() }
}

fn release(step: Step) -> (Channel, Vec<Effect>) {
    match step.release_unstored() {
        Ok(released) => released,
        Err(step) => {
            let number = step.next().step();
            step.release(&Durable::assertion(number))
        }
    }
}

fn terms(role: Role, keys: &[SecretKey; 2]) -> Terms {
    Terms {
        role,
        initiator: Some(keys[0].account()),
        responder: keys[1].account(),
        initiator_amount: Coins(1 << 60),
        responder_amount: Coins(1 << 60),
        push_amount: Coins(0),
        channel_reserve: Coins(0),
        lock_period: 10,
        depth: None,
        ttl: Height(0),
        create: TxOptions::default(),
        keep_running: false,
        msg_forwarding: false,
        log_keep: 10,
        slogan: None,
        patience: Patience::default(),
        reports: Reports::default(),
        pin: PinWindow::default(),
        host: "localhost".to_owned(),
        port: 3114,
    }
}
