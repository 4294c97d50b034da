//! The signing flows: one table row each. The interpreter is `ceremony.rs`; names and codes stand nowhere else.

use serde::{Deserialize, Serialize};
use strait_ledger::TxKind;

use crate::message::Code;
use crate::notice::{Event, OnChainEvent};

/// A flow in which at least one client signs a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Flow {
    Create,
    Update,
    Deposit,
    Withdraw,
    Shutdown,
    CloseSolo,
    Slash,
    Settle,
    SnapshotSolo,
    ForceProgress,
}

/// Whether a party started a flow or answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Its client started the flow and signs first.
    Proposer,
    /// Its client is asked to sign what the peer proposed.
    Acceptor,
}

/// Where in its life a channel can be when a flow starts or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Before the create transaction is confirmed.
    Opening,
    /// Updates flow.
    Open,
    /// A solo close is on chain.
    Closing,
    /// The channel is gone from the chain.
    Closed,
}

/// What makes a flow final once everybody signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// The signatures themselves.
    OffChain,
    /// Confirmation on chain.
    OnChain,
    /// Confirmation on chain, then a `…_locked` message of both.
    OnChainThenLocked,
}

/// What a client is asked to sign, by its names in the interface (`docs/protocol/ws_api` §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskNames {
    /// Behind `channels.sign.` in the request.
    pub sign: &'static str,
    /// Behind `channels.` in the reply; the first is the canonical one.
    pub replies: &'static [&'static str],
}

/// What the two sides tell their clients on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milestones {
    /// The acceptor, on a valid proposal.
    pub proposed: Option<Event>,
    /// The proposer, when the peer accepted.
    pub accepted: Option<Event>,
    /// With the fully signed transaction: (proposer, acceptor).
    pub on_chain: Option<(OnChainEvent, OnChainEvent)>,
    /// Own confirmations reached, peer's reached.
    pub locked: Option<(Event, Event)>,
}

/// The codes of the peer messages of a flow (`docs/protocol/p2p_wire` §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// Carries the proposer's signature.
    pub propose: Code,
    /// Carries both signatures.
    pub accept: Code,
    /// Says that the own confirmations are reached.
    pub lock: Option<Code>,
    /// Refuses the proposal; a refused create transaction ends the opening instead.
    pub refuse: Option<Code>,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The flow.
    pub flow: Flow,
    /// Its name in logs, metrics and documents.
    pub name: &'static str,
    /// The transaction that is signed.
    pub tx: TxKind,
    /// Where it may start.
    pub starts_in: &'static [Place],
    /// What the proposer's client is asked to sign.
    pub proposer: AskNames,
    /// What the acceptor's client is asked to sign; `None` for a flow of one.
    pub acceptor: Option<AskNames>,
    /// Peer messages; `None` for a flow of one.
    pub codes: Option<Codes>,
    /// What makes it final.
    pub settles: Settles,
    /// Where it lands; `None` leaves the place unchanged.
    pub lands: Option<Place>,
    /// What the clients hear.
    pub milestones: Milestones,
}

const SILENT: Milestones = Milestones { proposed: None, accepted: None, on_chain: None, locked: None };

const fn ask(sign: &'static str, replies: &'static [&'static str]) -> AskNames {
    AskNames { sign, replies }
}

const fn solo(
    flow: Flow,
    name: &'static str,
    tx: TxKind,
    starts_in: &'static [Place],
    proposer: AskNames,
    lands: Option<Place>,
) -> Row {
    let milestones = SILENT;
    Row {
        flow,
        name,
        tx,
        starts_in,
        proposer,
        acceptor: None,
        codes: None,
        settles: Settles::OnChain,
        lands,
        milestones,
    }
}

use Place::{Closed, Closing, Open, Opening};

/// The table.
#[rustfmt::skip]
pub const FLOWS: [Row; 10] = [
    Row { flow: Flow::Create, name: "create", tx: TxKind::ChannelCreate, starts_in: &[Opening],
        proposer: ask("initiator_sign", &["initiator_sign"]),
        acceptor: Some(ask("responder_sign", &["responder_sign"])),
        codes: Some(Codes { propose: Code::FundingCreated, accept: Code::FundingSigned, lock: Some(Code::FundingLocked), refuse: None }),
        settles: Settles::OnChainThenLocked, lands: Some(Open),
        milestones: Milestones { proposed: Some(Event::FundingCreated), accepted: Some(Event::FundingSigned),
            on_chain: Some((OnChainEvent::FundingSigned, OnChainEvent::FundingCreated)),
            locked: Some((Event::OwnFundingLocked, Event::FundingLocked)) } },
    Row { flow: Flow::Update, name: "update", tx: TxKind::ChannelOffchain, starts_in: &[Open],
        proposer: ask("update", &["update"]),
        acceptor: Some(ask("update_ack", &["update_ack"])),
        codes: Some(Codes { propose: Code::Update, accept: Code::UpdateAck, lock: None, refuse: Some(Code::UpdateError) }),
        settles: Settles::OffChain, lands: None,
        milestones: Milestones { proposed: Some(Event::Update), ..SILENT } },
    Row { flow: Flow::Deposit, name: "deposit", tx: TxKind::ChannelDeposit, starts_in: &[Open],
        proposer: ask("deposit_tx", &["deposit_tx"]),
        acceptor: Some(ask("deposit_ack", &["deposit_ack"])),
        codes: Some(Codes { propose: Code::DepositCreated, accept: Code::DepositSigned, lock: Some(Code::DepositLocked), refuse: Some(Code::DepositError) }),
        settles: Settles::OnChainThenLocked, lands: None,
        milestones: Milestones { proposed: Some(Event::DepositCreated), accepted: None,
            on_chain: Some((OnChainEvent::DepositSigned, OnChainEvent::DepositCreated)),
            locked: Some((Event::OwnDepositLocked, Event::DepositLocked)) } },
    Row { flow: Flow::Withdraw, name: "withdraw", tx: TxKind::ChannelWithdraw, starts_in: &[Open],
        proposer: ask("withdraw_tx", &["withdraw_tx"]),
        acceptor: Some(ask("withdraw_ack", &["withdraw_ack"])),
        codes: Some(Codes { propose: Code::WithdrawCreated, accept: Code::WithdrawSigned, lock: Some(Code::WithdrawLocked), refuse: Some(Code::WithdrawError) }),
        settles: Settles::OnChainThenLocked, lands: None,
        milestones: Milestones { proposed: Some(Event::WithdrawCreated), accepted: None,
            on_chain: Some((OnChainEvent::WithdrawSigned, OnChainEvent::WithdrawCreated)),
            locked: Some((Event::OwnWithdrawLocked, Event::WithdrawLocked)) } },
    Row { flow: Flow::Shutdown, name: "shutdown", tx: TxKind::ChannelCloseMutual, starts_in: &[Open, Closing],
        proposer: ask("shutdown_sign", &["shutdown_sign"]),
        acceptor: Some(ask("shutdown_sign_ack", &["shutdown_sign_ack"])),
        codes: Some(Codes { propose: Code::Shutdown, accept: Code::ShutdownAck, lock: None, refuse: Some(Code::ShutdownError) }),
        settles: Settles::OnChain, lands: Some(Closed),
        milestones: Milestones { proposed: Some(Event::Shutdown), accepted: None,
            on_chain: Some((OnChainEvent::CloseMutual, OnChainEvent::CloseMutual)), locked: None } },
    solo(Flow::CloseSolo, "close_solo", TxKind::ChannelCloseSolo, &[Open],
        ask("close_solo_sign", &["close_solo_sign", "close_solo_tx"]), Some(Closing)),
    solo(Flow::Slash, "slash", TxKind::ChannelSlash, &[Closing],
        ask("slash_tx", &["slash_sign", "slash_tx"]), Some(Closing)),
    solo(Flow::Settle, "settle", TxKind::ChannelSettle, &[Closing],
        ask("settle_sign", &["settle_sign", "settle_tx"]), Some(Closed)),
    solo(Flow::SnapshotSolo, "snapshot_solo", TxKind::ChannelSnapshotSolo, &[Open],
        ask("snapshot_solo_tx", &["snapshot_solo_sign", "snapshot_solo_tx"]), None),
    solo(Flow::ForceProgress, "force_progress", TxKind::ChannelForceProgress, &[Open, Closing],
        ask("force_progress_tx", &["force_progress_sign", "force_progress_tx"]), None),
];

impl Flow {
    /// The row of this flow.
    pub fn row(self) -> &'static Row {
        // The table is in the order of the variants: held by a test.
        &FLOWS[self as usize]
    }

    /// The flow and the message's part in it, for a message code that belongs to a flow.
    pub fn of_code(code: Code) -> Option<(Flow, Part)> {
        FLOWS.iter().find_map(|row| {
            let codes = row.codes?;
            let part = match code {
                _ if code == codes.propose => Part::Propose,
                _ if code == codes.accept => Part::Accept,
                _ if Some(code) == codes.lock => Part::Lock,
                _ if Some(code) == codes.refuse => Part::Refuse,
                _ => return None,
            };
            Some((row.flow, part))
        })
    }

    /// The flow in which this transaction is signed.
    pub fn of_tx(kind: TxKind) -> Option<Flow> {
        FLOWS.iter().find(|row| row.tx == kind).map(|row| row.flow)
    }

    /// The flow and side whose signing request is answered by `channels.<reply>`.
    pub fn of_reply(reply: &str) -> Option<(Flow, Side)> {
        FLOWS.iter().find_map(|row| {
            let sides = [(Side::Proposer, Some(row.proposer)), (Side::Acceptor, row.acceptor)];
            sides
                .into_iter()
                .find(|(_, names)| names.is_some_and(|names| names.replies.contains(&reply)))
                .map(|(side, _)| (row.flow, side))
        })
    }
}

impl Row {
    /// What the client of this side is asked to sign; `None` where that side does not sign.
    pub fn ask(&self, side: Side) -> Option<AskNames> {
        match side {
            Side::Proposer => Some(self.proposer),
            Side::Acceptor => self.acceptor,
        }
    }
}

/// A peer message's part in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Part {
    Propose,
    Accept,
    Lock,
    Refuse,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_flow_finds_its_own_row() {
        for row in &FLOWS {
            assert_eq!(row.flow.row().name, row.name);
        }
    }

    #[test]
    fn no_code_and_no_reply_belongs_to_two_flows() {
        let mut codes = BTreeSet::new();
        let mut replies = BTreeSet::new();
        for row in &FLOWS {
            for names in [Some(row.proposer), row.acceptor].into_iter().flatten() {
                for reply in names.replies {
                    assert!(replies.insert(*reply), "{reply} answers two requests");
                    assert_eq!(Flow::of_reply(reply).map(|(flow, _)| flow), Some(row.flow));
                }
            }
            let Some(c) = row.codes else { continue };
            for code in [Some(c.propose), Some(c.accept), c.lock, c.refuse].into_iter().flatten() {
                assert!(codes.insert(code as u8), "{code:?} is in two rows");
                assert_eq!(Flow::of_code(code).map(|(flow, _)| flow), Some(row.flow));
            }
        }
    }
}
