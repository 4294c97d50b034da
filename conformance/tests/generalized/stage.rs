//! A service with two accounts and a channel between them, and what all of it cost on chain.

use std::net::TcpListener;

use serde_json::{Value, json};
use strait_client::{OpenParams, Role, Terms};
use strait_encoding::hash::blake2b_of;
use strait_encoding::{BlockHash, ChannelId, Coins};
use strait_ledger::{AccountKind, CallResult, ChainView, SignedTx, Tx, TxKind, TxLocation, rules};
use strait_service::Dev;
use strait_service::config::{Config, HostPort, WindowAddr};

use crate::account::{META_GAS, Member};
use crate::side::Side;

/// What each party puts in.
pub const AMOUNT: u64 = 4_000_000_000_000_000;

/// Which of the two parties are generalized: the initiator, the responder.
pub type Kinds = [bool; 2];

pub struct Stage {
    dev: Dev,
    pub initiator: Side,
    pub responder: Side,
    /// What each had on chain before the channel.
    before: [i128; 2],
}

impl Stage {
    /// An open channel between accounts of these kinds.
    pub async fn open(kinds: Kinds) -> Self {
        let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
        let config = Config {
            channel_addr: any_port(),
            node_addr: any_port(),
            operator_addr: WindowAddr(None),
            ..Config::default()
        };
        let dev = Dev::start(&config).await.unwrap();
        let [first, second] = [0, 1].map(|place| member(&dev, place, kinds[place]));
        let (first, second) = (attached(&dev, first).await, attached(&dev, second).await);
        let accounts = [&first, &second].map(Member::account);
        let before = accounts.map(|account| balance(&dev, account));
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let terms = Terms {
            initiator_amount: Coins(AMOUNT.into()),
            responder_amount: Coins(AMOUNT.into()),
            push_amount: Coins(0),
            channel_reserve: Coins(1_000),
            lock_period: 3,
        };
        let params = |role| {
            OpenParams::new(role, port, Some(accounts[0]), accounts[1], terms.clone())
                .host("127.0.0.1")
                .keep_running(false)
        };
        let url = dev.channel_url();
        let mut initiator = Side::connect(&url, &params(Role::Initiator), first).await;
        let mut responder = Side::connect(&url, &params(Role::Responder), second).await;
        let (ours, theirs) = tokio::join!(initiator.agreed(), responder.agreed());
        assert_eq!(ours, theirs);
        initiator.member.has_acted();
        responder.member.has_acted();
        let stage = Self { dev, initiator, responder, before };
        stage.check_authentications(&ours);
        stage.check_id(&ours);
        stage
    }

    /// The side of a role, then the other one.
    pub fn sides(&mut self, role: Role) -> (&mut Side, &mut Side) {
        match role {
            Role::Initiator => (&mut self.initiator, &mut self.responder),
            Role::Responder => (&mut self.responder, &mut self.initiator),
        }
    }

    pub fn channel(&self) -> ChannelId {
        self.initiator.channel.unwrap()
    }

    pub fn accounts(&self) -> [String; 2] {
        [&self.initiator, &self.responder].map(|side| side.member.account().to_string())
    }

    /// One side asks for something that both agree to: the state that both have then.
    pub async fn agree(&mut self, role: Role, method: &str, params: Value) -> SignedTx {
        let (asking, other) = self.sides(role);
        asking.request(method, params).await;
        let (ours, theirs) = tokio::join!(asking.agreed(), other.agreed());
        assert_eq!(ours, theirs);
        if ours.body().kind() != TxKind::ChannelOffchain {
            asking.member.has_acted();
            other.member.has_acted();
        }
        self.check_authentications(&ours);
        ours
    }

    /// One side pays the other in the channel.
    pub async fn pay(&mut self, payer: Role, amount: u64) -> SignedTx {
        let params = self.payment(payer, amount);
        self.agree(payer, "channels.update.new", params).await
    }

    /// What a payment is asked for with.
    pub fn payment(&self, payer: Role, amount: u64) -> Value {
        let [initiator, responder] = self.accounts();
        let (from, to) = match payer {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        };
        json!({ "from": from, "to": to, "amount": amount })
    }

    /// Checks what both have in the channel, in the view of both.
    pub async fn check_balances(&mut self, expected: [u64; 2]) {
        let accounts = self.accounts();
        assert_eq!(self.initiator.balances(accounts.clone()).await, expected);
        assert_eq!(self.responder.balances(accounts).await, expected);
    }

    /// Checks that the channel has the id that follows from its create transaction (`docs/protocol/channel_txs` §2).
    fn check_id(&self, create: &SignedTx) {
        let Tx::ChannelCreate(tx) = create.body() else { panic!("{create:?}") };
        let initiator = tx.initiator_id.0;
        let meta = create.metas().find(|meta| meta.ga_id == tx.initiator_id);
        let number = match meta {
            Some(meta) => blake2b_of(&[&initiator, &meta.auth_data.0]).to_vec(),
            None => [&[0; 24][..], &tx.nonce.0.to_be_bytes()].concat(),
        };
        let expected = ChannelId(blake2b_of(&[&initiator, &number, &tx.responder_id.0]));
        assert_eq!([self.initiator.channel, self.responder.channel], [Some(expected); 2]);
    }

    /// A meta transaction for each generalized party, a signature for each basic one, and no more.
    fn check_authentications(&self, tx: &SignedTx) {
        let mut wrapped: Vec<_> = tx.metas().map(|meta| meta.ga_id).collect();
        wrapped.sort();
        let members = [&self.initiator.member, &self.responder.member];
        let generalized = members.into_iter().filter(|member| member.is_generalized());
        let mut expected: Vec<_> = generalized.map(Member::account).collect();
        expected.sort();
        assert_eq!(wrapped, expected);
        assert_eq!(tx.innermost().signatures().len(), 2 - expected.len());
    }

    /// The round on chain, and what the channel holds there.
    pub fn on_chain(&self) -> Option<(u64, u128)> {
        let channel = self.dev.service().chain().view().channel(self.channel())?;
        Some((channel.round.0, channel.channel_amount.0))
    }

    /// The kinds of the channel's transactions on chain, in order.
    pub fn kinds_on_chain(&self) -> Vec<TxKind> {
        self.txs().iter().map(|(tx, _)| tx.body().kind()).collect()
    }

    /// Checks what both have on chain once the channel is gone: what they had, what was `gained` in the channel, less what they
    /// paid in fees.
    pub async fn settled(self, gained: [i128; 2]) {
        assert_eq!(self.on_chain(), None);
        let costs = self.costs();
        for (place, side) in [&self.initiator, &self.responder].into_iter().enumerate() {
            let found = balance(&self.dev, side.member.account());
            assert_eq!(found, self.before[place] + gained[place] - costs[place], "of party {place}");
        }
        self.dev.stop().await;
    }

    /// What each party paid for the channel's transactions: for those that it made; half of the mutual close, the initiator the odd
    /// coin; and for its own meta transactions, with the gas that its contract used.
    fn costs(&self) -> [i128; 2] {
        let mut costs = [0, 0];
        let accounts = [&self.initiator, &self.responder].map(|side| side.member.account());
        let place = |account| accounts.iter().position(|party| *party == account).unwrap();
        for (tx, block) in self.txs() {
            let (body, fee) = (tx.body(), signed(tx.body().fee()));
            match body.kind() {
                TxKind::ChannelCloseMutual => {
                    costs[0] += (fee + 1) / 2;
                    costs[1] += fee / 2;
                }
                _ => costs[place(body.origin().unwrap())] += fee,
            }
            let view = self.dev.service().chain().view();
            let state = view.state_at(&block).expect("the block is recent");
            for meta in tx.metas() {
                let call = rules::auth_call_of(meta, state).unwrap();
                assert!(matches!(call.result, CallResult::Ok(_)), "{call:?}");
                assert!((1..META_GAS).contains(&call.gas_used), "{call:?}");
                let used = signed(meta.gas_price) * i128::from(call.gas_used);
                costs[place(meta.ga_id)] += signed(meta.fee) + used;
            }
        }
        costs
    }

    /// The channel's transactions on chain, in order, with the blocks that they are in.
    fn txs(&self) -> Vec<(SignedTx, BlockHash)> {
        let view = self.dev.service().chain().view();
        let all = view.txs_of_channel(self.channel()).into_iter().map(|(hash, location)| {
            let TxLocation::InBlock { block, .. } = location else { panic!("{location:?}") };
            (view.tx(&hash).unwrap().0, block.into())
        });
        all.collect()
    }
}

fn member(dev: &Dev, place: usize, is_generalized: bool) -> Member {
    let network = dev.service().chain().view().network().clone();
    let key = dev.accounts()[place].key.clone();
    if is_generalized { Member::generalized(key, network) } else { Member::basic(key, network) }
}

/// Makes the account what it shall be, on chain.
async fn attached(dev: &Dev, member: Member) -> Member {
    if member.is_generalized() {
        let chain = dev.service().chain();
        let mut tops = chain.tops();
        chain.submit(member.attaching()).await.unwrap();
        let is_generalized = || {
            let account = chain.view().account(member.account()).unwrap();
            matches!(account.kind, AccountKind::Generalized { .. })
        };
        while !is_generalized() {
            tops.changed().await.unwrap();
        }
    }
    member
}

fn balance(dev: &Dev, account: strait_encoding::AccountId) -> i128 {
    signed(dev.service().chain().view().account(account).unwrap().balance)
}

fn signed(coins: Coins) -> i128 {
    i128::try_from(coins.0).unwrap()
}
