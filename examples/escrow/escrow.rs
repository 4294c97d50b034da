//! Alice buys from Bob. The first deal goes well; the second arrives damaged, and Bob will not hear of it.

use strait_client::{Consent, Party, Program, value};
use strait_encoding::{AccountId, Coins, ContractId, NetworkId, SecretKey, Signature, SignedForm};
use strait_fate::Value;

use crate::stage::{
    Clock, Ending, Failure, MILLI_AE, Stage, balances, call, call_declined, create, end_alone,
};

const ARBITER: &str = include_str!("arbiter.bytecode");
const ESCROW: &str = include_str!("escrow.bytecode");

const PRICE: Coins = Coins(200 * MILLI_AE);

/// Sophia's `Verdict.verdict`: three constructors, of which the last has a field.
fn delivered() -> Value {
    Value::variant(vec![0, 0, 1], 0, Vec::new())
}

fn damaged(percent: u64) -> Value {
    Value::variant(vec![0, 0, 1], 2, vec![value(&percent)])
}

/// Makes both deals; gives how the channel ended.
pub async fn play(stage: &Stage) -> Result<Ending, Failure> {
    let programs = Programs { arbiter: Program::from_text(ARBITER)?, escrow: Program::from_text(ESCROW)? };
    // The judge is somewhere else, and both know the account.
    let judge = SecretKey::from_seed([42; 32]);
    let [a, b] = stage.accounts();
    let before = [stage.on_chain(a), stage.on_chain(b)];
    let consents = [programs.seller_may(), programs.hires(judge.account())];
    let [mut alice, mut bob] = stage.open(consents).await?;
    let clock = Clock::start(&alice);

    let init = programs.arbiter.call("init", &[value(&judge.account())])?;
    let arbiter = create(&mut alice, &mut bob, &programs.arbiter, &init).await?;
    // Only now does Bob know which contract speaks for the judge. An escrow that listens to another one is not for him.
    bob.set_consent(programs.buyer_may(arbiter, [a, b]));
    let shop = Shop { stage, programs: &programs, arbiter, judge };

    println!("\n                                       Alice |   Bob |  till");
    let till = shop.order([&mut alice, &mut bob], [1; 32]).await?;
    let release = programs.escrow.call("release", &[])?;
    let called = call(&mut alice, &mut bob, till, &release, Coins(0)).await?;
    called.returned::<Value>()?;
    println!("Alice is content  {:>6} gas         {}", called.gas_used, balances(&alice, stage, till));

    let till = shop.order([&mut alice, &mut bob], [2; 32]).await?;
    let seal = shop.judge_says(&mut alice, [2; 32], damaged(30)).await?;
    // Bob says that all is well, and has the judge's signature under something else.
    let lie = programs.escrow.call("settle", &[delivered(), value(&seal)])?;
    let called = call(&mut bob, &mut alice, till, &lie, Coins(0)).await?;
    let why = called.returned::<Value>().err().ok_or("the contract should have refused")?;
    println!("Bob lies          {:>6} gas         {}   {why}", called.gas_used, balances(&bob, stage, till));
    // Alice has agreed to verdicts and to nothing else: not even to a gift, which she would see before she signs it.
    let give_back = programs.escrow.call("give_back", &[])?;
    call_declined(&mut bob, &mut alice, till, &give_back).await?;
    let timing = clock.stop(&alice);

    bob.disconnect().await?;
    let settle = programs.escrow.call("settle", &[damaged(30), value(&seal)])?;
    end_alone(stage, alice, before, till, &settle, timing).await
}

struct Programs {
    arbiter: Program,
    escrow: Program,
}

impl Programs {
    /// What Alice lets Bob do. Whatever he says of the verdict, the arbiter's contract checks it.
    fn seller_may(&self) -> Consent {
        Consent::none().to(&self.escrow, "settle", Coins(0))
    }

    /// What Bob lets Alice do at first: make the contract that knows the judge.
    fn hires(&self, judge: AccountId) -> Consent {
        let known = value(&judge);
        Consent::none().to_if(&self.arbiter, "init", Coins(0), move |arguments| arguments == [known.clone()])
    }

    /// What Bob lets Alice do then: make deals about this price between the two, under this arbiter.
    fn buyer_may(&self, arbiter: ContractId, [buyer, seller]: [AccountId; 2]) -> Consent {
        let fixed = [value(&arbiter), value(&buyer), value(&seller), value(&PRICE)];
        let deal = move |arguments: &[Value]| match arguments {
            [arbiter, _case, from, to, price] => [arbiter, from, to, price] == fixed.each_ref(),
            _ => false,
        };
        Consent::none()
            .to_if(&self.escrow, "init", Coins(0), deal)
            .to(&self.escrow, "fund", PRICE)
            .to(&self.escrow, "release", Coins(0))
            .to(&self.escrow, "settle", Coins(0))
    }
}

struct Shop<'a> {
    stage: &'a Stage,
    programs: &'a Programs,
    arbiter: ContractId,
    judge: SecretKey,
}

impl Shop<'_> {
    /// A deal, paid into escrow.
    async fn order(&self, [buyer, seller]: [&mut Party; 2], case: [u8; 32]) -> Result<ContractId, Failure> {
        let escrow = &self.programs.escrow;
        let parties = [value(&buyer.account()), value(&seller.account())];
        let [from, to] = parties;
        let init = escrow.call("init", &[value(&self.arbiter), value(&case), from, to, value(&PRICE)])?;
        let till = create(buyer, seller, escrow, &init).await?;
        let called = call(buyer, seller, till, &escrow.call("fund", &[])?, PRICE).await?;
        called.returned::<Value>()?;
        println!(
            "Alice pays in     {:>6} gas         {}",
            called.gas_used,
            balances(buyer, self.stage, till)
        );
        Ok(till)
    }

    /// The judge signs what the arbiter's contract takes for a verdict.
    async fn judge_says(
        &self,
        asker: &mut Party,
        case: [u8; 32],
        verdict: Value,
    ) -> Result<Signature, Failure> {
        let statement = self.programs.arbiter.call("statement", &[value(&case), verdict])?;
        let statement: [u8; 32] = asker.dry_run(self.arbiter, &statement, Coins(0)).await?.returned()?;
        // Not a transaction: the network in front of it is left out, and it is signed as it is.
        Ok(self.judge.sign(&NetworkId(String::new()), &statement, SignedForm::Plain))
    }
}
