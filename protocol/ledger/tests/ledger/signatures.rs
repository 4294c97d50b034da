//! Who signed what: the node's verdicts (`vectors/node_objects.out`), and evidence that is carried on.

use strait_encoding::{NetworkId, SignedForm};
use strait_ledger::{SignatureCheck, SignedTx, Tx};

use crate::support::{account, create, key, network, signed, spend};

/// `tx` signed by these keys in these forms.
fn with_forms(tx: impl Into<Tx>, signatures: &[(u8, SignedForm)]) -> SignedTx {
    let tx = SignedTx::unsigned(tx);
    let bytes = tx.unsigned_bytes().to_vec();
    let sign = |number: u8, form| key(number).sign(&network(), &bytes, form);
    signatures.iter().fold(tx, |tx, (number, form)| tx.with_signature(sign(*number, *form)))
}

#[test]
fn the_verdicts_are_the_nodes() {
    use SignedForm::{Hash, Plain};
    let spend = |signatures: &[_]| (with_forms(spend(1, 2, 1, 1), signatures), vec![account(1)]);
    let create = |signatures: &[_]| (with_forms(create(1), signatures), vec![account(1), account(2)]);
    let cases = [
        ("sig_plain_p6", spend(&[(1, Plain)])),
        ("sig_hash_p6", spend(&[(1, Hash)])),
        ("sig_wrong_key", spend(&[(2, Plain)])),
        ("sig_leftover", spend(&[(1, Plain), (2, Plain)])),
        ("sig_dup_both_forms", spend(&[(1, Plain), (1, Hash)])),
        ("sig_none", spend(&[])),
        ("sig_create_mixed", create(&[(1, Plain), (2, Hash)])),
        ("sig_create_mixed_rev", create(&[(1, Hash), (2, Plain)])),
        ("sig_create_half", create(&[(1, Plain)])),
    ];
    for (name, (tx, signers)) in cases {
        let line = include_str!("../vectors/node_objects.out").lines().find_map(|line| {
            let (found, verdict) = line.strip_prefix("val\t")?.split_once('\t')?;
            (found == name).then_some(verdict)
        });
        let verdict = match tx.verify(&network(), &signers) {
            Ok(_) => "ok",
            Err(_) => "{error,signature_check_failed}",
        };
        assert_eq!(Some(verdict), line, "{name}");
    }
}

#[test]
fn the_order_of_signing_does_not_matter() {
    let one = signed(create(1), &[1, 2]);
    let other = signed(create(1), &[2, 1]);
    assert_eq!(one, other);
    assert_eq!(one.hash(), other.hash());
    assert_eq!(SignedTx::decode(&one.encode()), Ok(one.clone()));
    assert!(one.signatures().is_sorted());
}

#[test]
fn signatures_that_come_unsorted_are_sorted() {
    let tx = signed(create(1), &[1, 2]);
    let reversed = strait_encoding::rlp::List::object(11, 1)
        .all_bytes(tx.signatures().iter().rev().map(|signature| &signature.0[..]))
        .bytes(tx.unsigned_bytes())
        .finish();
    assert_ne!(reversed, tx.encode());
    assert_eq!(SignedTx::decode(&reversed), Ok(tx));
}

#[test]
fn another_network_is_another_signature() {
    let tx = signed(spend(1, 2, 1, 1), &[1]);
    let other = NetworkId("ae_uat".to_owned());
    assert_eq!(tx.verify(&other, &[account(1)]), Err(SignatureCheck::Missing(account(1))));
}

#[test]
fn evidence_of_one_signature_saves_verifying_it_again() {
    let half = signed(create(1), &[1]);
    let evidence = half.verify(&network(), &[account(1)]).unwrap();
    let full = signed(create(1), &[1, 2]);
    let both = [account(1), account(2)];
    assert_eq!(full.verify_more(&network(), Some((&half, &evidence)), &both).unwrap().signers(), both);
}

#[test]
fn evidence_does_not_replace_a_signature() {
    let half = signed(create(1), &[1]);
    let evidence = half.verify(&network(), &[account(1)]).unwrap();
    let known = Some((&half, &evidence));
    let both = [account(1), account(2)];
    let missing = Err(SignatureCheck::Missing(account(2)));
    assert_eq!(half.verify_more(&network(), known, &both), missing);
    assert_eq!(signed(create(1), &[1, 3]).verify_more(&network(), known, &both), missing);
    // Twice the same signer takes two signatures.
    let twice = [account(1), account(1)];
    assert_eq!(half.verify_more(&network(), known, &twice), Err(SignatureCheck::Missing(account(1))));
}

#[test]
fn evidence_of_somebody_unexpected_leaves_his_signature_over() {
    let foreign = signed(create(1), &[3]);
    let evidence = foreign.verify(&network(), &[account(3)]).unwrap();
    let three = signed(create(1), &[1, 2, 3]);
    let both = [account(1), account(2)];
    let found = three.verify_more(&network(), Some((&foreign, &evidence)), &both);
    assert_eq!(found, Err(SignatureCheck::LeftOver(1)));
}
