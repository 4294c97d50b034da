//! Known answers: `worked_examples.json`, objects and ids as the reference prints them (`node_objects.out`), and the
//! short answers of `docs/protocol/test_vectors` §3.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use strait_encoding::hash::{
    auth_id, blake2b, blake2b_of, call_id, channel_id, channel_id_of_generalized, contract_id,
};
use strait_encoding::rlp::{Fields, Item, List, split, tag_of};
use strait_encoding::text::{decode, encode};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Id, Nonce, Prefix, StateHash};

const A: AccountId = AccountId([1; 32]);
const B: AccountId = AccountId([2; 32]);

#[test]
fn rlp_of_the_worked_examples() {
    let item = |write: fn(List) -> List| {
        // The one item of a list, without the list's own header.
        let list = write(List::new()).finish();
        let Item::List(payload) = split(&list).unwrap().0 else { panic!("a list was written") };
        payload.to_vec()
    };
    let examples = worked_examples();
    let cases = examples["rlp"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let ours = match case[0].as_str().unwrap().trim_matches('\'') {
            "int 0" => item(|list| list.uint(0)),
            "int 127" => item(|list| list.uint(127)),
            "int 128" => item(|list| list.uint(128)),
            "int 256" => item(|list| list.uint(256)),
            "empty bytes" => item(|list| list.bytes(&[])),
            "empty list" => List::new().finish(),
            "55 bytes 0xaa" => item(|list| list.bytes(&[0xaa; 55])),
            "56 bytes 0xaa" => item(|list| list.bytes(&[0xaa; 56])),
            "list [1,[2,3]]" => List::new().uint(1).list(List::new().uint(2).uint(3)).finish(),
            other => panic!("unknown case {other}"),
        };
        assert_eq!(hex::encode(ours), case[1], "{}", case[0]);
    }
}

#[test]
fn texts_of_the_worked_examples_in_both_directions() {
    let examples = worked_examples();
    let cases = examples["api"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let prefix = *Prefix::ALL.iter().find(|prefix| prefix.as_str() == case[0]).unwrap();
        let body = bytes(&case[1]);
        assert_eq!(encode(prefix, &body), case[2]);
        assert_eq!(decode(prefix, case[2].as_str().unwrap()), Ok(body));
    }
    for case in examples["state_hash"].as_array().unwrap() {
        assert_eq!(StateHash(array(&case["state_hash"])).to_string(), case["api"]);
    }
}

#[test]
fn transactions_of_the_worked_examples() {
    let examples = worked_examples();
    let cases = examples["txs_with_default_fee"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let tx = decode(Prefix::Transaction, case["unsigned"].as_str().unwrap()).unwrap();
        assert_eq!(tx.len() as u64, case["size"]);
        // An unsigned transaction travels as a signed one without signatures.
        let wrapped = List::object(11, 1).list(List::new()).bytes(&tx).finish();
        assert_eq!(encode(Prefix::Transaction, &wrapped), case["wrapped_unsigned"]);
        assert_eq!(tag_of(&wrapped), Ok(11));
        let mut fields = Fields::of_version(&wrapped, 11, 1).unwrap();
        assert!(fields.list().unwrap().is_empty());
        assert_eq!(fields.bytes(), Ok(&tx[..]));
        assert_eq!(fields.end(), Ok(()));
    }
}

#[test]
fn blake2b_of_a_known_text() {
    let digest = "93a0e84a8cdd4166267dbe1263e937f08087723ac24e7dcc35b3d5941775ef47";
    assert_eq!(hex::encode(blake2b(b"foobar")), digest);
    assert_eq!(hex::encode(blake2b_of(&[b"foo", b"", b"bar"])), digest);
}

#[test]
fn ids_of_the_worked_examples() {
    let examples = worked_examples();
    for case in examples["channel_id"].as_array().unwrap() {
        let nonce = Nonce(case["nonce"].as_u64().unwrap());
        let id =
            channel_id(AccountId(array(&case["initiator"])), nonce, AccountId(array(&case["responder"])));
        assert_eq!(hex::encode(id), case["id"]);
        assert_eq!(id.to_string(), case["api"]);
        assert_eq!(case["api"].as_str().unwrap().parse(), Ok(id));
    }
    let case = &examples["channel_id_ga"];
    let initiator = AccountId(array(&case["initiator"]));
    let auth = auth_id(initiator, &bytes(&case["auth_data"]));
    assert_eq!(hex::encode(auth), case["auth_id"]);
    let id = channel_id_of_generalized(initiator, auth, AccountId(array(&case["responder"])));
    assert_eq!(hex::encode(id), case["id"]);
    for case in examples["contract_id"].as_array().unwrap() {
        let id = contract_id(AccountId(array(&case["owner"])), case["nonce_or_round"].as_u64().unwrap());
        assert_eq!(hex::encode(id), case["id"]);
    }
    for case in examples["call_id"].as_array().unwrap() {
        let contract = ContractId(array(&case["contract"]));
        let id =
            call_id(AccountId(array(&case["caller"])), case["nonce_or_round"].as_u64().unwrap(), contract);
        assert_eq!(hex::encode(id), case["id"]);
        assert_eq!(hex::encode(contract) + &hex::encode(id), case["offchain_tree_key"]);
    }
}

#[test]
fn ids_of_the_reference() {
    assert_eq!(channel_id(A, Nonce(1), B).as_ref(), object("channel_id_1"));
    assert_eq!(channel_id(A, Nonce(300), B).as_ref(), object("channel_id_300"));
    assert_eq!(contract_id(A, 0).as_ref(), object("contract_id_0"));
    assert_eq!(contract_id(A, 2).as_ref(), object("contract_id_2"));
    assert_eq!(contract_id(A, 300).as_ref(), object("contract_id_300"));
    assert_eq!(call_id(A, 3, ContractId([8; 32])).to_vec(), object("call_id"));
    let auth = auth_id(A, b"abc");
    assert_eq!(auth.to_vec(), object("auth_id"));
    assert_eq!(channel_id_of_generalized(A, auth, B).as_ref(), object("channel_id_ga"));
}

/// Every byte length of a counter: the contract id takes the minimal form, the other two always 32 bytes.
#[test]
fn counters_are_minimal_in_contract_ids_and_padded_elsewhere() {
    for bits in 0..64 {
        for counter in [1 << bits, u64::MAX >> bits] {
            let bytes = counter.to_be_bytes();
            let first = bytes.iter().position(|byte| *byte != 0).unwrap();
            let padded = [&[0; 24][..], &bytes].concat();
            assert_eq!(contract_id(A, counter).0, blake2b(&[&[1; 32], &bytes[first..]].concat()));
            assert_eq!(
                channel_id(A, Nonce(counter), B).0,
                blake2b(&[&[1; 32], &padded[..], &[2; 32]].concat())
            );
            assert_eq!(
                call_id(A, counter, ContractId([2; 32])),
                blake2b(&[&[1; 32], &padded[..], &[2; 32]].concat())
            );
        }
    }
}

#[test]
fn a_create_transaction_of_the_reference_field_by_field() {
    let tx = object("create2");
    let (version, mut fields) = Fields::of_object(&tx, 50).unwrap();
    assert_eq!(version, 2);
    assert_eq!(fields.account(), Ok(A));
    assert_eq!(fields.coins(), Ok(Coins(70_000_000_000_000_000)));
    assert_eq!(fields.account(), Ok(B));
    assert_eq!(fields.coins(), Ok(Coins(40_000_000_000_000_000)));
    assert_eq!(fields.coins(), Ok(Coins(2)));
    assert_eq!(fields.uint(), Ok(10));
    assert_eq!(fields.height(), Ok(Height(0)));
    assert_eq!(fields.coins(), Ok(Coins(17_680_000_000_000)));
    assert_eq!(fields.accounts(), Ok(vec![]));
    assert_eq!(fields.accounts(), Ok(vec![]));
    assert_eq!(fields.state_hash(), Ok(StateHash([7; 32])));
    assert_eq!(fields.nonce(), Ok(Nonce(1)));
    assert_eq!(fields.end(), Ok(()));
    let ours = List::object(50, 2)
        .id(A)
        .coins(Coins(70_000_000_000_000_000))
        .id(B)
        .coins(Coins(40_000_000_000_000_000))
        .uint(2)
        .uint(10)
        .uint(0)
        .uint128(17_680_000_000_000)
        .ids::<Id>([])
        .ids::<Id>([])
        .bytes(&[7; 32])
        .uint(1);
    assert_eq!(ours.finish(), tx);
}

#[test]
fn a_call_object_of_the_reference_field_by_field() {
    let call = object("call_v2");
    let mut fields = Fields::of_version(&call, 41, 2).unwrap();
    assert_eq!(fields.id(), Ok(Id::Account(A)));
    assert_eq!((fields.nonce(), fields.height()), (Ok(Nonce(3)), Ok(Height(100))));
    assert_eq!(fields.contract(), Ok(ContractId([8; 32])));
    assert_eq!((fields.coins(), fields.uint()), (Ok(Coins(1)), Ok(0)));
    // The reference writes an empty return value as bytes and the type 0 as an integer.
    assert_eq!((fields.bytes(), fields.uint()), (Ok(&[][..]), Ok(0)));
    assert!(fields.list().unwrap().is_empty());
    assert_eq!(fields.end(), Ok(()));
    let ours = List::object(41, 2).id(A).uint(3).uint(100).id(ContractId([8; 32])).uint(1).uint(0);
    assert_eq!(ours.bytes(&[]).uint(0).list(List::new()).finish(), call);
}

#[test]
fn ids_carry_their_kind_in_front() {
    let ids = [
        (1, Id::Account(A)),
        (2, Id::Name([1; 32])),
        (3, Id::Commitment([1; 32])),
        (4, Id::Oracle([1; 32])),
        (5, Id::Contract(ContractId([1; 32]))),
        (6, Id::Channel(ChannelId([1; 32]))),
    ];
    for (tag, id) in ids {
        let bytes = [&[tag][..], &[1; 32]].concat();
        assert_eq!(id.to_bytes().to_vec(), bytes);
        assert_eq!(Id::from_bytes(&bytes), Ok(id));
    }
    for tag in [0, 7, 255] {
        assert!(Id::from_bytes(&[&[tag][..], &[1; 32]].concat()).is_err());
    }
    for size in [0, 1, 32, 34] {
        assert!(Id::from_bytes(&vec![1; size]).is_err(), "{size}");
    }
}

fn worked_examples() -> Value {
    serde_json::from_str(include_str!("vectors/worked_examples.json")).unwrap()
}

fn object(name: &str) -> Vec<u8> {
    let lines = include_str!("vectors/node_objects.out").lines();
    let digits = lines.filter_map(|line| line.strip_prefix(&format!("obj\t{name}\t"))).next();
    hex::decode(digits.unwrap()).unwrap()
}

fn bytes(digits: &Value) -> Vec<u8> {
    hex::decode(digits.as_str().unwrap()).unwrap()
}

fn array(digits: &Value) -> [u8; 32] {
    bytes(digits).try_into().unwrap()
}
