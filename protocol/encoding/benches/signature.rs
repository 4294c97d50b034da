//! What signing and strict verification of a transaction cost.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use strait_encoding::{NetworkId, SecretKey, SignedForm, verify};

/// As many bytes as an off-chain transaction of one update has.
const TX: [u8; 76] = [0x39; 76];

const FORMS: [SignedForm; 2] = [SignedForm::Plain, SignedForm::Hash];

fn signatures(c: &mut Criterion) {
    let network = NetworkId("ae_mainnet".to_owned());
    let key = SecretKey::from_seed([7; 32]);
    let account = key.account();
    for form in FORMS {
        c.bench_function(&format!("sign, {form:?}"), |b| {
            b.iter(|| key.sign(&network, black_box(&TX), form));
        });
        let signature = key.sign(&network, &TX, form);
        assert_eq!(verify(account, &signature, &network, &TX, &FORMS), Some(form));
        // The plain form is tried first, so a signature over the hash costs two verifications.
        c.bench_function(&format!("verify strictly, {form:?}"), |b| {
            b.iter(|| verify(account, black_box(&signature), &network, black_box(&TX), &FORMS));
        });
    }
}

criterion_group!(benches, signatures);
criterion_main!(benches);
