//! RLP: what is written, what is read beyond that, and what is refused (`docs/protocol/encodings` §3).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use strait_encoding::rlp::{DecodeError, Fields, Item, List, split, tag_of};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, Height, Id, Nonce, Round, StateHash};

/// The fields of a list with this payload, at most 55 bytes.
fn fields(payload: &[u8]) -> Vec<u8> {
    [&[0xc0 + u8::try_from(payload.len()).unwrap()], payload].concat()
}

/// The only field of `list`, read as `field` says.
fn read<'a, T>(
    list: &'a [u8],
    field: impl Fn(&mut Fields<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut fields = Fields::of_list(list)?;
    let value = field(&mut fields)?;
    fields.end()?;
    Ok(value)
}

#[test]
fn integers_are_minimal_and_zero_is_one_byte() {
    for (number, bytes) in [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8180"),
        (255, "81ff"),
        (256, "820100"),
        (65_535, "82ffff"),
        (65_536, "83010000"),
        (u128::from(u64::MAX), "88ffffffffffffffff"),
        (1 << 64, "89010000000000000000"),
        (u128::MAX, "90ffffffffffffffffffffffffffffffff"),
    ] {
        let payload = hex::decode(bytes).unwrap();
        assert_eq!(List::new().uint128(number).finish(), fields(&payload), "{number}");
        assert_eq!(read(&fields(&payload), Fields::uint128), Ok(number));
        assert_eq!(read(&fields(&payload), Fields::coins), Ok(Coins(number)));
        assert_eq!(List::new().coins(Coins(number)).finish(), fields(&payload), "{number}");
        match u64::try_from(number) {
            Ok(small) => {
                assert_eq!(List::new().uint(small).finish(), fields(&payload), "{number}");
                assert_eq!(read(&fields(&payload), Fields::uint), Ok(small));
                assert_eq!(read(&fields(&payload), Fields::height), Ok(Height(small)));
                assert_eq!(read(&fields(&payload), Fields::round), Ok(Round(small)));
                assert_eq!(read(&fields(&payload), Fields::nonce), Ok(Nonce(small)));
            }
            Err(_) => {
                assert_eq!(read(&fields(&payload), Fields::uint), Err(DecodeError::TooLarge(64)));
                assert_eq!(read(&fields(&payload), Fields::height), Err(DecodeError::TooLarge(64)));
            }
        }
    }
}

#[test]
fn integers_that_nobody_writes() {
    assert_eq!(read(&fields(&[0x80]), Fields::uint128), Ok(0), "the empty string reads as zero");
    assert_eq!(read(&fields(&[0x82, 0x00, 0x01]), Fields::uint128), Err(DecodeError::LeadingZero));
    assert_eq!(read(&fields(&[0x82, 0x00, 0x00]), Fields::uint), Err(DecodeError::LeadingZero));
    assert_eq!(
        read(&fields(&[&[0x91, 0x01][..], &[0; 16]].concat()), Fields::uint128),
        Err(DecodeError::TooLarge(128))
    );
    assert_eq!(
        read(&fields(&[&[0x91, 0x00][..], &[1; 16]].concat()), Fields::uint128),
        Err(DecodeError::LeadingZero)
    );
    assert!(matches!(read(&fields(&[0xc0]), Fields::uint128), Err(DecodeError::Kind(_))));
}

#[test]
fn headers_grow_with_the_size() {
    for (size, bytes_header, list_header) in [
        (55, "b7", "f7"),
        (56, "b838", "f838"),
        (255, "b8ff", "f8ff"),
        (256, "b90100", "f90100"),
        (65_535, "b9ffff", "f9ffff"),
        (65_536, "ba010000", "fa010000"),
    ] {
        let content = vec![0x05; size];
        let string = [hex::decode(bytes_header).unwrap(), content.clone()].concat();
        let list = [hex::decode(list_header).unwrap(), content.clone()].concat();
        assert_eq!(split(&string), Ok((Item::Bytes(&content), &[][..])), "{size}");
        assert_eq!(split(&list), Ok((Item::List(&content), &[][..])), "{size}");
        assert_eq!(
            content.iter().fold(List::new(), |list, byte| list.bytes(&[*byte])).finish(),
            list,
            "{size}"
        );
        let written = List::new().bytes(&content).finish();
        assert!(written.ends_with(&string), "{size}");
        assert_eq!(Fields::of_list(&written).unwrap().bytes(), Ok(&content[..]));
    }
}

#[test]
fn non_minimal_strings_are_read() {
    assert_eq!(read(&fields(&[0x81, 0x05]), Fields::bytes), Ok(&[5][..]));
    assert_eq!(read(&fields(&[0xb8, 0x01, 0x05]), Fields::bytes), Ok(&[5][..]));
    assert_eq!(read(&fields(&[0x81, 0x05]), Fields::uint), Ok(5));
    assert_eq!(read(&fields(&[0x81, 0x00]), Fields::uint), Ok(0));
    let mut long = Fields::of_list(&[0xf8, 0x01, 0x05]).unwrap();
    assert_eq!(long.uint(), Ok(5));
    let mut longer = Fields::of_list(&[0xf9, 0x01, 0x00]).unwrap_err();
    assert_eq!(longer, DecodeError::Truncated);
    longer = Fields::of_list(&[0xf8, 0x00]).unwrap_err();
    assert_eq!(longer, DecodeError::Length);
}

#[test]
fn malformed_items_are_refused() {
    for (bytes, error) in [
        (&[][..], DecodeError::Truncated),
        (&[0x81], DecodeError::Truncated),
        (&[0x83, 1, 2], DecodeError::Truncated),
        (&[0xb8], DecodeError::Truncated),
        (&[0xb8, 0x38, 1], DecodeError::Truncated),
        (&[0xc2, 1], DecodeError::Truncated),
        (&[0xb8, 0x00], DecodeError::Length),
        (&[0xb9, 0x00, 0x01, 5], DecodeError::Length),
        (&[0xf8, 0x00], DecodeError::Length),
        (&[0xfa, 0x00, 0x00, 0x01, 5], DecodeError::Length),
        (&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], DecodeError::Truncated),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0], DecodeError::Truncated),
    ] {
        assert_eq!(split(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn exactly_one_list_is_read() {
    assert_eq!(Fields::of_list(&[0xc0, 0x00]).unwrap_err(), DecodeError::Trailing);
    assert!(matches!(Fields::of_list(&[0x05]), Err(DecodeError::Kind(_))));
    assert_eq!(Fields::of_list(&[]).unwrap_err(), DecodeError::Truncated);
    assert_eq!(Fields::of_list(&[0xc1, 0x05]).unwrap().end(), Err(DecodeError::Trailing));
    let mut empty = Fields::of_list(&[0xc0]).unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.item(), Err(DecodeError::Truncated));
    assert_eq!(empty.end(), Ok(()));
    let mut broken = Fields::of_list(&[0xc1, 0x85]).unwrap();
    assert_eq!(broken.item(), Err(DecodeError::Truncated), "the item reaches beyond its list");
}

#[test]
fn objects_have_tag_and_version() {
    let object = List::object(501, 1).uint(9).finish();
    assert_eq!(object, [0xc5, 0x82, 0x01, 0xf5, 0x01, 0x09]);
    assert_eq!(tag_of(&object), Ok(501));
    let (version, mut fields) = Fields::of_object(&object, 501).unwrap();
    assert_eq!((version, fields.uint(), fields.end()), (1, Ok(9), Ok(())));
    assert_eq!(Fields::of_object(&object, 11).unwrap_err(), DecodeError::Tag { expected: 11, found: 501 });
    assert_eq!(
        Fields::of_version(&object, 501, 2).unwrap_err(),
        DecodeError::Version { tag: 501, version: 1 }
    );
    assert!(Fields::of_version(&object, 501, 1).is_ok());
    assert_eq!(Fields::of_version(&[0xc0], 501, 1).unwrap_err(), DecodeError::Truncated);
    assert!(matches!(tag_of(&[0xc1, 0xc0]), Err(DecodeError::Kind(_))));
    assert!(matches!(tag_of(&[0x0b]), Err(DecodeError::Kind(_))));
}

#[test]
fn booleans_are_one_byte() {
    assert_eq!(read(&fields(&[0x00]), Fields::bool), Ok(false));
    assert_eq!(read(&fields(&[0x01]), Fields::bool), Ok(true));
    assert_eq!(List::new().bool(false).bool(true).finish(), [0xc2, 0x00, 0x01]);
    for other in [&[0x02][..], &[0x80], &[0x82, 0, 1]] {
        assert_eq!(read(&fields(other), Fields::bool), Err(DecodeError::Bool), "{other:02x?}");
    }
}

#[test]
fn fixed_sizes_are_exact() {
    assert_eq!(read(&fields(&[0x83, 1, 2, 3]), Fields::array::<3>), Ok([1, 2, 3]));
    assert_eq!(
        read(&fields(&[0x83, 1, 2, 3]), Fields::array::<4>),
        Err(DecodeError::Size { expected: 4, found: 3 })
    );
    let hash = |size: u8| [&[0x80 + size][..], &vec![7; size.into()]].concat();
    assert_eq!(read(&fields(&hash(32)), Fields::state_hash), Ok(StateHash([7; 32])));
    assert_eq!(
        read(&fields(&hash(31)), Fields::state_hash),
        Err(DecodeError::Size { expected: 32, found: 31 })
    );
    assert_eq!(
        read(&fields(&hash(33)), Fields::state_hash),
        Err(DecodeError::Size { expected: 32, found: 33 })
    );
}

#[test]
fn identifiers_are_of_the_kind_asked_for() {
    let id = |tag: u8| [&[0xa1, tag][..], &[9; 32]].concat();
    assert_eq!(read(&fields(&id(1)), Fields::account), Ok(AccountId([9; 32])));
    assert_eq!(read(&fields(&id(5)), Fields::contract), Ok(ContractId([9; 32])));
    assert_eq!(read(&fields(&id(6)), Fields::channel), Ok(ChannelId([9; 32])));
    assert_eq!(List::new().id(ChannelId([9; 32])).finish(), fields(&id(6)));
    for tag in 0..=7 {
        assert_eq!(read(&fields(&id(tag)), Fields::id).is_ok(), (1..=6).contains(&tag), "{tag}");
        assert_eq!(read(&fields(&id(tag)), Fields::account).is_ok(), tag == 1, "{tag}");
        assert_eq!(read(&fields(&id(tag)), Fields::contract).is_ok(), tag == 5, "{tag}");
        assert_eq!(read(&fields(&id(tag)), Fields::channel).is_ok(), tag == 6, "{tag}");
    }
    let accounts = List::new().ids([AccountId([1; 32]), AccountId([2; 32])]).finish();
    let read = |bytes: &[u8]| Fields::of_list(bytes).unwrap().accounts();
    assert_eq!(read(&accounts), Ok(vec![AccountId([1; 32]), AccountId([2; 32])]));
    let mixed = List::new().ids([Id::Account(AccountId([1; 32])), Id::Channel(ChannelId([2; 32]))]).finish();
    assert_eq!(read(&mixed), Err(DecodeError::Id));
}

/// One field of any kind, to write and to read back.
#[derive(Clone, Debug)]
enum Field {
    Bytes(Vec<u8>),
    Number(u128),
    Bool(bool),
    Account([u8; 32]),
    Strings(Vec<Vec<u8>>),
}

fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        vec(any::<u8>(), 0..300).prop_map(Field::Bytes),
        (any::<u128>(), 0..128u32).prop_map(|(number, shift)| Field::Number(number >> shift)),
        any::<bool>().prop_map(Field::Bool),
        any::<[u8; 32]>().prop_map(Field::Account),
        vec(vec(any::<u8>(), 0..30), 0..10).prop_map(Field::Strings),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(tag in 0..2_000u64, all in vec(any_field(), 0..12)) {
        let bytes = all.iter().fold(List::object(tag, 3), |list, field| match field {
            Field::Bytes(bytes) => list.bytes(bytes),
            Field::Number(number) => list.uint128(*number),
            Field::Bool(value) => list.bool(*value),
            Field::Account(id) => list.id(AccountId(*id)),
            Field::Strings(strings) => list.all_bytes(strings),
        }).finish();
        let mut fields = Fields::of_version(&bytes, tag, 3).unwrap();
        for field in &all {
            match field {
                Field::Bytes(bytes) => prop_assert_eq!(fields.bytes(), Ok(&bytes[..])),
                Field::Number(number) => prop_assert_eq!(fields.uint128(), Ok(*number)),
                Field::Bool(value) => prop_assert_eq!(fields.bool(), Ok(*value)),
                Field::Account(id) => prop_assert_eq!(fields.account(), Ok(AccountId(*id))),
                Field::Strings(strings) => {
                    let mut list = fields.list().unwrap();
                    for string in strings {
                        prop_assert_eq!(list.bytes(), Ok(&string[..]));
                    }
                    prop_assert_eq!(list.end(), Ok(()));
                }
            }
        }
        prop_assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok((item, rest)) = split(&bytes) {
            let (Item::Bytes(inner) | Item::List(inner)) = item;
            prop_assert!(inner.len() + rest.len() <= bytes.len());
        }
        let _ = tag_of(&bytes);
        // The same bytes as the payload of a list: every kind of field is tried at every place that is reached.
        let size = bytes.len();
        let list = [&[0xf9, 0, 0][..], &bytes].concat();
        prop_assert_eq!(Fields::of_list(&list).map(every_kind), Err(DecodeError::Length));
        let list = [&[0xb8, u8::try_from(size).unwrap()][..], &bytes].concat();
        if size > 0 {
            prop_assert!(matches!(Fields::of_list(&list).map(every_kind), Err(DecodeError::Kind(_))));
        }
        let list = [&[0xf9, 1, u8::try_from(size).unwrap()][..], &[5; 256], &bytes].concat();
        let found = Fields::of_list(&list).map(every_kind).unwrap();
        prop_assert!((256..=256 + size).contains(&found));
    }
}

/// Reads to the end or the first malformed item, trying every kind on each; how many items there were.
fn every_kind(mut fields: Fields<'_>) -> usize {
    let mut count = 0;
    loop {
        let kinds = [
            fields.clone().bytes().is_ok(),
            fields.clone().uint128().is_ok(),
            fields.clone().uint().is_ok(),
            fields.clone().bool().is_ok(),
            fields.clone().id().is_ok(),
            fields.clone().accounts().is_ok(),
            fields.clone().state_hash().is_ok(),
            fields.clone().list().is_ok(),
        ];
        if fields.item().is_err() {
            assert!(!kinds.contains(&true));
            return count;
        }
        count += 1;
    }
}
