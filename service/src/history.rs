//! The last things that happened to a channel, for `channels.history.fetch`.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::json;
use strait_api::{Ask, HistoryEntry, HistoryFilter, HistoryKind, report_data, report_tag};
use strait_channel::{Flow, Message, Notice, Report, Request, Time};
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
    Sent(&'static str),
    Received(&'static str),
    Asked(&'static str),
}

impl History {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, entries: VecDeque::new(), count: 0 }
    }

    pub(crate) fn report(&mut self, now: Time, report: &Report) {
        self.push(now, Entry::Report(Box::new(report.clone())));
    }

    pub(crate) fn sent(&mut self, now: Time, message: &Message) {
        self.push(now, Entry::Sent(message.name()));
    }

    pub(crate) fn received(&mut self, now: Time, message: &Message) {
        self.push(now, Entry::Received(message.name()));
    }

    pub(crate) fn asked(&mut self, now: Time, ask: &Ask) {
        if let Ask::Channel(request) = ask {
            self.push(now, Entry::Asked(request_name(request)));
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
        let named = |way, name: &'static str| (way, Cow::Borrowed(name), None, Vec::new(), None);
        let (way, name, tx, updates, info) = match self {
            Entry::Report(report) => {
                let (tx, updates) = signed_in(&report.notice);
                let (method, info) = report_data(report, None);
                let info = tx.is_none().then_some(info);
                (Way::ToClient, Cow::Owned(method.to_string()), tx, updates, info)
            }
            Entry::Sent(name) => named(Way::ToPeer, name),
            Entry::Received(name) => named(Way::FromPeer, name),
            Entry::Asked(name) => named(Way::FromClient, name),
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

fn render(time: Time, entry: &Entry) -> HistoryEntry {
    let named =
        |kind, name: &'static str| HistoryEntry { kind, tag: Cow::Borrowed(name), time, info: json!(name) };
    match entry {
        Entry::Report(report) => {
            let (method, info) = report_data(report, None);
            let tag = Cow::Owned(report_tag(&method).to_owned());
            HistoryEntry { kind: HistoryKind::Report, tag, time, info }
        }
        Entry::Sent(name) => named(HistoryKind::Send, name),
        Entry::Received(name) => named(HistoryKind::Receive, name),
        Entry::Asked(name) => named(HistoryKind::Request, name),
    }
}

fn passes(filter: &HistoryFilter, entry: &HistoryEntry) -> bool {
    let kind = filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&entry.kind));
    let tag = entry.kind != HistoryKind::Report
        || filter.tags.as_ref().is_none_or(|tags| tags.iter().any(|tag| *tag == entry.tag));
    kind && tag
}

fn request_name(request: &Request) -> &'static str {
    match request {
        Request::Transfer { .. } => "update",
        Request::Funds { flow, .. } | Request::Solo(flow, _) => flow.row().name,
        Request::ForceProgress(_) => Flow::ForceProgress.row().name,
        Request::AssumeMinimumDepth(_) => "assume_minimum_depth",
        Request::Contract { .. } => "update",
        Request::DryRun { .. } => "dry_run",
        Request::ContractState(_) => "get.contract",
        Request::ContractCall { .. } => "get.contract_call",
        Request::Shutdown(_) => "shutdown",
        Request::Signed { flow, side, .. } | Request::Declined { flow, side, .. } => {
            flow.row().ask(*side).map_or("sign", |names| names.sign)
        }
        Request::Leave => "leave",
        Request::Message { .. } => "message",
        Request::Stop => "stop",
        Request::Balances(_) => "get.balances",
        Request::OffchainState => "get.offchain_state",
        Request::Proof { .. } => "get.poi",
        Request::CleanCalls => "clean_contract_calls",
    }
}
