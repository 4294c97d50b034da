//! The last things that happened to a channel, for `channels.history.fetch`.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::{Value, json};
use strait_api::{Ask, HistoryEntry, HistoryFilter, HistoryKind, report_data, report_tag};
use strait_channel::{ConflictCode, Contract, Flow, Message, Notice, Report, Request, Side, Time};
use strait_ledger::{SignedTx, Update};
use strait_operator::{LogEntry, Way};

/// A bounded log, newest last. What stands in an entry is rendered only when somebody asks.
#[derive(Debug)]
pub(crate) struct History {
    keep: usize,
    entries: VecDeque<(Time, Entry)>,
    /// How many entries there were.
    count: u64,
}

#[derive(Debug)]
enum Entry {
    Report(Box<Report>),
    /// With the code of a refusal.
    Sent(&'static str, Option<u16>),
    /// With the code of a refusal.
    Received(&'static str, Option<u16>),
    /// The method behind `channels.`.
    Asked(&'static str),
    Signed(Flow, Side),
    /// With the client's code.
    Declined(Flow, Side, u16),
}

impl History {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, entries: VecDeque::new(), count: 0 }
    }

    pub(crate) fn report(&mut self, now: Time, report: &Report) {
        self.push(now, Entry::Report(Box::new(report.clone())));
    }

    pub(crate) fn sent(&mut self, now: Time, message: &Message) {
        self.push(now, Entry::Sent(message.name(), refusal_code(message)));
    }

    pub(crate) fn received(&mut self, now: Time, message: &Message) {
        self.push(now, Entry::Received(message.name(), refusal_code(message)));
    }

    pub(crate) fn asked(&mut self, now: Time, ask: &Ask) {
        if let Ask::Channel(request) = ask {
            self.push(now, asked(request));
        }
    }

    /// The newest entries that the filter lets through, newest first.
    pub(crate) fn fetch(&self, filter: &HistoryFilter) -> Vec<HistoryEntry> {
        let rendered = self.entries.iter().rev().map(|(time, entry)| render(*time, entry));
        rendered.filter(|entry| passes(filter, entry)).take(filter.newest).collect()
    }

    fn push(&mut self, now: Time, entry: Entry) {
        if self.keep == 0 {
            return;
        }
        while self.entries.len() >= self.keep {
            self.entries.pop_front();
        }
        self.entries.push_back((now, entry));
        self.count += 1;
    }

    /// The newest entries for the operator, newest first.
    pub(crate) fn latest(&self, newest: usize) -> Vec<LogEntry> {
        let numbered = (1..=self.count).rev().zip(self.entries.iter().rev());
        numbered.take(newest).map(|(number, (at, entry))| entry.show(number, *at)).collect()
    }
}

impl Entry {
    fn show(&self, number: u64, at: Time) -> LogEntry {
        let named = |way, name: Cow<'static, str>, info| (way, name, None, Vec::new(), info);
        let refused = |code: &Option<u16>| code.map(refused);
        let answered = |flow: Flow, side, info| {
            // A flow of one has no acceptor to ask.
            let names = flow.row().ask(side).unwrap_or(flow.row().proposer);
            let reply = names.replies.first().copied().unwrap_or(names.sign);
            named(Way::FromClient, format!("channels.{reply}").into(), Some(info))
        };
        let (way, name, tx, updates, info) = match self {
            Entry::Report(report) => {
                let (tx, updates) = signed_in(&report.notice);
                let (method, info) = report_data(report, None);
                let info = without_frames(info);
                (Way::ToClient, Cow::Owned(method.to_string()), tx, updates, info)
            }
            Entry::Sent(name, code) => named(Way::ToPeer, (*name).into(), refused(code)),
            Entry::Received(name, code) => named(Way::FromPeer, (*name).into(), refused(code)),
            Entry::Asked(name) => named(Way::FromClient, format!("channels.{name}").into(), None),
            Entry::Signed(flow, side) => answered(*flow, *side, json!("signed")),
            Entry::Declined(flow, side, code) => {
                answered(*flow, *side, json!({ "error_code": code, "error_msg": "declined" }))
            }
        };
        LogEntry { number, at, way, name, tx, updates, info }
    }
}

/// The transaction that a notification carries, and what it changes.
fn signed_in(notice: &Notice) -> (Option<SignedTx>, Vec<Update>) {
    match notice {
        Notice::Sign { tx, updates, .. } => (Some(tx.clone()), updates.clone()),
        Notice::Update(tx) | Notice::Leave(tx) | Notice::OnChainTx { tx, .. } => {
            (Some(tx.clone()), Vec::new())
        }
        _ => (None, Vec::new()),
    }
}

/// What a notification says without the transactions in it, which are shown decoded; `None` where nothing is left.
fn without_frames(mut info: Value) -> Option<Value> {
    if let Some(fields) = info.as_object_mut() {
        for frame in ["signed_tx", "updates", "state", "tx"] {
            fields.remove(frame);
        }
    }
    let is_empty = info.as_object().is_some_and(serde_json::Map::is_empty);
    (!is_empty).then_some(info)
}

fn refused(code: u16) -> Value {
    json!({ "error_code": code, "error_msg": ConflictCode(code).message() })
}

fn refusal_code(message: &Message) -> Option<u16> {
    match message {
        Message::UpdateError { error_code, .. }
        | Message::DepositError { error_code, .. }
        | Message::WithdrawError { error_code, .. }
        | Message::ShutdownError { error_code, .. } => Some(*error_code),
        _ => None,
    }
}

fn render(time: Time, entry: &Entry) -> HistoryEntry {
    let named =
        |kind, name: &'static str| HistoryEntry { kind, tag: Cow::Borrowed(name), time, info: json!(name) };
    match entry {
        Entry::Report(report) => {
            let (method, info) = report_data(report, None);
            let tag = Cow::Owned(report_tag(&method).to_owned());
            HistoryEntry { kind: HistoryKind::Report, tag, time, info }
        }
        Entry::Sent(name, _) => named(HistoryKind::Send, name),
        Entry::Received(name, _) => named(HistoryKind::Receive, name),
        Entry::Asked(name) => named(HistoryKind::Request, request_tag(name)),
        Entry::Signed(flow, side) | Entry::Declined(flow, side, _) => {
            named(HistoryKind::Request, flow.row().ask(*side).map_or("sign", |names| names.sign))
        }
    }
}

fn passes(filter: &HistoryFilter, entry: &HistoryEntry) -> bool {
    let kind = filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&entry.kind));
    let tag = entry.kind != HistoryKind::Report
        || filter.tags.as_ref().is_none_or(|tags| tags.iter().any(|tag| *tag == entry.tag));
    kind && tag
}

/// The tag of a request in `channels.history.fetch`, given its method behind `channels.`.
fn request_tag(method: &'static str) -> &'static str {
    match method {
        "update.new" | "update.new_contract" | "update.call_contract" => "update",
        "dry_run.call_contract" => "dry_run",
        "system" => "stop",
        other => other,
    }
}

fn asked(request: &Request) -> Entry {
    let method = match request {
        Request::Signed { flow, side, .. } => return Entry::Signed(*flow, *side),
        Request::Declined { flow, side, code } => return Entry::Declined(*flow, *side, *code),
        Request::Transfer { .. } => "update.new",
        Request::Funds { flow, .. } | Request::Solo(flow, _) => flow.row().name,
        Request::ForceProgress(_) => Flow::ForceProgress.row().name,
        Request::AssumeMinimumDepth(_) => "assume_minimum_depth",
        Request::Contract { contract: Contract::New { .. }, .. } => "update.new_contract",
        Request::Contract { .. } => "update.call_contract",
        Request::DryRun { .. } => "dry_run.call_contract",
        Request::ContractState(_) => "get.contract",
        Request::ContractCall { .. } => "get.contract_call",
        Request::Shutdown(_) => "shutdown",
        Request::Leave => "leave",
        Request::Message { .. } => "message",
        Request::Stop => "system",
        Request::Balances(_) => "get.balances",
        Request::OffchainState => "get.offchain_state",
        Request::Proof { .. } => "get.poi",
        Request::CleanCalls => "clean_contract_calls",
    };
    Entry::Asked(method)
}

#[cfg(test)]
mod tests {
    use strait_channel::{Event, Reason};
    use strait_encoding::{AccountId, ChannelId, Coins, Round};

    use super::*;

    fn newest(history: &History) -> LogEntry {
        history.latest(1).remove(0)
    }

    fn told(notice: Notice) -> LogEntry {
        let mut history = History::new(1);
        history.report(Time(1), &Report { channel_id: None, notice });
        newest(&history)
    }

    fn said(request: Request) -> LogEntry {
        let mut history = History::new(1);
        history.asked(Time(1), &Ask::Channel(request));
        newest(&history)
    }

    #[test]
    fn notifications_keep_their_event_and_their_code() {
        let info = told(Notice::Info(Event::FundingLocked));
        assert_eq!(
            (info.name.as_ref(), info.info),
            ("channels.info", Some(json!({ "event": "funding_locked" })))
        );
        let channel_id = ChannelId([3; 32]);
        let conflict = told(Notice::Conflict { channel_id, round: Round(7), code: ConflictCode::CONFLICT });
        let told_of = conflict.info.unwrap();
        assert_eq!(conflict.name, "channels.conflict");
        assert_eq!([&told_of["error_code"], &told_of["round"]], [&json!(2), &json!(7)]);
        let error = told(Notice::Error(Reason::NotAllowedNow("why")));
        assert!(error.info.unwrap()["message"][0]["message"].is_string());
    }

    #[test]
    fn a_request_is_told_from_the_signature_that_follows() {
        let [from, to] = [1, 2].map(|byte| AccountId([byte; 32]));
        let transfer = Request::Transfer { from, to, amount: Coins(1), pin: None, meta: Vec::new() };
        assert_eq!(said(transfer).name, "channels.update.new");
        let declined = said(Request::Declined { flow: Flow::Update, side: Side::Acceptor, code: 147 });
        assert_eq!(declined.name, "channels.update_ack");
        assert_eq!(declined.info, Some(json!({ "error_code": 147, "error_msg": "declined" })));
        let mut history = History::new(1);
        history.push(Time(1), Entry::Signed(Flow::Update, Side::Proposer));
        let signed = newest(&history);
        assert_eq!((signed.name.as_ref(), signed.info), ("channels.update", Some(json!("signed"))));
    }

    #[test]
    fn a_refusal_of_the_peer_has_its_code() {
        let mut history = History::new(1);
        let refusal = Message::UpdateError { channel_id: ChannelId([3; 32]), round: 4, error_code: 3 };
        history.received(Time(1), &refusal);
        let entry = newest(&history);
        assert_eq!((entry.way, entry.name.as_ref()), (Way::FromPeer, "UpdateError"));
        assert_eq!(entry.info, Some(json!({ "error_code": 3, "error_msg": "timeout" })));
    }

    #[test]
    fn what_a_client_fetches_has_the_tags_of_before() {
        let mut history = History::new(3);
        history.push(Time(1), Entry::Asked("update.new"));
        history.push(Time(2), Entry::Signed(Flow::Deposit, Side::Proposer));
        history.push(Time(3), Entry::Sent("UpdateError", Some(2)));
        let filter = HistoryFilter { newest: 9, kinds: None, tags: None };
        let tags: Vec<_> = history.fetch(&filter).into_iter().map(|entry| entry.tag).collect();
        assert_eq!(tags, ["UpdateError", "deposit_tx", "update"]);
    }
}
