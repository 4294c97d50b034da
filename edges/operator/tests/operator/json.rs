//! What the paths give.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strait_operator::{InspectError, Operated, channel_table, log_lines};

use crate::support::{NOW, Served};

const SIDES: usize = 120;

fn keys(list: &Value) -> Vec<&str> {
    list["order"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_side_is_shown_with_everything_that_is_known_of_it() {
    let served = Served::new(SIDES).await;
    let standing = served.stage.standings()[6];
    let side = served.json(&format!("/api/channels/{}", standing.key)).await;
    let [initiator, responder] = standing.balances.unwrap();
    assert_eq!(
        side,
        json!({
            "key": standing.key.to_string(),
            "id": standing.id.unwrap().to_string(),
            "role": "initiator",
            "initiator": standing.initiator.unwrap().to_string(),
            "responder": standing.responder.to_string(),
            "place": "open",
            "doing": "deposit",
            "round": 188,
            "balances": [initiator.to_string(), responder.to_string()],
            "reserve": "50000000000000000000",
            "depth": { "seen": 112, "needed": 18, "reached": 8 },
            "lock": null,
            "client": true,
            "peer": true,
            "since": NOW - 6 * 61_000,
            "heard": NOW,
            "rate": 0.0,
        })
    );
    let closing = served.json(&format!("/api/channels/{}", served.stage.key(3))).await;
    assert_eq!(closing["lock"], json!({ "until": 153, "period": 60, "top": 120, "left": 33 }));
    let unnamed = served.json(&format!("/api/channels/{}", served.stage.key(1))).await;
    assert_eq!([&unnamed["id"], &unnamed["initiator"], &unnamed["balances"]], [&Value::Null; 3]);
}

#[tokio::test]
async fn a_channel_is_found_by_its_id_and_an_unknown_one_is_not() {
    let served = Served::new(SIDES).await;
    let standing = served.stage.standings()[8];
    let id = standing.id.unwrap();
    let found = served.json(&format!("/api/channels/{id}")).await;
    assert_eq!(found["key"], standing.key.to_string());
    assert_eq!(served.json(&format!("/api/channels/{id}?role=initiator")).await, found);
    assert_eq!(served.get(&format!("/api/channels/{id}?role=responder")).await.status, 404);
    for (path, status, named) in [
        (format!("/api/channels/{}", "ab".repeat(32)), 404, "channel"),
        (format!("/api/channels/{}/log", "ab".repeat(32)), 404, "channel"),
        ("/api/channels/ch_broken".to_owned(), 400, "channel"),
        (format!("/api/channels/{id}?role=both"), 400, "role"),
        ("/api/channels?limit=501".to_owned(), 400, "limit"),
        ("/api/channels?place=far".to_owned(), 400, "place"),
        ("/api/channels?sort=up".to_owned(), 400, "sort"),
        (format!("/api/channels?find={}", "x".repeat(81)), 400, "find"),
        (format!("/api/channels/{id}/log?newest=-1"), 400, "newest"),
        ("/api/live?open=me".to_owned(), 400, "open"),
        ("/api/updates?span=year".to_owned(), 400, "span"),
        ("/api/nothing".to_owned(), 404, "path"),
        ("/api/chain/fork".to_owned(), 405, "POST"),
    ] {
        let reply = served.get(&path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(reply.reason().contains(named), "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_list_is_chosen_sorted_and_cut_into_pages() {
    let served = Served::new(SIDES).await;
    let all = served.json("/api/channels?limit=500").await;
    assert_eq!([&all["count"], &all["matching"], &all["offset"]], [120, 120, 0]);
    assert_eq!(all["places"], json!({ "opening": 6, "open": 105, "closing": 6, "closed": 3 }));
    let newest: Vec<_> = (0..SIDES).map(|number| served.stage.key(number).to_string()).collect();
    assert_eq!(keys(&all), newest);

    let page = served.json("/api/channels?offset=100&limit=50").await;
    assert_eq!(keys(&page), newest[100..]);
    assert!(served.json("/api/channels?offset=999999").await["order"].as_array().unwrap().is_empty());
    let closing = served.json("/api/channels?place=closing").await;
    assert_eq!((keys(&closing).len(), &closing["matching"]), (6, &json!(6)));
    assert!(closing["channels"].as_array().unwrap().iter().all(|side| side["place"] == "closing"));

    let rounds = served.json("/api/channels?sort=round&limit=500").await;
    let rounds: Vec<_> =
        rounds["channels"].as_array().unwrap().iter().map(|side| side["round"].as_u64().unwrap()).collect();
    assert!(rounds.is_sorted_by(|a, b| a >= b) && rounds[0] > rounds[119], "{rounds:?}");
    let attention = served.json("/api/channels?sort=attention&limit=12").await;
    let first = attention["channels"].as_array().unwrap();
    assert!(first[..6].iter().all(|side| side["lock"].is_object()));
    assert!(first[6..].iter().all(|side| side["depth"].is_object()));

    let account = served.stage.standings()[17].responder.to_string();
    let found = served.json(&format!("/api/channels?find={}", &account[..30].to_uppercase())).await;
    assert_eq!(keys(&found), [newest[17].as_str()]);
}

#[tokio::test]
async fn a_log_shows_the_newest_first_with_decoded_transactions() {
    let served = Served::new(SIDES).await;
    let key = served.stage.key(8);
    let log = served.json(&format!("/api/channels/{key}/log?newest=4")).await;
    let entries = log["entries"].as_array().unwrap();
    let said: Vec<_> =
        entries.iter().map(|entry| (&entry["number"], &entry["way"], &entry["name"])).collect();
    assert_eq!(
        json!(said),
        json!([
            [6, "to_client", "channels.update"],
            [5, "from_peer", "UpdateAck"],
            [4, "to_peer", "Update"],
            [3, "from_client", "channels.update"],
        ])
    );
    let standing = served.stage.standings()[8];
    let tx = &entries[0]["tx"];
    assert_eq!([&tx["type"], &tx["signatures"]], [&json!("ChannelOffchainTx"), &json!(2)]);
    assert_eq!(tx["tx"]["round"], standing.round.to_string());
    assert_eq!(tx["tx"]["channel_id"], standing.id.unwrap().to_string());
    let update = &entries[2]["updates"][0];
    assert_eq!(update["op"], "OffChainTransfer");
    assert!(update["amount"].as_str().unwrap().parse::<u128>().unwrap() > 0);
    let gist = |entry: &Value| entry["gist"].as_str().unwrap().to_owned();
    assert_eq!(gist(&entries[0]), format!("round {}", standing.round));
    assert_eq!(gist(&entries[3]), format!("signed, round {}", standing.round));
    assert!(gist(&entries[2]).contains(" → ak_"), "{}", gist(&entries[2]));
}

#[tokio::test]
async fn a_reader_gets_what_changed_since_its_mark() {
    let served = Served::new(SIDES).await;
    let open = served.stage.key(8);
    let ask =
        |since: &str, log: u64| format!("/api/live?limit=30&offset=0&since={since}&open={open}&log={log}");
    let first = served.json(&ask("", 0)).await;
    assert_eq!(first["channels"].as_array().unwrap().len(), 30);
    assert_eq!(first["chain"]["top"]["height"], 120);
    assert_eq!(first["open"]["entries"].as_array().unwrap().len(), 6);
    let mark = first["mark"].as_str().unwrap();

    let second = served.json(&ask(mark, 6)).await;
    assert_eq!([&second["channels"], &second["open"]["entries"]], [&json!([]), &json!([])]);
    assert_eq!([&second["chain"], &second["mark"]], [&Value::Null, &first["mark"]]);
    assert_eq!(second["order"], first["order"]);

    served.stage.play(20, NOW + 1000);
    served.stage.grow(false, true, NOW + 1000);
    let third = served.json(&ask(mark, 6)).await;
    let before: BTreeSet<_> = first["channels"].as_array().unwrap().iter().map(Value::to_string).collect();
    let fresh = third["channels"].as_array().unwrap();
    assert!(!fresh.is_empty() && fresh.iter().all(|side| !before.contains(&side.to_string())));
    assert_eq!(third["chain"]["top"]["height"], 121);

    let moved = served.json(&format!("{}&rows=", ask(third["mark"].as_str().unwrap(), 6))).await;
    assert_eq!(moved["channels"].as_array().unwrap().len(), 30, "rows that come into view are told again");
    assert_eq!(moved["chain"], Value::Null);
    let stranger = served.json(&ask("1.5", 0)).await;
    assert_eq!(stranger["channels"].as_array().unwrap().len(), 30, "the mark of another run");
}

#[tokio::test]
async fn an_answer_to_the_page_is_bounded_whatever_happens() {
    let served = Served::new(2000).await;
    served.stage.play(20_000, NOW + 1000);
    (0..200).for_each(|_| served.stage.grow(false, false, NOW + 1000));
    let reply = served.get(&format!("/api/live?limit=500&open={}", served.stage.key(0))).await;
    let live = reply.json();
    assert_eq!(live["channels"].as_array().unwrap().len(), 500);
    assert_eq!(live["open"]["entries"].as_array().unwrap().len(), 60);
    assert_eq!(live["chain"]["pending"]["count"], 201 - 1);
    assert_eq!(live["chain"]["pending"]["txs"].as_array().unwrap().len(), 50);
    assert!(reply.body.len() < 600_000, "{} bytes", reply.body.len());
    // What the page asks for on a large screen.
    let page = served.get("/api/live?limit=45").await.body.len();
    assert!(page < 120_000, "{page} bytes");
}

#[tokio::test]
async fn the_chain_is_shown_and_forked() {
    let served = Served::new(2).await;
    served.stage.grow(true, false, NOW + 1000);
    let chain = served.json("/api/chain").await;
    assert_eq!([&chain["network"], &chain["can_fork"]], [&json!("ae_dev"), &json!(true)]);
    let (micro, key) = (&chain["blocks"][0], &chain["blocks"][1]);
    assert_eq!(
        [&micro["kind"], &micro["tx_count"], &key["kind"]],
        [&json!("micro"), &json!(1), &json!("key")]
    );
    assert_eq!(micro["txs"][0]["tx"]["type"], "SpendTx");
    assert_eq!(micro["txs"][0]["tx"]["fee"], "20000000000000");
    assert!(key["hash"].as_str().unwrap().starts_with("kh_"));

    let json_type = "application/json";
    let forked = served.post("/api/chain/fork", json_type, "", "{\"depth\": 2}").await;
    assert_eq!(forked.status, 200, "{}", forked.body);
    assert_eq!(forked.json()["top"]["height"], 121);
    let after = served.json("/api/chain").await;
    assert_eq!(after["top"], forked.json()["top"]);
    assert_ne!(after["blocks"][0]["hash"], micro["hash"]);

    for (media_type, more, body, status) in [
        (json_type, "", "{\"depth\": 0}", 400),
        (json_type, "", "{\"depth\": -1}", 400),
        (json_type, "", "{\"depth\": 100000}", 400),
        (json_type, "", "{\"deep\": 1}", 400),
        (json_type, "", "no json", 400),
        (json_type, "", "", 400),
        (json_type, "", &format!("{{\"depth\": 1, \"why\": \"{}\"}}", "x".repeat(2000)), 413),
        ("text/plain", "", "{\"depth\": 1}", 415),
        (json_type, "Origin: http://evil.example\r\n", "{\"depth\": 1}", 403),
        (json_type, "Sec-Fetch-Site: cross-site\r\n", "{\"depth\": 1}", 403),
    ] {
        let reply = served.post("/api/chain/fork", media_type, more, body).await;
        assert_eq!(reply.status, status, "{media_type} {more}{body}: {}", reply.body);
        assert!(!reply.reason().is_empty());
    }
    assert_eq!(served.json("/api/chain").await["top"], after["top"], "nothing of that changed the chain");
    assert_eq!(served.post("/api/channels", json_type, "", "{}").await.status, 405);
}

#[tokio::test]
async fn the_command_line_reads_the_same() {
    let served = Served::new(SIDES).await;
    let inspection = served.inspection(None);
    let standing = served.stage.standings()[8];
    let id = standing.id.unwrap().to_string();
    let list = inspection.list(&id).await.unwrap();
    let table = channel_table(&list);
    assert_eq!(table.lines().count(), 2);
    assert!(table.contains(&standing.key.to_string()) && table.contains(&id[..13]));
    assert_eq!(inspection.show(&id).await.unwrap(), list["channels"][0]);
    let lines = log_lines(&inspection.log(&id, 2).await.unwrap());
    let ends: Vec<_> = lines.lines().map(|line| line.contains("UpdateAck")).collect();
    assert_eq!(ends, [true, false], "{lines}");

    let refused = inspection.show("ch_nobody").await.unwrap_err();
    assert!(matches!(refused, InspectError::Refused { status: 400, .. }), "{refused}");
    drop(served);
}
