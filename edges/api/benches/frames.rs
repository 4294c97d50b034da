//! What one payment costs at this edge: `cargo bench -p strait-api`. The frames are recorded ones.

#![allow(clippy::unwrap_used, reason = "tests and benches only")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;
use strait_api::{Conversation, ToClient, frames, report_frame};
use strait_channel::{Answer, Event, Flow, Notice, Report, Side};
use strait_encoding::text::{self, Prefix};
use strait_encoding::{ChannelId, Coins};
use strait_ledger::{SignedTx, Update};

/// The first recorded frame that fits.
fn recorded(fits: impl Fn(&Value) -> bool) -> Value {
    let lines = include_str!("../tests/vectors/recorded_frames.jsonl").lines();
    let mut recorded = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    recorded.find(|recorded| fits(recorded)).expect("a recorded frame")
}

fn tx(value: &Value) -> SignedTx {
    SignedTx::decode(&text::decode(Prefix::Transaction, value.as_str().unwrap()).unwrap()).unwrap()
}

fn payment(c: &mut Criterion) {
    let asked = recorded(|line| line["frame"]["method"] == "channels.sign.update");
    let data = &asked["frame"]["params"]["data"];
    let transfer = &data["updates"][0];
    let account = |name: &str| transfer[name].as_str().unwrap().parse().unwrap();
    let signed = recorded(|line| line["request"]["method"] == "channels.update");
    let signed = signed["request"].to_string();
    let new = serde_json::json!({
        "jsonrpc": "2.0", "method": "channels.update.new",
        "params": {"amount": 1, "from": transfer["from"], "to": transfer["to"]},
    })
    .to_string();

    let channel_id: ChannelId = asked["frame"]["params"]["channel_id"].as_str().unwrap().parse().unwrap();
    let report = |notice| Report { channel_id: Some(channel_id), notice };
    let sign = report(Notice::Sign {
        flow: Flow::Update,
        side: Side::Proposer,
        tx: tx(&data["signed_tx"]),
        updates: vec![Update::Transfer { from: account("from"), to: account("to"), amount: Coins(1) }],
    });
    let agreed = recorded(|line| line["frame"]["method"] == "channels.update");
    let update = report(Notice::Update(tx(&agreed["frame"]["params"]["data"]["state"])));

    let mut group = c.benchmark_group("payment");
    for (name, text) in [("parse update.new", &new), ("parse channels.update", &signed)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| frames::parse(black_box(text))));
    }
    for (name, report) in [("encode sign.update", &sign), ("encode channels.update", &update)] {
        group.throughput(Throughput::Bytes(report_frame(report, None).len() as u64));
        let mut conversation = Conversation::new(1 << 20);
        group.bench_function(name, |b| {
            b.iter(|| {
                let report = black_box(report).clone();
                conversation.told(ToClient::Report { report, fsm_id: None });
                conversation.next_frame()
            });
        });
    }
    group.finish();
    request_and_answer(c, &signed);
}

fn request_and_answer(c: &mut Criterion, signed: &str) {
    let mut conversation = Conversation::new(1 << 20);
    let known = Report { channel_id: Some(ChannelId([7; 32])), notice: Notice::Info(Event::Open) };
    conversation.told(ToClient::Report { report: known, fsm_id: None });
    conversation.next_frame();
    c.bench_function("channels.update, asked and answered", |b| {
        b.iter(|| {
            conversation.receive(black_box(signed));
            let (ticket, ask) = *conversation.next_ask().expect("a request");
            conversation.told(ToClient::Answer(ticket, Ok(Answer::Ok)));
            (ask, conversation.next_frame())
        });
    });
}

criterion_group!(benches, payment);
criterion_main!(benches);
