//! Keys and signatures (`docs/protocol/signing` §1): what is signed, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use ed25519_dalek::{Verifier, VerifyingKey};
use strait_encoding::hash::blake2b;
use strait_encoding::{AccountId, NetworkId, SecretKey, Signature, SignedForm, TextError, verify};

const FORMS: [SignedForm; 4] =
    [SignedForm::Plain, SignedForm::Hash, SignedForm::InnerPlain, SignedForm::InnerHash];

const TX: &[u8] = b"the bytes of some transaction";

fn network(name: &str) -> NetworkId {
    NetworkId(name.to_owned())
}

fn key() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

/// Tests 1 and 3 of RFC 8032 §7.1: with an empty network id the message is the transaction alone.
#[test]
fn signatures_are_those_of_the_standard() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = SecretKey::from_seed(array(seed));
        let tx = hex::decode(message).unwrap();
        assert_eq!(hex::encode(key.account()), public);
        let made = key.sign(&network(""), &tx, SignedForm::Plain);
        assert_eq!(hex::encode(made.0), signature);
        assert_eq!(verify(key.account(), &made, &network(""), &tx, &FORMS), Some(SignedForm::Plain));
    }
}

#[test]
fn the_message_is_network_then_mark_then_transaction_or_hash() {
    let hash = blake2b(TX);
    for (form, message) in [
        (SignedForm::Plain, [b"ae_uat", TX].concat()),
        (SignedForm::Hash, [b"ae_uat", &hash[..]].concat()),
        (SignedForm::InnerPlain, [b"ae_uat-inner_tx", TX].concat()),
        (SignedForm::InnerHash, [b"ae_uat-inner_tx", &hash[..]].concat()),
    ] {
        let whole = key().sign(&network(""), &message, SignedForm::Plain);
        assert_eq!(key().sign(&network("ae_uat"), TX, form), whole, "{form:?}");
    }
}

#[test]
fn a_signature_counts_in_its_own_form_and_only_if_that_is_allowed() {
    for form in FORMS {
        let signature = key().sign(&network("ae_uat"), TX, form);
        let check = |forms: &[SignedForm]| verify(key().account(), &signature, &network("ae_uat"), TX, forms);
        assert_eq!(check(&FORMS), Some(form));
        for allowed in FORMS {
            assert_eq!(check(&[allowed]), (allowed == form).then_some(form), "{form:?} where {allowed:?}");
        }
        assert_eq!(check(&[]), None);
    }
}

#[test]
fn nothing_that_is_signed_can_be_changed() {
    for form in FORMS {
        let signature = key().sign(&network("ae_uat"), TX, form);
        let check = |account, signature: &Signature, name, tx: &[u8]| {
            verify(account, signature, &network(name), tx, &FORMS).is_some()
        };
        assert!(check(key().account(), &signature, "ae_uat", TX));
        assert!(!check(key().account(), &signature, "ae_mainnet", TX));
        assert!(!check(key().account(), &signature, "", TX));
        assert!(!check(SecretKey::from_seed([8; 32]).account(), &signature, "ae_uat", TX));
        assert!(!check(key().account(), &signature, "ae_uat", &TX[1..]));
        for bit in 0..64 * 8 {
            let mut tampered = signature;
            tampered.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(key().account(), &tampered, "ae_uat", TX), "bit {bit} of the signature");
        }
        for bit in 0..TX.len() * 8 {
            let mut tampered = TX.to_vec();
            tampered[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(key().account(), &signature, "ae_uat", &tampered), "bit {bit} of the transaction");
        }
    }
}

/// The order of the group, little endian. Adding it to the second half of a signature gives another one that satisfies
/// the equation; only the smaller of the two is canonical.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn a_signature_has_one_form_only() {
    let signature = key().sign(&network("ae_uat"), TX, SignedForm::Plain);
    let mut shifted = signature;
    let mut carry = 0;
    for (byte, order) in shifted.0[32..].iter_mut().zip(hex::decode(ORDER).unwrap()) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(verify(key().account(), &shifted, &network("ae_uat"), TX, &FORMS), None);
}

/// The eight points of small order. For such a key anyone can find a signature that satisfies the equation: with the
/// neutral point and zero it does whenever the hash of the message is a multiple of the key's order.
#[test]
fn small_order_keys_cannot_be_signed_for() {
    let keys = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];
    let mut forged = Signature([0; 64]);
    forged.0[0] = 1;
    let plain = ed25519_dalek::Signature::from_bytes(&forged.0);
    for digits in keys {
        let lenient = VerifyingKey::from_bytes(&array(digits)).unwrap();
        let tx = (0..=255u8).map(|number| vec![number]).find(|tx| lenient.verify(tx, &plain).is_ok());
        let tx = tx.expect("a lenient check is deceived by one of 256 messages");
        assert_eq!(verify(AccountId(array(digits)), &forged, &network(""), &tx, &FORMS), None, "{digits}");
    }
}

#[test]
fn bytes_that_are_no_point_sign_nothing() {
    let signature = key().sign(&network("ae_uat"), TX, SignedForm::Plain);
    let no_point = (0..=255u8).map(|last| [[2; 31].as_slice(), &[last]].concat());
    let no_point: Vec<[u8; 32]> = no_point
        .map(|bytes| bytes.try_into().unwrap())
        .filter(|bytes| VerifyingKey::from_bytes(bytes).is_err())
        .collect();
    assert!(!no_point.is_empty());
    for bytes in no_point {
        assert_eq!(verify(AccountId(bytes), &signature, &network("ae_uat"), TX, &FORMS), None);
    }
}

/// The account that the development chain gives its coins to.
const DEV_SECRET: &str = "sk_2CuofqWZHrABCrM7GY95YSQn8PyFvKQadnvFnpwhjUnDCFAWmf";
const DEV_ACCOUNT: &str = "ak_21A27UVVt3hDkBE5J7rhhqnH5YNb4Y1dqo4PnSybrH85pnWo7E";

#[test]
fn the_development_key_belongs_to_its_account() {
    let key: SecretKey = DEV_SECRET.parse().unwrap();
    assert_eq!(key.account().to_string(), DEV_ACCOUNT);
    assert_eq!(key.expose(), DEV_SECRET);
    assert!(matches!(DEV_ACCOUNT.parse::<SecretKey>(), Err(TextError::WrongPrefix { expected: "sk", .. })));
    let broken = DEV_SECRET.replace("sk_2C", "sk_2D").parse::<SecretKey>();
    assert!(matches!(broken, Err(TextError::Checksum { expected: "sk" })));
}

#[test]
fn debug_shows_the_account_and_not_the_secret() {
    let key: SecretKey = DEV_SECRET.parse().unwrap();
    let shown = format!("{key:?} {key:#?}");
    assert!(shown.contains(DEV_ACCOUNT));
    assert!(!shown.contains(&DEV_SECRET[3..]));
    let seed: [u8; 32] =
        strait_encoding::text::decode_array(strait_encoding::Prefix::SecretKey, DEV_SECRET).unwrap();
    assert!(!shown.contains(&hex::encode(seed)));
    assert!(!shown.contains(&format!("{seed:?}")[1..20]));
}

#[test]
fn signatures_are_written_as_text_and_as_hex() {
    let signature = Signature([[1; 32], [2; 32]].concat().try_into().unwrap());
    let text =
        "sg_8cqJqYPyx9NjiRYf8KyCjBaCmqdgvZJtEkZ7M9Hf7Lnzr7P4Mp65Lm5C1GioeQ7MbKsapSrsFnqyEV1u5H3wV3bxtAnZ";
    assert_eq!(signature.to_string(), text);
    assert_eq!(format!("{signature:?}"), text);
    let json = serde_json::to_string(&signature).unwrap();
    assert_eq!(json, format!("\"{}{}\"", "01".repeat(32), "02".repeat(32)));
    assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
    assert!(serde_json::from_str::<Signature>("\"0102\"").is_err());
}

fn array(digits: &str) -> [u8; 32] {
    hex::decode(digits).unwrap().try_into().unwrap()
}
