//! What the miniature service does with its one channel.

use serde_json::{Value, json};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{AccountId, ChannelId, Coins, FsmId, Height, Nonce, Round, StateHash};
use strait_ledger::{
    CloseMutualTx, CreateTx, Delegates, OffchainEnv, OffchainTx, Protocol, SignedTx, StateProof, Trees, Tx,
    Update, apply_updates, initial_trees, split_mutual_close,
};
use tokio::sync::mpsc;

use super::{Cheat, Input, Output, Query, notification, refusal, reply};

const FEE: Coins = Coins(16_900_000_000_000);

pub struct Channel {
    cheat: Cheat,
    sockets: [Option<mpsc::UnboundedSender<Output>>; 2],
    queries: [Query; 2],
    accounts: [AccountId; 2],
    id: Option<String>,
    trees: Trees,
    round: Round,
    latest: Option<SignedTx>,
    draft: Option<Draft>,
}

struct Draft {
    proposer: usize,
    tx: SignedTx,
    trees: Trees,
    updates: Vec<Update>,
}

impl Channel {
    pub fn new(cheat: Cheat) -> Self {
        Self {
            cheat,
            sockets: [None, None],
            queries: [Query::new(), Query::new()],
            accounts: [AccountId::ZERO; 2],
            id: None,
            trees: Trees::default(),
            round: Round(0),
            latest: None,
            draft: None,
        }
    }

    pub async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        while let Some(input) = inputs.recv().await {
            match input {
                Input::Open(query, socket) => self.open(query, socket),
                Input::Said(side, request) => self.said(side, &request),
            }
        }
    }

    fn open(&mut self, query: Query, socket: mpsc::UnboundedSender<Output>) {
        let side = usize::from(query["role"] == "responder");
        self.sockets[side] = Some(socket);
        if query.contains_key("existing_channel_id") {
            if query["existing_fsm_id"] == fsm(side) {
                self.info(side, json!({ "event": "fsm_up", "fsm_id": fsm(side) }));
            } else {
                self.say(side, refusal(&json!({ "id": null }), 3, 1016, "Invalid fsm id"));
                self.close(side);
            }
            return;
        }
        self.queries[side] = query;
        self.info(side, json!({ "event": "fsm_up", "fsm_id": fsm(side) }));
        if self.sockets.iter().all(Option::is_some) {
            self.propose_create();
        }
    }

    fn propose_create(&mut self) {
        let query = &self.queries[0];
        let coins = |name: &str| query[name].parse::<Coins>().unwrap();
        let [initiator_id, responder_id] =
            ["initiator_id", "responder_id"].map(|name| query[name].parse().unwrap());
        self.accounts = [initiator_id, responder_id];
        let (mine, theirs, push) =
            (coins("initiator_amount"), coins("responder_amount"), coins("push_amount"));
        let trees =
            initial_trees(initiator_id, responder_id, Coins(mine.0 - push.0), Coins(theirs.0 + push.0));
        let tx = CreateTx {
            initiator_id,
            initiator_amount: if self.cheat == Cheat::Terms { Coins(mine.0 + 1) } else { mine },
            responder_id,
            responder_amount: theirs,
            channel_reserve: coins("channel_reserve"),
            lock_period: query["lock_period"].parse().unwrap(),
            ttl: Height(0),
            fee: FEE,
            delegate_ids: Delegates::Each { initiator: vec![], responder: vec![] },
            state_hash: if self.cheat == Cheat::FirstState { StateHash([1; 32]) } else { trees.state_hash() },
            nonce: Nonce(1),
        };
        self.draft = Some(Draft { proposer: 0, tx: SignedTx::unsigned(tx), trees, updates: vec![] });
        self.ask(0, "initiator_sign");
    }

    fn said(&mut self, side: usize, request: &Value) {
        let params = &request["params"];
        let method = request["method"].as_str().unwrap();
        if let Some(code) = params.get("error") {
            return self.aborted(side, code);
        }
        match method {
            "channels.update.new" => self.propose_update(side, request),
            "channels.shutdown" => self.propose_close(side),
            "channels.leave" => self.leave(),
            "channels.get.balances" => {
                let balance =
                    |id: &Value| self.trees.account(id.as_str().unwrap().parse().unwrap()).unwrap().balance;
                let all = params["accounts"].as_array().unwrap();
                let all: Vec<_> =
                    all.iter().map(|id| json!({ "account": id, "balance": balance(id) })).collect();
                self.say(side, reply(request, self.id.as_deref(), all.into()));
            }
            "channels.get.offchain_state" => {
                let trees = if self.cheat == Cheat::Trees { Trees::default() } else { self.trees.clone() };
                let state = json!({
                    "trees": text::encode(Prefix::StateTrees, &trees.encode()),
                    "calls": text::encode(Prefix::CallTree, &trees.encode_calls()),
                    "signed_tx": self.latest.as_ref().map_or(String::new(), SignedTx::to_text),
                    "half_signed_tx": "",
                });
                self.say(side, reply(request, self.id.as_deref(), state));
            }
            "channels.get.poi" => {
                let mut proof = StateProof::new(&self.trees);
                for id in params["accounts"].as_array().unwrap() {
                    proof.add_account(&self.trees, id.as_str().unwrap().parse().unwrap()).unwrap();
                }
                let proof = json!({ "poi": text::encode(Prefix::Proof, &proof.encode()) });
                self.say(side, reply(request, self.id.as_deref(), proof));
            }
            _ => self.signed(side, method, params["signed_tx"].as_str().unwrap()),
        }
    }

    fn propose_update(&mut self, side: usize, request: &Value) {
        let params = &request["params"];
        let [from, to] =
            ["from", "to"].map(|name| params[name].as_str().unwrap().parse::<AccountId>().unwrap());
        let amount: Coins = serde_json::from_value(params["amount"].clone()).unwrap();
        let mut updates = vec![Update::Transfer { from, to, amount }];
        for text in params.get("meta").and_then(Value::as_array).into_iter().flatten() {
            updates.push(Update::Meta { data: text.as_str().unwrap().into() });
        }
        let round = self.round.next();
        let env = OffchainEnv { reserve: Coins(2), round, protocol: Protocol::Ceres };
        let Ok(trees) = apply_updates(&self.trees, &updates, &env) else {
            return self.say(side, refusal(request, 3, 1001, "Insufficient balance"));
        };
        let channel: ChannelId = self.id.as_deref().unwrap().parse().unwrap();
        let tx = OffchainTx {
            channel_id: if self.cheat == Cheat::Channel { ChannelId([7; 32]) } else { channel },
            round: if self.cheat == Cheat::Round { round.next() } else { round },
            state_hash: if self.cheat == Cheat::StateHash { StateHash([1; 32]) } else { trees.state_hash() },
        };
        if self.cheat == Cheat::Updates {
            updates[0] = Update::Transfer { from, to, amount: Coins(amount.0 + 1) };
        }
        let busy = self.draft.is_some();
        self.draft = Some(Draft { proposer: side, tx: SignedTx::unsigned(tx), trees, updates });
        if busy {
            return self.conflict(side, 2, "conflict");
        }
        self.ask(if self.cheat == Cheat::Unasked { 1 - side } else { side }, "update");
    }

    fn propose_close(&mut self, side: usize) {
        let [mine, theirs] = self.accounts.map(|id| self.trees.account(id).unwrap().balance);
        let fee = if self.cheat == Cheat::Fee { Coins(mine.0 + theirs.0) } else { FEE };
        let (mut initiator, mut responder) = split_mutual_close(mine, theirs, fee).unwrap();
        if self.cheat == Cheat::Split {
            (initiator, responder) = (Coins(initiator.0 - 1), Coins(responder.0 + 1));
        }
        let tx = CloseMutualTx {
            channel_id: self.id.as_deref().unwrap().parse().unwrap(),
            from_id: self.accounts[side],
            initiator_amount_final: initiator,
            responder_amount_final: responder,
            ttl: Height(0),
            fee,
            nonce: Nonce(2),
        };
        let (tx, trees) = (SignedTx::unsigned(tx), self.trees.clone());
        self.draft = Some(Draft { proposer: side, tx, trees, updates: vec![] });
        self.ask(side, "shutdown_sign");
    }

    fn signed(&mut self, side: usize, method: &str, tx: &str) {
        let tx = SignedTx::decode(&text::decode(Prefix::Transaction, tx).unwrap()).unwrap();
        let Some(draft) = &mut self.draft else { return };
        draft.tx = tx.clone();
        let peer = 1 - side;
        match method {
            "channels.initiator_sign" => {
                let Tx::ChannelCreate(create) = tx.tx() else { panic!("{tx:?}") };
                self.id = Some(create.channel_id().to_string());
                self.ask(peer, "responder_sign");
            }
            "channels.responder_sign" => {
                for side in [0, 1] {
                    self.info(side, json!({ "event": "own_funding_locked" }));
                    self.info(side, json!({ "event": "open" }));
                }
                self.agreed(Round(1));
            }
            "channels.update" => {
                if self.cheat == Cheat::Stranger {
                    let (from, amount) = (self.accounts[0], Coins(1));
                    draft.updates = vec![Update::Transfer { from, to: AccountId([9; 32]), amount }];
                }
                self.info(peer, json!({ "event": "update" }));
                self.ask(peer, "update_ack");
            }
            "channels.update_ack" => self.agreed(self.round.next()),
            "channels.shutdown_sign" => self.ask(peer, "shutdown_sign_ack"),
            "channels.shutdown_sign_ack" => {
                for side in [0, 1] {
                    let data = json!({ "info": "close_mutual", "type": "channel_close_mutual_tx", "tx": tx.to_text() });
                    self.tell(side, "channels.on_chain_tx", data);
                    self.info(side, json!({ "event": "closed_confirmed" }));
                    self.info(side, json!({ "event": "died" }));
                    self.close(side);
                }
            }
            other => panic!("{other}"),
        }
    }

    fn agreed(&mut self, round: Round) {
        let Some(Draft { tx, trees, .. }) = self.draft.take() else { return };
        self.round = round;
        self.trees = trees;
        self.latest = Some(tx.clone());
        for side in [0, 1] {
            let mut shown = tx.clone();
            if round > Round(1) && self.cheat == Cheat::HalfSigned {
                shown = SignedTx::unsigned(tx.tx().clone()).with_signature(tx.signatures()[0]);
            }
            if round > Round(1) && self.cheat == Cheat::UnknownState {
                let Tx::ChannelOffchain(old) = tx.tx() else { panic!("{tx:?}") };
                shown = SignedTx::unsigned(OffchainTx { round: old.round.next(), ..old.clone() });
            }
            self.tell(side, "channels.update", json!({ "state": shown.to_text() }));
        }
    }

    fn aborted(&mut self, side: usize, code: &Value) {
        let Some(draft) = self.draft.take() else { return };
        self.info(side, json!({ "event": "aborted_update" }));
        if draft.proposer != side {
            self.conflict(draft.proposer, code.as_u64().unwrap(), "unknown");
        }
    }

    fn conflict(&mut self, side: usize, code: u64, message: &str) {
        let data =
            json!({ "channel_id": self.id, "round": self.round, "error_code": code, "error_msg": message });
        self.tell(side, "channels.conflict", data);
    }

    fn leave(&mut self) {
        let state = self.latest.as_ref().map(SignedTx::to_text);
        for side in [0, 1] {
            self.tell(side, "channels.leave", json!({ "state": state }));
            self.info(side, json!({ "event": "died" }));
            self.close(side);
        }
    }

    fn ask(&mut self, side: usize, tag: &str) {
        let Some(Draft { tx, updates, .. }) = &self.draft else { return };
        let updates: Vec<_> = updates.iter().map(Update::to_json).collect();
        let data = json!({ "signed_tx": tx.to_text(), "updates": updates });
        self.tell(side, &format!("channels.sign.{tag}"), data);
    }

    fn info(&mut self, side: usize, data: Value) {
        self.tell(side, "channels.info", data);
    }

    fn tell(&mut self, side: usize, method: &str, data: Value) {
        let message = notification(method, self.id.as_deref(), data);
        self.say(side, message);
    }

    fn say(&mut self, side: usize, message: Value) {
        if let Some(socket) = &self.sockets[side] {
            socket.send(Output::Say(message)).ok();
        }
    }

    fn close(&mut self, side: usize) {
        if let Some(socket) = self.sockets[side].take() {
            socket.send(Output::Close).ok();
        }
    }
}

fn fsm(side: usize) -> String {
    FsmId([u8::try_from(side).unwrap() + 1; 32]).to_string()
}
