//! What a party can make up about the chain: forced calls with one thing changed, states that it signed alone.

use strait_channel::{Flow, Message, Request, Role, TxOptions};
use strait_encoding::{
    ChannelId, Coins, ContractId, Height, KeyBlockHash, NetworkId, Nonce, Round, StateHash,
};
use strait_ledger::{
    ChainView, ChannelObject, CloseSoloTx, ForceProgressTx, OffchainTx, Payload, SignedTx, SlashTx,
    SnapshotSoloTx, TreesBytes, Tx, Update,
};
use strait_sim::{Call, Program, Reply, Setup, Signer, World};

use crate::lies::{NOBODY, carried, make_up, tell_lie};
use crate::support::{BOTH, Case, clear, force_well, id_of, on_chain, with_contracts};

/// A channel with contracts, a side that lies, and what that side could force.
pub struct Scene {
    pub world: World,
    pub spender: ContractId,
    pub callee: ContractId,
    pub liar: Role,
}

impl Scene {
    /// Round 4: both signed it last.
    pub fn agreed(liar: Role) -> Self {
        let (mut world, spender, callee) = with_contracts(Setup::default());
        world.transfer_well(liar, 90);
        world.run_for(30_000);
        clear(&mut world);
        Self { world, spender, callee, liar }
    }

    /// Round 5: the chain made it of round 4, for the liar.
    pub fn forced(liar: Role) -> Self {
        let mut scene = Self::agreed(liar);
        let me = scene.world.party(liar).signer.account();
        force_well(&mut scene.world, liar, scene.spender, &Call::Spend(me, 10));
        scene.world.run_for(30_000);
        clear(&mut scene.world);
        scene
    }

    pub fn victim(&self) -> Role {
        self.liar.other()
    }

    /// A call that gives the liar coins of the spender, on the latest state, with the result that it has on top of the chain.
    pub fn honest(&self) -> ForceProgressTx {
        let me = self.world.party(self.liar).signer.account();
        let (round, call) = (self.world.model.round(), Call::Spend(me, 500));
        let tx = self.world.forced_of(self.liar, round, (self.spender, &call), &self.world.chain);
        let signed = self.world.signed_by(self.liar, tx);
        let Tx::ChannelForceProgress(tx) = signed.tx().clone() else { panic!("{signed:?}") };
        // Room for whatever is changed.
        ForceProgressTx { fee: Coins(tx.fee.0 * 3), ..tx }
    }

    pub fn sign(&self, tx: impl Into<Tx>) -> SignedTx {
        self.world.party(self.liar).signer.add_to(&SignedTx::unsigned(tx))
    }

    /// The last round that both signed.
    fn settled(&self) -> u64 {
        let mut rounds = (1..=self.world.model.round()).rev();
        rounds
            .find(|round| self.world.model.is_agreed(*round))
            .expect("a channel begins with an agreed round")
    }

    /// The same world after both came back, at the moment when the liar is to show its latest state; what its program shows is
    /// held back.
    pub fn returning(&self) -> World {
        let mut world = self.world.clone();
        world.cut_line();
        world.run_for(1_000);
        for role in BOTH {
            if world.party(role).is_alive() {
                world.ask(role, Request::Stop);
            }
        }
        world.calm();
        world.party_mut(self.liar).signer.enforcing = false;
        world.held = Some(self.liar);
        for role in [Role::Responder, Role::Initiator] {
            assert_eq!(world.come_back(role), Ok(()), "{}", world.describe());
        }
        world.run_for(100);
        clear(&mut world);
        world
    }

    /// What the liar says when it comes back with this.
    pub fn shows(&self, tx: &SignedTx) -> Message {
        let chain_hash = KeyBlockHash(*self.world.key_block(0).as_bytes());
        let (channel_id, tx) = (id_of(&self.world), tx.encode());
        match self.liar {
            Role::Initiator => Message::ChannelReestablish { chain_hash, channel_id, tx },
            Role::Responder => Message::ChannelReestAck { chain_hash, channel_id, tx },
        }
    }

    /// Tells it on returning: the victim's state, its store and the coins on chain are as before, and both go on.
    pub fn tell(&self, returning: &World, name: &str, tx: &SignedTx) {
        let (victim, lie) = (self.victim(), self.shows(tx));
        let _case = Case(format!("{name}, shown to the {victim}"));
        tell_lie(returning, self.liar, name, &lie);
        let mut world = returning.clone();
        let before = coins(&world);
        let latest = states(&world, victim);
        world.inject(self.liar, &lie);
        world.run_for(1_000);
        assert_eq!((coins(&world), states(&world, victim)), (before, latest), "{}", world.describe());
        make_up(returning, self.liar, &lie);
    }
}

/// What the accounts and the channel hold on chain.
pub fn coins(world: &World) -> (Vec<u128>, Option<ChannelObject>) {
    let accounts = BOTH.map(|role| on_chain(world, role));
    (accounts.to_vec(), world.chain.channel(id_of(world)))
}

/// What a side would find after a crash: the state that both signed last, and those that were forced on it.
pub fn states(world: &World, role: Role) -> (Option<SignedTx>, Option<[Coins; 2]>, Option<SignedTx>) {
    let (channel, stored) = (world.party(role).channel(), world.party(role).store.load());
    let stored = stored.and_then(|stored| stored.agreed_tx().cloned());
    (channel.agreed_tx().cloned(), channel.balances(), stored)
}

/// What a changed forced call comes to in a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnChain {
    /// No block takes it.
    Refused,
    /// A block holds it, and the channel is as before.
    Nothing,
    /// It is another true one, which its sender may choose.
    Counts,
}
use OnChain::{Counts, Nothing, Refused};

pub type Lie = (&'static str, ForceProgressTx, OnChain);

/// The honest call with one thing changed.
pub fn altered(scene: &Scene) -> Vec<Lie> {
    let honest = scene.honest();
    let victim = scene.world.party(scene.victim()).signer.account();
    let mut all = altered_calls(scene, &honest);
    macro_rules! with {
        ($field:ident: $value:expr) => {
            ForceProgressTx { $field: $value, ..honest.clone() }
        };
    }
    let round = honest.round.0;
    let first = scene.world.create_tx();
    let half =
        OffchainTx { channel_id: honest.channel_id, round: Round(round - 1), state_hash: StateHash([7; 32]) };
    let Tx::ChannelCreate(create) = first.tx() else { panic!() };
    let genesis = scene.world.model.trees_of(1).expect("round 1 was agreed");
    assert_eq!(create.state_hash, genesis.state_hash());
    all.extend([
        ("another channel", with!(channel_id: ChannelId([7; 32])), Refused),
        ("the victim for its sender", with!(from_id: victim), Refused),
        ("a stranger for its sender", with!(from_id: NOBODY), Refused),
        ("round 0", with!(round: Round(0)), Refused),
        ("the round before the last", with!(round: Round(round - 2)), Refused),
        ("the round that there is", with!(round: Round(round - 1)), Refused),
        ("a round left out", with!(round: Round(round + 1)), Refused),
        ("the last round of all", with!(round: Round(u64::MAX)), Refused),
        ("another state", with!(state_hash: StateHash([7; 32])), Nothing),
        ("the state before", with!(state_hash: scene.world.model.trees().state_hash()), Nothing),
        ("no trees", with!(offchain_trees: TreesBytes(Vec::new())), Refused),
        ("noise for trees", with!(offchain_trees: TreesBytes(vec![0xf8; 200])), Refused),
        ("the trees of round 1", with!(offchain_trees: TreesBytes(genesis.encode())), Refused),
        ("noise for the state before", with!(payload: Payload(vec![1, 2, 3])), Refused),
        ("the create transaction as the state before", with!(payload: Payload(first.encode())), Refused),
        ("a made-up state before", with!(payload: Payload(scene.sign(half).encode())), Refused),
        ("a time that is over", with!(ttl: Height(1)), Refused),
        ("a time of its own", with!(ttl: Height(5_000)), Counts),
        ("no fee", with!(fee: Coins(0)), Refused),
        ("a fee of more than there is", with!(fee: Coins(u128::MAX)), Refused),
        ("a nonce that is used", with!(nonce: Nonce(0)), Refused),
        ("a nonce far ahead", with!(nonce: Nonce(u64::MAX)), Refused),
    ]);
    if !honest.payload.0.is_empty() {
        all.push(("nothing before it", with!(payload: Payload(Vec::new())), Refused));
    }
    all
}

/// With another call in it, and the result of the honest one.
fn altered_calls(scene: &Scene, honest: &ForceProgressTx) -> Vec<Lie> {
    let [me, you] = [scene.liar, scene.victim()].map(|role| scene.world.party(role).signer.account());
    let call = |change: &dyn Fn(&mut Update)| {
        let mut update = honest.update.clone();
        change(&mut update);
        ForceProgressTx { update, ..honest.clone() }
    };
    macro_rules! with {
        ($field:ident: $value:expr) => {
            call(&|update| match update {
                Update::CallContract { $field, .. } => *$field = $value,
                other => panic!("{other:?}"),
            })
        };
    }
    let program = Program::Spender;
    let made = Update::NewContract {
        owner: me,
        ct_version: 0x0008_0003,
        code: program.code().to_vec(),
        deposit: Coins(0),
        call_data: program.init(),
    };
    vec![
        ("another contract", with!(contract: scene.callee), Nothing),
        ("a contract that is not there", with!(contract: ContractId([8; 32])), Refused),
        ("another call", with!(call_data: Call::Spend(me, 501).data()), Nothing),
        ("a call for the victim", with!(call_data: Call::Spend(you, 500).data()), Nothing),
        ("a call that fails", with!(call_data: Call::Nonsense.data()), Nothing),
        ("coins with it", with!(amount: Coins(7)), Nothing),
        ("more coins than there are", with!(amount: Coins(u128::MAX)), Refused),
        ("too little gas", with!(gas: 1), Nothing),
        ("more gas than a block has", with!(gas: u64::MAX), Refused),
        ("another price of gas", with!(gas_price: 2_000_000_000), Nothing),
        ("gas for nothing", with!(gas_price: 0), Refused),
        ("the victim as caller", with!(caller: you), Refused),
        ("a stranger as caller", with!(caller: NOBODY), Refused),
        ("another convention", with!(abi_version: 1), Refused),
        (
            "a transfer",
            call(&|update| *update = Update::Transfer { from: you, to: me, amount: Coins(5) }),
            Refused,
        ),
        ("a deposit", call(&|update| *update = Update::Deposit { from: me, amount: Coins(5) }), Refused),
        ("a new contract", call(&|update| *update = made.clone()), Refused),
    ]
}

/// The honest call, not signed by its sender alone.
pub fn signed_by_others(scene: &Scene) -> Vec<(&'static str, SignedTx)> {
    let network = |name: &str| NetworkId(name.to_owned());
    let stranger = Signer::new([3; 32], network("ae_dev"));
    let elsewhere = Signer::new([scene.liar as u8 + 1; 32], network("ae_uat"));
    let honest = SignedTx::unsigned(scene.honest());
    let me = &scene.world.party(scene.liar).signer;
    assert_eq!(elsewhere.account(), me.account());
    let of_stranger = ForceProgressTx { from_id: stranger.account(), ..scene.honest() };
    vec![
        ("signed by nobody", honest.clone()),
        ("signed by a stranger", stranger.add_to(&honest)),
        ("signed by a stranger too", stranger.add_to(&me.add_to(&honest))),
        ("signed for another network", elsewhere.add_to(&honest)),
        ("of a stranger, signed by it", stranger.add_to(&SignedTx::unsigned(of_stranger))),
    ]
}

/// Other transactions that one party could take for its latest state, signed by itself, and some that both signed.
pub fn other_kinds(scene: &Scene) -> Vec<(&'static str, SignedTx)> {
    let (world, liar) = (&scene.world, scene.liar);
    let round = scene.settled();
    let alone = |flow, round| world.signed_by(liar, world.solo_of(flow, liar, round, &world.chain));
    let channel_id = id_of(world);
    let next =
        OffchainTx { channel_id, round: Round(world.model.round() + 1), state_hash: StateHash([7; 32]) };
    let create = world.create_tx();
    let mut other_create = create.tx().clone();
    if let Tx::ChannelCreate(tx) = &mut other_create {
        tx.nonce = tx.nonce.next();
    }
    vec![
        ("a snapshot", alone(Flow::SnapshotSolo, round)),
        ("a snapshot of an old round", alone(Flow::SnapshotSolo, 2)),
        ("a solo close", alone(Flow::CloseSolo, round)),
        ("a slash", alone(Flow::Slash, round)),
        ("a settlement", alone(Flow::Settle, round)),
        ("a spend", world.signed_by(liar, World::spend_of(liar, &world.chain))),
        ("the next round, signed by one", scene.sign(next)),
        ("the create transaction", create.clone()),
        ("the create transaction, signed by one", scene.sign(create.tx().clone())),
        ("another create transaction, signed by one", scene.sign(other_create)),
    ]
}

/// What a flow of both is proposed with, signed by the liar alone; and with a stranger's signature.
pub fn half_signed(scene: &Scene) -> Vec<(String, SignedTx)> {
    let mut all = Vec::new();
    for (name, request) in [
        ("a deposit", World::funds_request(Flow::Deposit, 40)),
        ("a withdrawal", World::funds_request(Flow::Withdraw, 40)),
        ("a close", Request::Shutdown(TxOptions::default())),
    ] {
        let mut world = scene.world.clone();
        world.party_mut(scene.victim()).client.habit = Reply::Nothing;
        world.ask(scene.liar, request);
        world.run_for(100);
        let sent = world.wire.iter().rev().find(|sent| sent.from == scene.liar).expect("it proposes");
        let tx = carried(&sent.message);
        let stranger = Signer::new([3; 32], NetworkId("ae_dev".to_owned()));
        all.push((format!("{name}, signed by one and a stranger"), stranger.add_to(&tx)));
        all.push((format!("{name}, signed by one"), tx));
    }
    all
}

/// What a party posts alone, with a next state that it made up: signed by it alone, or by a stranger too.
pub fn made_up(scene: &Scene) -> Vec<(String, SignedTx)> {
    let (world, liar) = (&scene.world, scene.liar);
    let round = scene.settled();
    let state_hash = world.model.trees_of(round).expect("it was agreed").state_hash();
    let next = OffchainTx { channel_id: id_of(world), round: Round(world.model.round() + 1), state_hash };
    let half = scene.sign(next);
    let stranger = Signer::new([3; 32], NetworkId("ae_dev".to_owned()));
    let mut all = Vec::new();
    for (who, state) in [("one", half.clone()), ("one and a stranger", stranger.add_to(&half))] {
        for flow in [Flow::SnapshotSolo, Flow::CloseSolo, Flow::Slash] {
            let mut tx = world.solo_of(flow, liar, round, &world.chain);
            match &mut tx {
                Tx::ChannelSnapshotSolo(SnapshotSoloTx { payload, .. })
                | Tx::ChannelCloseSolo(CloseSoloTx { payload, .. })
                | Tx::ChannelSlash(SlashTx { payload, .. }) => *payload = Payload(state.encode()),
                other => panic!("{other:?}"),
            }
            all.push((format!("{flow:?} with a state signed by {who}"), world.signed_by(liar, tx)));
        }
    }
    all
}
