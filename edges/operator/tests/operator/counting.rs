//! What is counted of real channels, and the text that Prometheus reads.

use std::collections::BTreeMap;
use std::time::Duration;

use strait_channel::Side;
use strait_operator::MEDIA_TYPE;

use crate::pair::{Habit, Pair, label};
use crate::support::Served;

/// The samples of a text: name with labels, and value. Every line is a comment that is known or a sample.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let word = comment.split(' ').next().unwrap();
            assert!(["HELP", "TYPE", "UNIT", "EOF"].contains(&word), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value = value.parse().unwrap_or_else(|why| panic!("{line}: {why}"));
        let bare = name.split('{').next().unwrap();
        assert!(bare.starts_with("strait_") && bare.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'));
        assert!(samples.insert(name.to_owned(), value).is_none(), "{name} stands there twice");
    }
    assert!(text.ends_with("# EOF\n"));
    samples
}

/// The flows that ended and the updates, as far as there were any.
async fn counted(pair: &Pair) -> Vec<(String, f64)> {
    let served = Served::counting(pair.metrics.clone()).await;
    let samples = samples(&served.get("/metrics").await.body);
    let flows = samples.into_iter().filter(|(name, count)| name.contains("_total") && *count > 0.0);
    let short = |name: String| name.replace("strait_", "").replace("_total", "").replace('"', "");
    let mut counted: Vec<_> = flows.map(|(name, count)| (short(name), count)).collect();
    counted.sort_by(|a, b| a.0.cmp(&b.0));
    counted
}

fn expected(counts: &[(&str, f64)]) -> Vec<(String, f64)> {
    let mut all = vec![("flows{flow=create,outcome=agreed}".to_owned(), 2.0)];
    all.extend(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[tokio::test]
async fn the_text_is_what_prometheus_reads() {
    let served = Served::new(200).await;
    let reply = served.get("/metrics").await;
    assert_eq!(reply.header("content-type"), Some(MEDIA_TYPE.to_ascii_lowercase().as_str()));
    let samples = samples(&reply.body);
    for (name, value) in [
        ("strait_channels{place=\"open\"}", 175.0),
        ("strait_channels{place=\"closing\"}", 10.0),
        ("strait_clients", 195.0),
        ("strait_chain_height", 120.0),
        ("strait_mempool", 0.0),
        ("strait_updates_agreed_total{side=\"proposer\"}", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
    served.metrics.committed(Duration::from_millis(3));
    served.stage.grow(false, false, crate::support::NOW);
    let samples = self::samples(&served.get("/metrics").await.body);
    assert_eq!(samples["strait_mempool"], 1.0);
    assert_eq!(samples["strait_commit_seconds_sum"], 0.003);
    let buckets = samples.iter().filter(|(name, _)| name.starts_with("strait_commit_seconds_bucket"));
    assert_eq!(buckets.filter(|(_, count)| **count == 1.0).count(), 8, "from 3.2 ms on");
}

#[tokio::test]
async fn updates_are_counted_on_each_side() {
    let mut pair = Pair::open();
    (0..3).for_each(|_| assert!(pair.pay()));
    assert_eq!(pair.rounds(), [4, 4]);
    let of_side = |side| format!("updates_agreed{{side={}}}", label(side));
    let (proposed, accepted) = (of_side(Side::Proposer), of_side(Side::Acceptor));
    assert_eq!(
        counted(&pair).await,
        expected(&[("flows{flow=update,outcome=agreed}", 6.0), (&proposed, 3.0), (&accepted, 3.0)])
    );
    let served = Served::counting(pair.metrics.clone()).await;
    let samples = samples(&served.get("/metrics").await.body);
    assert_eq!(samples["strait_signing_seconds_count"], 8.0, "of two create and six update requests");
}

#[tokio::test]
async fn what_a_client_declines_is_declined_by_the_peer_on_the_other_side() {
    let mut pair = Pair::open();
    pair.habits = [Habit::Signs, Habit::Declines];
    pair.pay();
    assert_eq!(
        counted(&pair).await,
        expected(&[
            ("flows{flow=update,outcome=declined}", 1.0),
            ("flows{flow=update,outcome=declined_by_peer}", 1.0),
        ])
    );
    pair.habits = [Habit::Declines, Habit::Signs];
    pair.pay();
    let declined = ("flows{flow=update,outcome=declined}".to_owned(), 2.0);
    assert!(counted(&pair).await.contains(&declined), "the responder never heard of this one");
}

#[tokio::test]
async fn a_wait_that_is_over_is_counted_once_until_the_other_side_answers() {
    let mut pair = Pair::open();
    pair.habits = [Habit::Signs, Habit::Waits];
    pair.pay();
    // The initiator gives up first: it withdraws, and the responder answers that.
    pair.wait_out(0);
    assert_eq!(pair.rounds(), [1, 1]);
    let counts = counted(&pair).await;
    let of_updates: f64 = counts.iter().filter(|(name, _)| name.contains("=update")).map(|(_, n)| n).sum();
    assert_eq!(of_updates, 2.0, "one end on each side: {counts:?}");
    assert!(counts.contains(&("flows{flow=update,outcome=timeout}".to_owned(), 2.0)), "{counts:?}");
    pair.habits = [Habit::Signs; 2];
    assert!(pair.pay());
    assert_eq!(pair.rounds(), [2, 2]);
}

#[tokio::test]
async fn a_close_is_agreed_when_the_chain_has_it() {
    let mut pair = Pair::open();
    pair.close();
    assert_eq!(counted(&pair).await, expected(&[]), "both signed, and the chain has to decide");
    (0..4).for_each(|_| pair.mine());
    assert_eq!(counted(&pair).await, expected(&[("flows{flow=shutdown,outcome=agreed}", 2.0)]));
}
