//! Alice uses a service of Bob's and pays by the unit; after 43 units she walks off without paying the last three.

use strait_client::{Consent, FateValue, Party, Program, value};
use strait_encoding::Coins;
use strait_encoding::hash::blake2b;
use strait_fate::Value;

use crate::stage::{
    Clock, Ending, Failure, MILLI_AE, Stage, balances, call, call_declined, create, end_alone,
};

const CODE: &str = include_str!("meter.bytecode");

const PRICE: Coins = Coins(MILLI_AE);
const DEPOSIT: Coins = Coins(60 * MILLI_AE);

/// Units that the customer can ever be charged.
const LIMIT: u64 = 100;

/// Units that the provider redeems at once, and so the credit that it gives.
const CREDIT: u64 = 4;

/// Units that the contract takes at once.
const STEP: u64 = 10;

/// The customer's chain of hashes, from the anchor to the secret: entry `n` pays for `n` units.
struct HashChain(Vec<[u8; 32]>);

impl HashChain {
    /// A real customer takes a random secret.
    fn of(secret: [u8; 32]) -> Self {
        let mut links: Vec<_> = std::iter::successors(Some(secret), |link| Some(blake2b(link)))
            .take(LIMIT as usize + 1)
            .collect();
        links.reverse();
        Self(links)
    }

    /// What the customer tells the provider to pay for all units up to this one. It goes with whatever the service is asked
    /// for; the channel need not know.
    fn link(&self, unit: u64) -> [u8; 32] {
        self.0[unit as usize]
    }
}

/// Uses the service, pays for it, and walks off; gives how the channel ended.
pub async fn play(stage: &Stage) -> Result<Ending, Failure> {
    let program = Program::from_text(CODE)?;
    let hashes = HashChain::of([7; 32]);
    let accounts = stage.accounts();
    let before = accounts.map(|account| stage.on_chain(account));
    let [customer, provider] = accounts.map(|account| value(&account));
    let terms = [customer, provider, value(&PRICE), value(&LIMIT), value(&STEP), value(&hashes.link(0))];
    // Alice makes the account: Bob agrees to these terms only, and to her deposits. Bob is paid by links of
    // her chain and cannot overcharge her, so she lets him redeem what he can.
    let expected = terms.clone();
    let of_bob = Consent::none()
        .to_if(&program, "init", Coins(0), move |found| found == &expected[..])
        .to(&program, "deposit", DEPOSIT);
    let of_alice = Consent::none().to(&program, "redeem", Coins(0)).to(&program, "finish", Coins(0));
    let [mut alice, mut bob] = stage.open([of_alice, of_bob]).await?;
    let clock = Clock::start(&alice);

    let meter = create(&mut alice, &mut bob, &program, &program.call("init", &terms)?).await?;
    println!("\n                                       Alice |   Bob | meter");
    let deposit = program.call("deposit", &[])?;
    let held: Coins = call(&mut alice, &mut bob, meter, &deposit, DEPOSIT).await?.returned()?;
    println!("deposit                              {}", balances(&alice, stage, meter));
    if held != DEPOSIT {
        return Err(format!("the meter holds {held}, expected {DEPOSIT}").into());
    }
    let too_much = call(&mut alice, &mut bob, meter, &deposit, Coins(50 * MILLI_AE)).await?;
    let refused = refusal(&too_much.returned::<Value>())?;
    println!("another 50                           {}   {refused}", balances(&alice, stage, meter));

    let mut paid = 0;
    for unit in 1..=40 {
        let link = hashes.link(unit);
        if unit % CREDIT == 0 {
            paid = redeem(stage, &program, [&mut bob, &mut alice], meter, (&link, CREDIT)).await?;
        }
    }
    if paid != 40 {
        return Err(format!("{paid} units are paid, expected 40").into());
    }
    // Alice may take the rest back at any time; only, Bob wants to redeem what he has first, and does not sign it now.
    call_declined(&mut alice, &mut bob, meter, &program.call("refund", &[])?).await?;
    let timing = clock.stop(&alice);

    // Three more units, for which Bob has the link but no signature.
    let last = hashes.link(43);
    alice.disconnect().await?;
    let finish = program.call("finish", &[value(&last), value(&3_u64)])?;
    end_alone(stage, bob, before, meter, &finish, timing).await
}

/// The provider redeems a link; gives how many units are paid.
async fn redeem(
    stage: &Stage,
    program: &Program,
    [provider, customer]: [&mut Party; 2],
    meter: strait_encoding::ContractId,
    (link, units): (&[u8; 32], u64),
) -> Result<u64, Failure> {
    let redeem = program.call("redeem", &[value(link), value(&units)])?;
    let called = call(provider, customer, meter, &redeem, Coins(0)).await?;
    let paid = u64::from_fate(&called.returned()?).ok_or("the units are a small number")?;
    println!(
        "{paid:>3} units {:>6} gas                 {}",
        called.gas_used,
        balances(provider, stage, meter)
    );
    Ok(paid)
}

/// Why the contract took a call back.
fn refusal<T, E: ToString>(result: &Result<T, E>) -> Result<String, Failure> {
    match result {
        Ok(_) => Err("the contract should have refused".into()),
        Err(why) => Ok(why.to_string()),
    }
}
