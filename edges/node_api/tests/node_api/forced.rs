//! Progress of a channel that was forced on chain: what came of its call.

use serde_json::{Value, json};
use strait_encoding::{ChannelId, Coins, Height, Nonce, Round, hash};
use strait_fate::Value as Fate;
use strait_ledger::{
    ABI_FATE, Chain, ChainView, CtVersion, ForceProgressTx, OffchainEnv, OffchainTx, Payload, Protocol,
    SignedTx, Trees, TreesBytes, Update, apply_updates_at, initial_trees,
};

use crate::contracts::{GAS, GAS_PRICE, code, data, paid_for, paying, value};
use crate::recorded::create;
use crate::support::{Served, account, served, signed};

/// It pays for the trees that the transaction carries.
const FEE: Coins = Coins(2_000_000_000_000_000);

fn next(chain: &Chain, trees: &Trees, round: u64, update: &Update) -> Trees {
    let env = OffchainEnv { reserve: Coins(10), round: Round(round), protocol: Protocol::Ceres };
    let updates = std::slice::from_ref(update);
    apply_updates_at(trees, updates, &env, &chain.pinned(None).unwrap()).unwrap()
}

/// Account 1 makes a tally in round 2, to which both agree.
fn agreed(chain: &Chain) -> Trees {
    let made = Update::NewContract {
        owner: account(1),
        ct_version: CtVersion { vm: 8, abi: ABI_FATE }.pack(),
        code: code("Tally").0,
        deposit: Coins(0),
        call_data: data("Tally", "init 3").0,
    };
    let trees = initial_trees(account(1), account(2), Coins(1000), Coins(500));
    next(chain, &trees, 2, &made)
}

/// Account 1 forces a call as round 3 on top of it, and another account may pay for that; what it led to.
async fn force(served: &Served, channel_id: ChannelId, call: &str, payer: Option<u8>) -> (String, Value) {
    let update = Update::CallContract {
        caller: account(1),
        contract: hash::contract_id(account(1), 2),
        abi_version: ABI_FATE,
        amount: Coins(0),
        gas: GAS,
        gas_price: GAS_PRICE.0,
        call_data: data("Tally", call).0,
        call_stack: Vec::new(),
    };
    let trees = agreed(&served.chain());
    let state_hash = next(&served.chain(), &trees, 3, &update).state_hash();
    let agreed = OffchainTx { channel_id, round: Round(2), state_hash: trees.state_hash() };
    let tx = ForceProgressTx {
        channel_id,
        from_id: account(1),
        payload: Payload(signed(agreed, &[1, 2]).encode()),
        round: Round(3),
        update,
        state_hash,
        // Results of calls are not part of what both agree on next.
        offchain_trees: TreesBytes(trees.encode()),
        ttl: Height(0),
        fee: FEE,
        nonce: Nonce(2),
    };
    let tx = match payer {
        None => signed(tx, &[1]),
        Some(number) => signed(paying(number, 1, paid_for(1, SignedTx::unsigned(tx))), &[number]),
    };
    let hash = served.take(&tx).await;
    served.mine();
    let found = served.ok(&format!("/v3/transactions/{hash}/info")).await;
    assert_eq!(served.ok(&format!("/v3/channels/{channel_id}")).await["round"], 3);
    (hash, found)
}

#[tokio::test]
async fn a_forced_call_shows_how_it_ended() {
    let reason = |text: &str| {
        strait_encoding::text::encode(strait_encoding::text::Prefix::ContractBytes, text.as_bytes())
    };
    for (call, payer, kind, value) in [
        ("count -", None, "ok", value(Fate::Integer(3.into()))),
        ("count -", Some(3), "ok", value(Fate::Integer(3.into()))),
        ("add 0", None, "revert", value(Fate::string("there must be more"))),
        // Both parties signed for such texts in other rounds: here the chain keeps them.
        ("share 0", None, "error", reason("Arithmetic error: division by zero")),
    ] {
        let served = served().await;
        let create = create();
        served.take(&signed(create.clone(), &[1, 2])).await;
        served.mine();
        let (hash, found) = force(&served, create.channel_id(), call, payer).await;
        let gas_used = found["call_info"]["gas_used"].as_u64().unwrap();
        assert!((1..=GAS).contains(&gas_used), "{call}: {gas_used}");
        let call_info = json!({ "call_info": {
            "caller_id": account(1).to_string(), "caller_nonce": 3, "height": 3, "gas_price": GAS_PRICE,
            "contract_id": hash.replace("th_", "ct_"), "gas_used": gas_used, "return_type": kind, "return_value": value,
            "log": [],
        } });
        assert_eq!(found, call_info, "{call}");
    }
}
