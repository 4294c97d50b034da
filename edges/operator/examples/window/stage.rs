//! A service that is only played: a thousand sides of channels that pay, wait, close; a chain that grows. What happens
//! follows from a number, so that every run is the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use strait_channel::{Place, Role, Time};
use strait_encoding::hash::blake2b;
use strait_encoding::{
    AccountId, ChannelId, Coins, Height, NetworkId, Nonce, Round, SecretKey, SignedForm, StateHash,
};
use strait_ledger::{
    Chain, ChainConfig, ChainView, ForkPlan, OffchainTx, SettleTx, SignedTx, SpendPayload, SpendTx, Update,
};
use strait_operator::{
    ChainPicture, Depth, ForkRefused, Load, Lock, LogEntry, Operated, SideKey, Standing, Way,
};

/// A coin in aettos.
const AE: u128 = 1_000_000_000_000_000_000;

/// How many accounts spend on chain: the pool takes only a few transactions of each.
const SPENDERS: u64 = 60;

/// How many entries a side keeps.
const KEPT: usize = 80;

/// The played service; clones are the same one.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<Scene>>);

struct Scene {
    sides: Vec<Played>,
    places: BTreeMap<SideKey, usize>,
    chain: Chain,
    dice: u64,
    now: u64,
    spent: u64,
}

struct Played {
    standing: Standing,
    log: VecDeque<LogEntry>,
    said: u64,
}

impl Stage {
    /// A service with so many sides, at `now` in milliseconds since 1970.
    pub fn new(sides: usize, now: u64) -> Self {
        let funded =
            (1..=SPENDERS).map(|number| (spender(number).account(), Coins(1_000_000 * AE))).collect();
        let mut chain = Chain::new(ChainConfig::new(NetworkId("ae_dev".to_owned()), funded));
        for block in 0..120 {
            chain.mine_key_block(now.saturating_sub((120 - block) * 1000));
        }
        let sides: Vec<_> = (0..sides).map(|number| played(number, now)).collect();
        let places = sides.iter().enumerate().map(|(place, side)| (side.standing.key, place)).collect();
        let mut scene = Scene { sides, places, chain, dice: 7, now, spent: 0 };
        for place in 0..scene.sides.len() {
            scene.pay(place);
        }
        Self(Arc::new(Mutex::new(scene)))
    }

    /// Lets `payments` happen at `now`.
    pub fn play(&self, payments: usize, now: u64) {
        let mut scene = self.scene();
        scene.now = now;
        for _ in 0..payments {
            let sides = scene.sides.len();
            let place = scene.roll(sides);
            // Some are busier than others.
            let place = if scene.roll(3) == 0 { place % 40 } else { place };
            scene.pay(place);
        }
    }

    /// Somebody spends on chain; with `blocks` of each kind made afterwards.
    pub fn grow(&self, micro: bool, key: bool, now: u64) {
        let mut scene = self.scene();
        scene.now = now;
        scene.spend();
        if micro {
            scene.chain.mine_micro_block(now);
        }
        if key {
            scene.chain.mine_key_block(now);
            scene.settle_down();
        }
    }

    /// The key of the side of this number.
    #[allow(dead_code)]
    pub fn key(&self, number: usize) -> SideKey {
        self.scene().sides[number].standing.key
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operated for Stage {
    fn standings(&self) -> Vec<Standing> {
        self.scene().sides.iter().map(|side| side.standing).collect()
    }

    async fn log(&self, key: SideKey, newest: usize) -> Option<Vec<LogEntry>> {
        let scene = self.scene();
        let side = &scene.sides[*scene.places.get(&key)?];
        Some(side.log.iter().rev().take(newest).cloned().collect())
    }

    fn top(&self) -> Height {
        self.scene().chain.top_height()
    }

    fn chain(&self) -> ChainPicture {
        ChainPicture::of(&self.scene().chain, true)
    }

    async fn fork(&self, depth: u64) -> Result<(), ForkRefused> {
        let mut scene = self.scene();
        let now = scene.now;
        let forked = scene.chain.fork(&ForkPlan::new(depth), now);
        forked.map(drop).map_err(|why| ForkRefused::Depth(why.to_string()))
    }

    fn load(&self) -> Load {
        let scene = self.scene();
        let peers = scene.sides.iter().filter(|side| side.standing.has_peer).count() as u64;
        Load { sockets: peers, peers, mempool: scene.chain.pending().count() as u64, ..Load::default() }
    }
}

impl Scene {
    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap_or(0) % sides.max(1)
    }

    /// A payment in a channel that is open; one that opens or closes only says something.
    fn pay(&mut self, place: usize) {
        let amount = AE / 100 * (1 + self.roll(300) as u128);
        let forth = self.roll(2) == 0;
        let now = Time(self.now);
        let side = &mut self.sides[place];
        side.standing.heard = now;
        let (Some(id), Some([ours, theirs])) = (side.standing.id, side.standing.balances) else {
            return side.say(now, Way::ToPeer, "ChannelOpen", None, Vec::new());
        };
        if side.standing.place != Place::Open {
            let settle = SettleTx {
                channel_id: id,
                from_id: side.standing.responder,
                initiator_amount_final: ours,
                responder_amount_final: theirs,
                ttl: Height(0),
                fee: Coins(20_000_000_000_000),
                nonce: Nonce(4),
            };
            return side.say(
                now,
                Way::ToClient,
                "channels.on_chain_tx",
                Some(SignedTx::unsigned(settle)),
                Vec::new(),
            );
        }
        let moved = Coins(amount.min(if forth { ours.0 } else { theirs.0 } / 4));
        let sum = |a: Coins, b: Coins| a.checked_add(b).unwrap_or(a);
        side.standing.balances = Some(if forth {
            [ours.saturating_sub(moved), sum(theirs, moved)]
        } else {
            [sum(ours, moved), theirs.saturating_sub(moved)]
        });
        side.standing.round = side.standing.round.next();
        let (initiator, responder) =
            (side.standing.initiator.unwrap_or(side.standing.responder), side.standing.responder);
        let (from, to) = if forth { (initiator, responder) } else { (responder, initiator) };
        side.exchange(id, Update::Transfer { from, to, amount: moved }, now);
    }

    fn spend(&mut self) {
        let from = spender(1 + self.spent % SPENDERS);
        let spend = SpendTx {
            sender_id: from.account(),
            recipient_id: spender(2).account().into(),
            amount: Coins(AE * u128::from(1 + self.spent % 9)),
            fee: Coins(20_000_000_000_000),
            ttl: Height(0),
            nonce: self.chain.next_nonce(from.account()),
            payload: SpendPayload::default(),
        };
        self.spent += 1;
        let unsigned = SignedTx::unsigned(spend);
        let signature = from.sign(self.chain.network(), unsigned.unsigned_bytes(), SignedForm::Hash);
        // Where the pool is full, there is one less.
        let _ = self.chain.submit(unsigned.with_signature(signature));
    }

    /// What waits for confirmations is opened once they are there; another one takes its place.
    fn settle_down(&mut self) {
        let top = self.chain.top_height();
        for side in &mut self.sides {
            let standing = &mut side.standing;
            if let Some(depth) = standing.depth
                && top.0 >= depth.seen.0 + depth.needed
            {
                standing.depth = Some(Depth { seen: top, ..depth });
            }
            if let Some(lock) = standing.lock
                && top >= lock.until
            {
                standing.lock = Some(Lock { until: Height(top.0 + lock.period), ..lock });
            }
        }
    }
}

impl Played {
    /// What is said for one payment.
    fn exchange(&mut self, channel_id: ChannelId, update: Update, now: Time) {
        let round = self.standing.round;
        let state_hash = StateHash(blake2b(&round.0.to_be_bytes()));
        let tx = SignedTx::unsigned(OffchainTx { channel_id, round, state_hash });
        let network = NetworkId("ae_dev".to_owned());
        let sign = |number| spender(number).sign(&network, tx.unsigned_bytes(), SignedForm::Hash);
        let (once, updates) = (tx.clone().with_signature(sign(1)), vec![update]);
        let twice = once.clone().with_signature(sign(2));
        let at = |ms: u64| Time(now.0.saturating_sub(40) + ms);
        self.say(at(0), Way::FromClient, "channels.update.new", None, Vec::new());
        self.say(at(1), Way::ToClient, "channels.sign.update", Some(tx), updates.clone());
        self.say(at(9), Way::FromClient, "channels.update", Some(once.clone()), Vec::new());
        self.say(at(11), Way::ToPeer, "Update", Some(once), updates);
        self.say(at(35), Way::FromPeer, "UpdateAck", Some(twice.clone()), Vec::new());
        self.say(at(37), Way::ToClient, "channels.update", Some(twice), Vec::new());
    }

    fn say(&mut self, at: Time, way: Way, name: &'static str, tx: Option<SignedTx>, updates: Vec<Update>) {
        self.said += 1;
        let info = (way == Way::FromClient && tx.is_some()).then(|| json!("signed"));
        let entry = LogEntry { number: self.said, at, way, name: name.into(), tx, updates, info };
        while self.log.len() >= KEPT {
            self.log.pop_front();
        }
        self.log.push_back(entry);
    }
}

fn spender(number: u64) -> SecretKey {
    SecretKey::from_seed(blake2b(&number.to_be_bytes()))
}

fn played(number: usize, now: u64) -> Played {
    let named = |what: u8| blake2b(&[&number.to_be_bytes()[..], &[what]].concat());
    let kind = number % 40;
    let (place, doing) = match kind {
        1 => (Place::Opening, "open"),
        2 => (Place::Opening, "create"),
        3 | 4 => (Place::Closing, "idle"),
        5 => (Place::Closed, "shutdown"),
        6 => (Place::Open, "deposit"),
        7 => (Place::Open, "dormant"),
        _ => (Place::Open, "idle"),
    };
    let waits = matches!(kind, 2 | 5 | 6);
    let balances = [500 + number as u128 * 7 % 900, 200 + number as u128 * 13 % 800];
    let standing = Standing {
        key: SideKey(named(0)),
        id: (kind != 1).then(|| ChannelId(named(1))),
        role: if number.is_multiple_of(2) { Role::Initiator } else { Role::Responder },
        initiator: (kind != 1).then(|| AccountId(named(2))),
        responder: AccountId(named(3)),
        place,
        doing,
        round: Round(if kind == 1 { 0 } else { 1 + number as u64 * 31 % 5000 }),
        balances: (kind != 1).then(|| balances.map(|coins| Coins(coins * AE))),
        reserve: Coins(50 * AE),
        depth: waits.then_some(Depth { seen: Height(112), needed: 12 + kind as u64 }),
        lock: (place == Place::Closing).then_some(Lock { until: Height(150 + kind as u64), period: 60 }),
        has_client: kind != 7,
        has_peer: kind % 13 != 7,
        since: Time(now.saturating_sub(number as u64 * 61_000)),
        heard: Time(now),
    };
    Played { standing, log: VecDeque::new(), said: 0 }
}
