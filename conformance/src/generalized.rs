//! Generalized accounts in a recording: which side is one, and the contract that makes its live account one, too
//! (`docs/protocol/signing` §3).
//!
//! A recording shows with which data an account's contract was called, not the contract itself. The one that is attached here has
//! the function that the data name, takes arguments of any type, and always says yes.

use std::collections::BTreeMap;

use strait_encoding::rlp::List;
use strait_encoding::{AccountId, Coins, Height, Nonce};
use strait_fate::{Container, FunctionId, INIT, Value};
use strait_ledger::{
    ABI_FATE, ContractBytes, CtVersion, DEFAULT_MINER_GAS_PRICE, FunctionHash, GaAttachTx, GaMetaTx, SignedTx,
};

/// The gas that attaching may use.
const GAS: u64 = 50_000;
/// The machine that the contract is for.
const VM: u64 = 8;

/// A function that authenticates, as far as its calls show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Authentication {
    function: FunctionId,
    arguments: usize,
}

impl Authentication {
    /// The function that is called with these data; none where they call none.
    pub fn of(auth_data: &[u8]) -> Option<Self> {
        let Ok(Value::Tuple(fields)) = Value::decode(auth_data) else { return None };
        match &fields[..] {
            [Value::String(name), Value::Tuple(arguments)] => {
                Some(Self { function: name[..].try_into().ok()?, arguments: arguments.len() })
            }
            _ => None,
        }
    }

    /// The generalized accounts of a recording, each with its function: those that meta transactions are made for.
    pub fn all<'a>(txs: impl IntoIterator<Item = &'a SignedTx>) -> BTreeMap<AccountId, Self> {
        let metas = txs.into_iter().flat_map(SignedTx::metas);
        metas.filter_map(|meta| Some((meta.ga_id, Self::of(&meta.auth_data.0)?))).collect()
    }

    /// The transaction that makes `owner_id` such an account, without its fee.
    pub fn attach(&self, owner_id: AccountId, nonce: Nonce) -> GaAttachTx {
        let mut auth_fun = [0; 32];
        auth_fun[..4].copy_from_slice(&self.function);
        // `init()`: a function id and no arguments.
        let call_data = [&[0x2b, 0x11][..], &INIT, &[0x3f]].concat();
        GaAttachTx {
            owner_id,
            nonce,
            code: ContractBytes(self.container()),
            auth_fun: FunctionHash(auth_fun),
            ct_version: CtVersion { vm: VM, abi: ABI_FATE },
            fee: Coins::ZERO,
            ttl: Height(0),
            gas: GAS,
            gas_price: DEFAULT_MINER_GAS_PRICE,
            call_data: ContractBytes(call_data),
        }
    }

    fn container(&self) -> Vec<u8> {
        // A function without attributes: `RETURNR ()` and the type of that, or `RETURNR true` and a boolean.
        let head = |id: &FunctionId, arguments: usize| {
            let count = u8::try_from(arguments).unwrap_or(u8::MAX);
            [&[0xfe][..], id, &[0x00, 0x37, count], &vec![0xf7; usize::from(count)]].concat()
        };
        let init = [&head(&INIT, 0)[..], &[0x37, 0x00, 0x01, 0x03, 0x3f]].concat();
        let yes = [&head(&self.function, self.arguments)[..], &[0x17, 0x01, 0x03, 0xff]].concat();
        // No names of functions, and no remarks.
        let empty = [0x2f, 0x00];
        let byte_code = [string(&[init, yes].concat()), string(&empty), string(&empty)].concat();
        let (source_hash, compiler) = (vec![0; 32], b"by hand".to_vec());
        Container { version: 3, source_hash, type_table: Vec::new(), byte_code, compiler, payable: false }
            .encode()
    }
}

/// A recorded meta transaction as it is made today, by another account and around another transaction.
pub(crate) fn wrapped(recorded: &GaMetaTx, ga_id: AccountId, auth_data: Vec<u8>, tx: SignedTx) -> SignedTx {
    SignedTx::unsigned(GaMetaTx { ga_id, auth_data: ContractBytes(auth_data), tx, ..recorded.clone() })
}

/// A string as RLP.
fn string(bytes: &[u8]) -> Vec<u8> {
    let list = List::new().bytes(bytes).finish();
    // What follows the head of the list, which is as long as it has to be.
    let head = match list.first() {
        Some(first @ 0xf8..) => usize::from(first - 0xf7) + 1,
        _ => 1,
    };
    list.get(head..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use strait_encoding::NetworkId;
    use strait_fate::Code;
    use strait_ledger::rules::{self, BlockEnv, ChainState, SOLO_ROUND_SWITCH};
    use strait_ledger::{Account, AccountKind, Machine, MetaTtl, Protocol, SpendPayload, SpendTx};

    use super::*;

    /// What the recorded session of a generalized initiator calls its contract with.
    const AUTH_DATA: [u8; 9] = [0x2b, 0x11, 0x6c, 0xf2, 0x57, 0x0b, 0x2b, 0x54, 0x02];

    #[test]
    fn the_function_is_found_in_its_calls() {
        let found = Authentication::of(&AUTH_DATA).unwrap();
        assert_eq!(found, Authentication { function: [0x6c, 0xf2, 0x57, 0x0b], arguments: 2 });
        for strange in [&AUTH_DATA[..8], &[0x3f], &[]] {
            assert_eq!(Authentication::of(strange), None);
        }
    }

    #[test]
    fn the_contract_says_yes_to_whatever_it_is_asked() {
        let auth = Authentication::of(&AUTH_DATA).unwrap();
        let code = Code::decode(&Container::decode(&auth.container()).unwrap().byte_code).unwrap();
        assert_eq!(code.signatures().count(), 2);
        let (network, machine) = (NetworkId("ae_dev".to_owned()), Machine::fate());
        let key_blocks = BTreeMap::new();
        let env = BlockEnv {
            network: &network,
            height: Height(5),
            key_hash: strait_encoding::KeyBlockHash([0; 32]),
            time_ms: 1,
            protocol: Protocol::Ceres,
            min_gas_price: DEFAULT_MINER_GAS_PRICE,
            solo_round_switch: SOLO_ROUND_SWITCH,
            beneficiary: AccountId([9; 32]),
            difficulty: 1,
            key_blocks: &key_blocks,
            machine: machine.get(),
        };
        let owner = AccountId([1; 32]);
        let mut state = ChainState::default();
        state.trees.set_account(owner, &Account::new(Coins(1_000_000_000_000_000_000)));
        let attach = GaAttachTx { fee: Coins(200_000_000_000_000), ..auth.attach(owner, Nonce(1)) };
        rules::apply_authenticated(&mut state, &SignedTx::unsigned(attach), &env).unwrap();
        assert!(matches!(state.trees.account(owner).unwrap().kind, AccountKind::Generalized { .. }));
        let spend = SpendTx {
            sender_id: owner,
            recipient_id: AccountId([2; 32]).into(),
            amount: Coins(7),
            fee: Coins(200_000_000_000_000),
            ttl: Height(0),
            nonce: Nonce(0),
            payload: SpendPayload::default(),
        };
        let recorded = GaMetaTx {
            ga_id: AccountId([8; 32]),
            auth_data: ContractBytes(Vec::new()),
            abi_version: ABI_FATE,
            fee: Coins(200_000_000_000_000),
            gas: 10_000,
            gas_price: DEFAULT_MINER_GAS_PRICE,
            ttl: MetaTtl(None),
            tx: SignedTx::unsigned(spend.clone()),
        };
        let meta = wrapped(&recorded, owner, AUTH_DATA.to_vec(), SignedTx::unsigned(spend));
        rules::apply_authenticated(&mut state, &meta, &env).unwrap();
        assert_eq!(state.trees.account(AccountId([2; 32])).unwrap().balance, Coins(7));
    }
}
