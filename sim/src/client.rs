//! Whoever uses a service: signs, declines or says nothing, and remembers what it heard.

use std::collections::{BTreeSet, VecDeque};

use strait_channel::{Answer, Notice, OnChainEvent, Refusal, Ticket};
use strait_encoding::TxHash;
use strait_ledger::SignedTx;

use crate::forgery::Forgery;

/// Whoever uses a service: signs, declines or says nothing, and remembers what it heard.
#[derive(Clone, Debug)]
pub struct Client {
    /// Whether it is connected.
    pub attached: bool,
    /// What it heard, in order.
    pub log: Vec<Heard>,
    /// How it answers the next signing requests.
    pub plan: VecDeque<Reply>,
    /// How it answers when the plan is empty.
    pub habit: Reply,
    /// How often it asks for another transfer at once when it hears of a conflict.
    pub retries: u32,
    /// Whether it slashes and settles by itself when it hears that somebody closes alone.
    pub watchful: bool,
    pub(crate) socket: u64,
    tickets: u64,
    /// What it was told of transactions in blocks, which is told once.
    reported: BTreeSet<(&'static str, TxHash)>,
    /// The last request before the socket that it has now.
    before: Ticket,
    /// Requests that were made on this socket and not answered.
    unanswered: BTreeSet<Ticket>,
    /// Milliseconds that a signature takes.
    pub(crate) think: u64,
}

/// Something that a client heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The answer to a request.
    Answer(Ticket, Result<Answer, Refusal>),
    /// A notification.
    Told(Notice),
    /// The connection was closed.
    LetGo,
    /// A connection was made.
    Connected,
    /// Nothing: a fork took the end of the channel back here.
    TakenBack,
}

/// How a client answers a signing request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Signs.
    Sign,
    /// Signs after this many milliseconds.
    Late(u64),
    /// Declines with this code.
    Decline(u16),
    /// Declines after this many milliseconds with this code.
    LateDecline(u64, u16),
    /// Says nothing.
    Nothing,
    /// Hands over something else.
    Forge(Forgery),
    /// Signs, and hands it over twice.
    Twice,
}

impl Client {
    pub(crate) fn new(think: u64) -> Self {
        Self {
            attached: false,
            log: Vec::new(),
            plan: VecDeque::new(),
            habit: Reply::Sign,
            retries: 0,
            watchful: true,
            socket: 0,
            tickets: 0,
            reported: BTreeSet::new(),
            before: Ticket(0),
            unanswered: BTreeSet::new(),
            think,
        }
    }

    /// How many milliseconds a signature takes from now on.
    pub fn set_think(&mut self, milliseconds: u64) {
        self.think = milliseconds;
    }

    pub(crate) fn connect(&mut self) {
        self.attached = true;
        self.socket += 1;
        self.before = Ticket(self.tickets);
        self.unanswered.clear();
        self.log.push(Heard::Connected);
    }

    /// Notes that a request is made now.
    pub(crate) fn ask(&mut self, ticket: Ticket) {
        self.unanswered.insert(ticket);
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(crate) fn hear(&mut self, heard: Heard) {
        if !self.attached {
            return;
        }
        if let Heard::Answer(ticket, answer) = &heard {
            if *ticket <= self.before {
                // For whoever held the channel before.
                return;
            }
            assert!(self.unanswered.remove(ticket), "{ticket:?} is answered twice, or never was: {answer:?}");
        }
        if let Heard::Told(Notice::OnChainTx { event, tx }) = &heard {
            self.check_new(*event, tx);
        }
        self.log.push(heard);
    }

    /// What is in a block is told once, whatever forks come. The others tell of something this side can do.
    fn check_new(&mut self, event: OnChainEvent, tx: &SignedTx) {
        let in_block = [
            OnChainEvent::ChannelChanged,
            OnChainEvent::SoloClosing,
            OnChainEvent::ChannelClosed,
            OnChainEvent::ConsumedForcedProgress,
        ];
        if in_block.contains(&event) {
            let new = self.reported.insert((event.name(), tx.hash()));
            assert!(new, "{} is told twice of {tx:?}: {:?}", event.name(), self.told());
        }
    }

    /// The connection is closed, by a service that owes nothing.
    pub(crate) fn let_go(&mut self) {
        assert!(
            !self.attached || self.unanswered.is_empty(),
            "let go without an answer: {:?}",
            self.unanswered
        );
        self.lose();
    }

    /// The connection breaks.
    pub(crate) fn lose(&mut self) {
        self.hear(Heard::LetGo);
        self.attached = false;
    }

    /// Whether every request was answered.
    pub(crate) fn is_content(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// What it was told, as in `docs/protocol/ws_api` §8; answers are left out.
    pub fn told(&self) -> Vec<String> {
        self.log.iter().filter_map(Heard::told).collect()
    }

    /// The latest co-signed transaction that it was told of on the socket that it has now.
    pub(crate) fn latest_update(&self) -> Option<&SignedTx> {
        let since = self.log.iter().rposition(|heard| *heard == Heard::Connected).unwrap_or(0);
        self.log[since..].iter().rev().find_map(|heard| match heard {
            Heard::Told(Notice::Update(tx)) => Some(tx),
            _ => None,
        })
    }

    /// Checks what the JS SDK takes for granted (`docs/protocol/gaps` §3.1): what comes right behind what.
    ///
    /// # Panics
    /// Something came in between.
    pub(crate) fn check_order(&self) {
        for connection in self.log.split(|heard| *heard == Heard::Connected) {
            let mut before: Option<String> = None;
            for heard in connection {
                if *heard == Heard::TakenBack {
                    // What follows an end that is none any more is the life of an open channel.
                    before = before.filter(|told| told != CHANNEL_CLOSED);
                }
                // Text from the other client may come at any time.
                let Some(then) = heard.told().filter(|told| told != "message") else { continue };
                if let Some(first) = before {
                    assert!(may_follow(&first, &then), "{then} comes behind {first}: {:?}", self.told());
                }
                before = Some(then);
            }
        }
    }

    /// A fork has taken the end of the channel back.
    pub(crate) fn note_taken_back(&mut self) {
        self.log.push(Heard::TakenBack);
    }

    /// Whether it was told, on whatever socket, that a block holds this forced call.
    pub(crate) fn knows_forced(&self, tx: &SignedTx) -> bool {
        self.reported.contains(&(OnChainEvent::ConsumedForcedProgress.name(), tx.hash()))
    }

    /// The answer to a request, if it came.
    pub fn answer(&self, ticket: Ticket) -> Option<&Result<Answer, Refusal>> {
        self.log.iter().find_map(|heard| match heard {
            Heard::Answer(of, answer) if *of == ticket => Some(answer),
            _ => None,
        })
    }

    /// Forgets what it heard.
    pub fn clear(&mut self) {
        self.log.clear();
    }
}

const CHANNEL_CLOSED: &str = "on_chain_tx(channel_closed)";

fn may_follow(first: &str, then: &str) -> bool {
    let fine = match first {
        "funding_locked" => then == "open",
        "open" => then == "channels.update",
        "channel_accept" => then == "sign.initiator_sign",
        "funding_created" => then == "sign.responder_sign",
        // A proposal that comes with both signatures needs no other.
        "update" => then == "sign.update_ack" || then == "channels.update",
        "deposit_created" => then == "sign.deposit_ack" || then == "on_chain_tx(deposit_created)",
        "withdraw_created" => then == "sign.withdraw_ack" || then == "on_chain_tx(withdraw_created)",
        "deposit_locked" | "withdraw_locked" => then == "channels.update",
        "shutdown" => then == "sign.shutdown_sign_ack" || then == "on_chain_tx(close_mutual)",
        // `died` where the client stops it before; what was posted before may be confirmed by the same block.
        CHANNEL_CLOSED => {
            then == "closed_confirmed" || then == "died" || is_depth(then) || then.starts_with("on_chain_tx")
        }
        _ => true,
    };
    // A connection can break anywhere, and nothing comes behind its end.
    first != "close" && (fine || then == "close") && (first != "died" || then == "close")
}

fn is_depth(told: &str) -> bool {
    told == "min_depth_achieved" || told == "minimum_depth_achieved"
}

impl Heard {
    /// A notification in the words of `docs/protocol/ws_api` §8; nothing for an answer.
    pub fn told(&self) -> Option<String> {
        Some(match self {
            Heard::Answer(..) | Heard::Connected | Heard::TakenBack => return None,
            Heard::LetGo => "close".to_owned(),
            Heard::Told(notice) => match notice {
                Notice::Info(event) => event.name().to_owned(),
                Notice::Sign { flow, side, .. } => {
                    format!("sign.{}", flow.row().ask(*side).map_or("", |names| names.sign))
                }
                Notice::Update(_) => "channels.update".to_owned(),
                Notice::Leave(_) => "channels.leave".to_owned(),
                Notice::Conflict { code, .. } => format!("conflict({})", code.0),
                Notice::Message { .. } => "message".to_owned(),
                Notice::OnChainTx { event, .. } => format!("on_chain_tx({})", event.name()),
                Notice::Error(_) => "error".to_owned(),
            },
        })
    }
}
