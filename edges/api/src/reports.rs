//! Notifications of the channel (`docs/protocol/ws_api` §6, §7).

use std::borrow::Cow;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use strait_channel::{Event, Notice, Report};
use strait_encoding::{AccountId, ChannelId, FsmId, Round, TxHash};
use strait_ledger::{SignedTx, TxKind, Update};

use crate::errors::Rejection;
use crate::replies;

/// The frame of a report. `fsm_id` goes into `fsm_up`, `funding_created` and `funding_signed`, nowhere else.
pub fn report_frame(report: &Report, fsm_id: Option<FsmId>) -> String {
    let channel_id = report.channel_id.as_ref().map(ChannelId::to_string);
    frame(&report.notice, fsm_id, channel_id.as_deref())
}

/// The method and the `data` of a report as plain JSON, for the history.
pub fn report_data(report: &Report, fsm_id: Option<FsmId>) -> (Cow<'static, str>, Value) {
    match body(&report.notice, fsm_id) {
        Ok((method, body)) => {
            let data = serde_json::to_value(&body);
            (method, data.expect("notices have no keys but strings, and no value that refuses to be written"))
        }
        Err(why) => ("channels.error".into(), json!({ "message": why.data })),
    }
}

/// As [`report_frame`], for a channel whose id was written before.
pub(crate) fn frame(notice: &Notice, fsm_id: Option<FsmId>, channel_id: Option<&str>) -> String {
    match body(notice, fsm_id) {
        Ok((method, body)) => replies::notification(&method, channel_id, &body),
        Err(why) => replies::failure_of_nothing(channel_id, &why),
    }
}

/// The `data` of a notification.
#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Info {
        event: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        fsm_id: Option<Text<FsmId>>,
    },
    MinimumDepth {
        event: &'static str,
        tx_hash: Text<TxHash>,
        tx_type: &'static str,
        notice: &'static str,
    },
    Snapshot {
        event: &'static str,
        tx_hash: Text<TxHash>,
        r#type: &'static str,
    },
    Sign {
        signed_tx: TxText<'a>,
        updates: Updates<'a>,
    },
    State {
        state: TxText<'a>,
    },
    Conflict {
        channel_id: Text<ChannelId>,
        round: Round,
        error_code: u16,
        error_msg: &'static str,
    },
    Message {
        message: Message<'a>,
    },
    OnChainTx {
        tx: TxText<'a>,
        r#type: &'static str,
        info: &'static str,
    },
}

#[derive(Serialize)]
struct Message<'a> {
    channel_id: Text<ChannelId>,
    from: Text<AccountId>,
    to: Text<AccountId>,
    info: Cow<'a, str>,
}

/// The method and data of a notice, or what an error says.
fn body(notice: &Notice, fsm_id: Option<FsmId>) -> Result<(Cow<'static, str>, Body<'_>), Rejection> {
    Ok(match notice {
        Notice::Info(event) => ("channels.info".into(), info(*event, fsm_id)),
        Notice::Sign { flow, side, tx, updates } => {
            // A flow of one has no acceptor to ask.
            let row = flow.row();
            let asked = row.ask(*side).unwrap_or(row.proposer);
            let body = Body::Sign { signed_tx: TxText(tx), updates: Updates(updates) };
            (format!("channels.sign.{}", asked.sign).into(), body)
        }
        Notice::Update(tx) => ("channels.update".into(), Body::State { state: TxText(tx) }),
        Notice::Leave(tx) => ("channels.leave".into(), Body::State { state: TxText(tx) }),
        Notice::Conflict { channel_id, round, code } => {
            let body = Body::Conflict {
                channel_id: Text(*channel_id),
                round: *round,
                error_code: code.0,
                error_msg: code.message(),
            };
            ("channels.conflict".into(), body)
        }
        Notice::Message { channel_id, from, to, info } => {
            let message = Message {
                channel_id: Text(*channel_id),
                from: Text(*from),
                to: Text(*to),
                info: String::from_utf8_lossy(info),
            };
            ("channels.message".into(), Body::Message { message })
        }
        Notice::OnChainTx { event, tx } => {
            let body =
                Body::OnChainTx { tx: TxText(tx), r#type: tx.body().kind().event_name(), info: event.name() };
            ("channels.on_chain_tx".into(), body)
        }
        Notice::Error(reason) => return Err(reason.into()),
    })
}

fn info(event: Event, fsm_id: Option<FsmId>) -> Body<'static> {
    match event {
        Event::MinimumDepthAchieved { tx_hash, tx_kind } => Body::MinimumDepth {
            event: event.name(),
            tx_hash: Text(tx_hash),
            tx_type: confirmed(tx_kind),
            notice: "already_assumed",
        },
        Event::SnapshotConfirmed { tx_hash } => Body::Snapshot {
            event: event.name(),
            tx_hash: Text(tx_hash),
            r#type: TxKind::ChannelSnapshotSolo.event_name(),
        },
        Event::FsmUp | Event::FundingCreated | Event::FundingSigned => {
            Body::Info { event: event.name(), fsm_id: fsm_id.map(Text) }
        }
        _ => Body::Info { event: event.name(), fsm_id: None },
    }
}

/// The `tx_type` of `minimum_depth_achieved`: every closing is `close` (`docs/protocol/ws_api` §7.1).
fn confirmed(kind: TxKind) -> &'static str {
    match kind {
        TxKind::ChannelCloseMutual | TxKind::ChannelCloseSolo | TxKind::ChannelSettle => "close",
        other => other.event_name(),
    }
}

/// An id in its text form; in the memory of this service ids are written as hex.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

struct TxText<'a>(&'a SignedTx);

impl Serialize for TxText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_text())
    }
}

struct Updates<'a>(&'a [Update]);

impl Serialize for Updates<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for update in self.0 {
            match update {
                // The one on the way of every payment is written without an intermediate value.
                Update::Transfer { from, to, amount } => list.serialize_element(&Transfer {
                    op: "OffChainTransfer",
                    from: Text(*from),
                    to: Text(*to),
                    amount: amount.0,
                })?,
                other => list.serialize_element(&other.to_json())?,
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Transfer {
    op: &'static str,
    from: Text<AccountId>,
    to: Text<AccountId>,
    amount: u128,
}
