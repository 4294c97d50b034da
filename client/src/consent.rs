//! Which contracts of the peer this party takes part in.
//!
//! A contract moves coins that were paid to it by rules that nobody can change afterwards. So a party agrees beforehand: to a
//! program, and to the functions of it that the peer may call. What is not named is declined, and nothing of it is run.

use std::fmt;

use strait_encoding::hash::blake2b;
use strait_encoding::{Coins, ContractId, text};
use strait_fate::{INIT, Value, function_id};
use strait_ledger::{OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE, Trees, Update};
use thiserror::Error;

use crate::Program;
use crate::program::read_call;

/// Why an update of the peer is none that this party has agreed to. Nothing was signed, and nothing was run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoConsent {
    /// A new contract of a program that was not agreed on.
    #[error("the new contract is of a program that was not agreed on, with the hash {0}")]
    Program(String),
    /// A call of a contract whose program was not agreed on, or that is not there.
    #[error("no program that was agreed on is behind {0}")]
    Contract(ContractId),
    /// A function that the peer may not call.
    #[error("the peer may not call {function}")]
    Function {
        /// Its name, where the program has it, or the number in its place.
        function: String,
    },
    /// More coins than were agreed on, put in by the peer. They may be lost for both.
    #[error("{function} comes with {amount}, at most {limit} is agreed on")]
    Amount {
        /// The function.
        function: String,
        /// What comes with it.
        amount: Coins,
        /// The most that may come.
        limit: Coins,
    },
    /// The arguments are others than this party wants.
    #[error("the arguments of {function} are not agreed on")]
    Arguments {
        /// The function.
        function: String,
    },
    /// Gas or price of gas are not those of a channel.
    #[error(
        "a call in a channel has {OFFCHAIN_GAS} gas at a price of {OFFCHAIN_GAS_PRICE}, and no call stack"
    )]
    Gas,
}

type Judge = Box<dyn FnMut(&[Value]) -> bool + Send>;

struct Allowed {
    program: Program,
    function: String,
    limit: Coins,
    judge: Option<Judge>,
}

/// What this party has agreed to; nothing unless it says so.
#[derive(Default)]
pub struct Consent {
    allowed: Vec<Allowed>,
    anything: bool,
}

impl Consent {
    /// To nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// To everything. For trials and measurements, and where a [`Policy`](crate::Policy) looks at the updates itself.
    pub fn anything() -> Self {
        Self { allowed: Vec::new(), anything: true }
    }

    /// The peer may call this function of contracts of this program, with at most `limit` coins. `init` stands for making
    /// such a contract.
    #[must_use]
    pub fn to(self, program: &Program, function: &str, limit: Coins) -> Self {
        self.add(program, function, limit, None)
    }

    /// As [`to`](Self::to), if the arguments please. Each is a value of the type that the function declares, or the call
    /// fails.
    #[must_use]
    pub fn to_if(
        self,
        program: &Program,
        function: &str,
        limit: Coins,
        judge: impl FnMut(&[Value]) -> bool + Send + 'static,
    ) -> Self {
        self.add(program, function, limit, Some(Box::new(judge)))
    }

    fn add(mut self, program: &Program, function: &str, limit: Coins, judge: Option<Judge>) -> Self {
        let program = program.clone();
        self.allowed.push(Allowed { program, function: function.to_owned(), limit, judge });
        self
    }

    /// Whether the updates of a peer's round are agreed on, as far as they are of contracts.
    pub(crate) fn judge(&mut self, trees: &Trees, updates: &[Update]) -> Result<(), NoConsent> {
        updates.iter().try_for_each(|update| match update {
            Update::NewContract { ct_version, code, deposit, call_data, .. } => {
                let same =
                    |program: &Program| program.bytes() == code && program.version().pack() == *ct_version;
                let hash = || NoConsent::Program(text::encode(text::Prefix::Bytes, &blake2b(code)));
                self.judge_call(call_data, *deposit, true, same, hash)
            }
            Update::CallContract { contract, amount, gas, gas_price, call_data, call_stack, .. } => {
                if (*gas, *gas_price) != (OFFCHAIN_GAS, OFFCHAIN_GAS_PRICE.0) || !call_stack.is_empty() {
                    return Err(NoConsent::Gas);
                }
                let called = trees.contract(*contract);
                let code = called.as_ref().and_then(|called| trees.code(called));
                let same = |program: &Program| {
                    code.as_deref() == Some(program.stored())
                        && called.as_ref().map(|called| called.ct_version) == Some(program.version())
                };
                self.judge_call(call_data, *amount, false, same, || NoConsent::Contract(*contract))
            }
            _ => Ok(()),
        })
    }

    fn judge_call(
        &mut self,
        call_data: &[u8],
        amount: Coins,
        creates: bool,
        same: impl Fn(&Program) -> bool,
        unknown: impl Fn() -> NoConsent,
    ) -> Result<(), NoConsent> {
        if self.anything {
            return Ok(());
        }
        let (id, arguments) = read_call(call_data).unwrap_or_default();
        let mut of_program = self.allowed.iter_mut().filter(|allowed| same(&allowed.program)).peekable();
        let name = of_program.peek().ok_or_else(unknown)?.program.name_of(id);
        let found =
            of_program.find(|allowed| function_id(&allowed.function) == id && (id == INIT) == creates);
        let function = || name.clone().unwrap_or_else(|| format!("function {id:02x?}"));
        let allowed = found.ok_or_else(|| NoConsent::Function { function: function() })?;
        if amount > allowed.limit {
            return Err(NoConsent::Amount { function: function(), amount, limit: allowed.limit });
        }
        let pleases = allowed.judge.as_mut().is_none_or(|judge| judge(&arguments));
        if pleases { Ok(()) } else { Err(NoConsent::Arguments { function: function() }) }
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.anything {
            return f.write_str("Consent(anything)");
        }
        f.debug_list().entries(self.allowed.iter().map(|allowed| &allowed.function)).finish()
    }
}

#[cfg(test)]
mod tests {
    use strait_encoding::AccountId;
    use strait_ledger::ContractObject;

    use super::*;
    use crate::{Calldata, value};

    const PEER: AccountId = AccountId([1; 32]);
    const CONTRACT: ContractId = ContractId([2; 32]);

    fn meter() -> Program {
        Program::from_text(include_str!("../../examples/meter/meter.bytecode")).unwrap()
    }

    fn arbiter() -> Program {
        Program::from_text(include_str!("../../examples/escrow/arbiter.bytecode")).unwrap()
    }

    /// A state in which the meter stands.
    fn trees() -> Trees {
        let mut trees = Trees::default();
        let (program, deposit) = (meter(), Coins(0));
        let object = ContractObject::new(PEER, program.version(), program.stored().to_vec(), deposit);
        trees.set_contract(CONTRACT, &object);
        trees
    }

    fn new(program: &Program, function: &str, deposit: Coins) -> Update {
        Update::NewContract {
            owner: PEER,
            ct_version: program.version().pack(),
            code: program.bytes().to_vec(),
            deposit,
            call_data: Calldata::call(function, &[value(&7_u64)]).unwrap().bytes().to_vec(),
        }
    }

    fn call(function: &str, amount: Coins) -> Update {
        Update::CallContract {
            caller: PEER,
            contract: CONTRACT,
            abi_version: 3,
            amount,
            gas: OFFCHAIN_GAS,
            gas_price: OFFCHAIN_GAS_PRICE.0,
            call_data: Calldata::call(function, &[value(&7_u64)]).unwrap().bytes().to_vec(),
            call_stack: Vec::new(),
        }
    }

    fn judge(mut consent: Consent, update: Update) -> Result<(), NoConsent> {
        consent.judge(&trees(), &[update, Update::Meta { data: Vec::new() }])
    }

    #[test]
    fn nothing_is_agreed_to_unless_it_is_named() {
        let of_code = judge(Consent::none(), new(&meter(), "init", Coins(0)));
        assert!(matches!(of_code, Err(NoConsent::Program(_))), "{of_code:?}");
        assert_eq!(judge(Consent::none(), call("refund", Coins(0))), Err(NoConsent::Contract(CONTRACT)));
        assert_eq!(judge(Consent::anything(), call("refund", Coins(9))), Ok(()));
        assert_eq!(judge(Consent::anything(), new(&meter(), "init", Coins(9))), Ok(()));
    }

    #[test]
    fn a_function_is_named_with_its_program() {
        let consent = || Consent::none().to(&meter(), "refund", Coins(0)).to(&arbiter(), "heard", Coins(0));
        assert_eq!(judge(consent(), call("refund", Coins(0))), Ok(()));
        let function = |name: &str| Err(NoConsent::Function { function: name.to_owned() });
        assert_eq!(judge(consent(), call("redeem", Coins(0))), function("redeem"));
        let number = format!("function {:02x?}", function_id("heard"));
        assert_eq!(judge(consent(), call("heard", Coins(0))), function(&number));
        // To call is not to make.
        assert_eq!(judge(consent(), new(&meter(), "refund", Coins(0))), function("refund"));
        let consent = Consent::none().to(&meter(), "init", Coins(0));
        assert_eq!(judge(consent, call("init", Coins(0))), function("init"));
        let elsewhere = Consent::none().to(&arbiter(), "refund", Coins(0));
        assert_eq!(judge(elsewhere, call("refund", Coins(0))), Err(NoConsent::Contract(CONTRACT)));
    }

    #[test]
    fn the_same_code_for_another_machine_is_another_program() {
        let older = Program::new(meter().bytes().to_vec(), 7).unwrap();
        let consent = Consent::none().to(&older, "refund", Coins(0)).to(&older, "init", Coins(0));
        assert_eq!(judge(consent, call("refund", Coins(0))), Err(NoConsent::Contract(CONTRACT)));
        let consent = Consent::none().to(&older, "init", Coins(0));
        assert!(matches!(judge(consent, new(&meter(), "init", Coins(0))), Err(NoConsent::Program(_))));
    }

    #[test]
    fn amounts_and_arguments_have_limits() {
        let consent = || Consent::none().to(&meter(), "deposit", Coins(5)).to(&meter(), "init", Coins(1));
        assert_eq!(judge(consent(), call("deposit", Coins(5))), Ok(()));
        let too_much = |function: &str, amount, limit| {
            Err(NoConsent::Amount {
                function: function.to_owned(),
                amount: Coins(amount),
                limit: Coins(limit),
            })
        };
        assert_eq!(judge(consent(), call("deposit", Coins(6))), too_much("deposit", 6, 5));
        assert_eq!(judge(consent(), new(&meter(), "init", Coins(2))), too_much("init", 2, 1));
        let seven = |wanted: u64| {
            Consent::none().to_if(&meter(), "refund", Coins(0), move |found| found == [value(&wanted)])
        };
        assert_eq!(judge(seven(7), call("refund", Coins(0))), Ok(()));
        let function = "refund".to_owned();
        assert_eq!(judge(seven(8), call("refund", Coins(0))), Err(NoConsent::Arguments { function }));
    }

    #[test]
    fn the_gas_is_that_of_channels_and_calldata_are_calldata() {
        let dear = |gas, gas_price, call_stack: Vec<u64>| match call("refund", Coins(0)) {
            Update::CallContract { caller, contract, abi_version, amount, call_data, .. } => {
                Update::CallContract {
                    caller,
                    contract,
                    abi_version,
                    amount,
                    gas,
                    gas_price,
                    call_data,
                    call_stack,
                }
            }
            other => other,
        };
        for update in [dear(1, 1, vec![]), dear(OFFCHAIN_GAS, 2, vec![]), dear(OFFCHAIN_GAS, 1, vec![0])] {
            assert_eq!(judge(Consent::anything(), update), Err(NoConsent::Gas));
        }
        let Update::CallContract { call_data, .. } = &mut call("refund", Coins(0)) else { unreachable!() };
        call_data.pop();
        assert_eq!(read_call(call_data), None);
        assert_eq!(read_call(b""), None);
    }
}
