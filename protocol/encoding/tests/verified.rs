//! What a process that remembers its verifications says of signatures; in a program of its own, because remembering is the process's.

use strait_encoding::{NetworkId, SecretKey, Signature, SignedForm, remember_verified, verify};

const FORMS: [SignedForm; 2] = [SignedForm::Hash, SignedForm::Plain];

#[test]
fn a_success_is_remembered_and_nothing_else_changes() {
    remember_verified();
    let network = NetworkId("ae_dev".to_owned());
    let (key, other) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
    // More than are remembered, so that some take the place of others.
    for number in 0..3_000u32 {
        let tx = number.to_be_bytes();
        let form = FORMS[number as usize % 2];
        let signature = key.sign(&network, &tx, form);
        let mut altered = signature;
        altered.0[number as usize % 64] ^= 1;
        let check = |signature: &Signature, tx: &[u8]| verify(key.account(), signature, &network, tx, &FORMS);
        for _ in 0..2 {
            assert_eq!(check(&altered, &tx), None, "an altered signature, {number}");
            assert_eq!(check(&signature, &tx), Some(form), "{number}");
            assert_eq!(check(&signature, b"another transaction"), None);
        }
        assert_eq!(verify(other.account(), &signature, &network, &tx, &FORMS), None);
        assert_eq!(verify(key.account(), &signature, &NetworkId("ae_uat".to_owned()), &tx, &FORMS), None);
        assert_eq!(verify(key.account(), &signature, &network, &tx, &[form]), Some(form));
        if number >= 100 {
            continue;
        }
        let [allowed, denied] = if form == FORMS[0] { FORMS } else { [FORMS[1], FORMS[0]] };
        assert_eq!(verify(key.account(), &signature, &network, &tx, &[allowed]), Some(allowed));
        assert_eq!(verify(key.account(), &signature, &network, &tx, &[denied]), None);
    }
}
