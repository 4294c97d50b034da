//! What the contract examples share: a service, two accounts, a channel between them, and its end against a peer that has
//! fallen silent.

use std::env;
use std::error::Error;
use std::fmt;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use strait_client::{
    Calldata, Called, Consent, Ended, ForcedGas, OpenParams, Outcome, Party, Role, Signer, Terms,
};
use strait_encoding::{AccountId, ChannelId, Coins, ContractId, SecretKey};
use strait_ledger::{ChainView, Tx};
use strait_service::Dev;
use strait_service::config::{Config, HostPort, WindowAddr};

pub type Failure = Box<dyn Error + Send + Sync>;

/// How a program ends: what went wrong in words, where `main` would show how the error is built.
pub fn ended(outcome: Result<(), Failure>) -> ExitCode {
    let Err(why) = outcome else { return ExitCode::SUCCESS };
    eprintln!("{why}");
    ExitCode::FAILURE
}

/// One thousandth of an AE, in aettos.
pub const MILLI_AE: u128 = 1_000_000_000_000_000;

/// What each side brings into the channel.
pub const BUDGET: Coins = Coins(1_000 * MILLI_AE);

/// A service and two accounts with coins on its chain.
pub struct Stage {
    url: String,
    keys: [SecretKey; 2],
    port: u16,
    /// The service, if it runs in this process: then the chain can be looked at, too.
    embedded: Option<Dev>,
}

/// What an example came to, for whoever wants to check it.
#[derive(Debug)]
pub struct Ending {
    /// What the settlement pays, the initiator first.
    pub settled: [Coins; 2],
    /// What the forced call came to.
    pub forced: Called,
    /// Rounds that both sides signed, and how long they took.
    pub rounds: u64,
    pub elapsed: Duration,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rounds, millis) = (self.rounds, self.elapsed.as_millis());
        let [one, other] = self.settled.map(milli);
        write!(f, "done       {rounds} rounds signed by both in {millis} ms, one forced with ")?;
        write!(f, "{} gas; Alice has {one} mAE, Bob {other}", self.forced.gas_used)
    }
}

impl Stage {
    /// As the command line says: a service of its own, or `--url ws://…/channel sk_… sk_…`.
    pub async fn from_args() -> Result<Self, Failure> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        match &arguments[..] {
            [] => Self::embedded().await,
            [flag, url, initiator, responder] if flag == "--url" => {
                Self::at(url, [secret_key("first", initiator)?, secret_key("second", responder)?])
            }
            _ => Err("expected nothing, or --url ws://…/channel sk_… sk_…".into()),
        }
    }

    /// A service that runs somewhere, and two accounts on its chain.
    pub fn at(url: &str, keys: [SecretKey; 2]) -> Result<Self, Failure> {
        Ok(Self { url: url.to_owned(), keys, port: free_port()?, embedded: None })
    }

    /// A service in this process, with a chain of its own; it listens on ports that are free.
    pub async fn embedded() -> Result<Self, Failure> {
        let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
        let config = Config {
            channel_addr: any_port(),
            node_addr: any_port(),
            operator_addr: WindowAddr(None),
            ..Config::default()
        };
        let dev = Dev::start(&config).await?;
        let [initiator, responder, ..] = dev.accounts() else { return Err("there are no accounts".into()) };
        let keys = [initiator.key.clone(), responder.key.clone()];
        Ok(Self { url: dev.channel_url(), keys, port: free_port()?, embedded: Some(dev) })
    }

    /// The two accounts, the initiator first.
    pub fn accounts(&self) -> [AccountId; 2] {
        self.keys.each_ref().map(SecretKey::account)
    }

    /// Opens a channel in which each side takes part in what its [`Consent`] says. The initiator first.
    pub async fn open(&self, consents: [Consent; 2]) -> Result<[Party; 2], Failure> {
        let [initiator, responder] = self.accounts();
        let terms = Terms {
            initiator_amount: BUDGET,
            responder_amount: BUDGET,
            push_amount: Coins(0),
            channel_reserve: Coins(1),
            lock_period: 5,
        };
        let side = |role| {
            OpenParams::new(role, self.port, Some(initiator), responder, terms.clone()).host("127.0.0.1")
        };
        let (opens, waits) = (side(Role::Initiator), side(Role::Responder));
        let [ours, theirs] = consents;
        let [our_key, their_key] = self.keys.clone();
        let (one, other) = tokio::try_join!(
            Party::open(&self.url, &opens, Signer::new(our_key).consent(ours)),
            Party::open(&self.url, &waits, Signer::new(their_key).consent(theirs)),
        )?;
        println!("open       {}", one.channel().ok_or("an open channel has an id")?);
        Ok([one, other])
    }

    /// What an account owns on chain, where the chain can be looked at.
    pub fn on_chain(&self, account: AccountId) -> Option<Coins> {
        let account = self.embedded.as_ref()?.service().chain().view().account(account)?;
        Some(account.balance)
    }

    /// What an account has paid on chain for the transactions of a channel, without the gas of forced calls.
    fn fees(&self, channel: ChannelId, payer: AccountId) -> Coins {
        let Some(dev) = &self.embedded else { return Coins(0) };
        let view = dev.service().chain().view();
        let txs = view.txs_of_channel(channel).into_iter().filter_map(|(hash, _)| Some(view.tx(&hash)?.0));
        Coins(txs.filter(|tx| tx.tx().origin() == Some(payer)).map(|tx| tx.tx().fee().0).sum())
    }

    /// Stops the service, if it is in this process.
    pub async fn leave(self) {
        if let Some(dev) = self.embedded {
            dev.stop().await;
        }
    }
}

/// Makes a contract while the other side agrees.
pub async fn create(
    owner: &mut Party,
    other: &mut Party,
    program: &strait_client::Program,
    init: &Calldata,
) -> Result<ContractId, Failure> {
    let outcome = tokio::select! {
        outcome = owner.new_contract(program, init, Coins(0), &[]) => outcome?,
        ended = other.serve() => return Err(format!("the channel ended: {}", ended?).into()),
    };
    let contract = outcome.contract_of(owner.account()).ok_or_else(|| format!("not made: {outcome:?}"))?;
    println!("contract   {contract}");
    Ok(contract)
}

/// Calls a contract while the other side agrees; what the call came to.
pub async fn call(
    caller: &mut Party,
    other: &mut Party,
    contract: ContractId,
    call: &Calldata,
    amount: Coins,
) -> Result<Called, Failure> {
    let outcome = tokio::select! {
        outcome = caller.call_contract(contract, call, amount, &[]) => outcome?,
        ended = other.serve() => return Err(format!("the channel ended: {}", ended?).into()),
    };
    if outcome.round().is_none() {
        return Err(format!("not agreed: {outcome:?}").into());
    }
    result(caller, contract)
}

/// Calls what the other side has not agreed to; the code that it declines with.
pub async fn call_declined(
    caller: &mut Party,
    other: &mut Party,
    contract: ContractId,
    call: &Calldata,
) -> Result<u16, Failure> {
    let outcome = tokio::select! {
        outcome = caller.call_contract(contract, call, Coins(0), &[]) => outcome?,
        ended = other.serve() => return Err(format!("the channel ended: {}", ended?).into()),
    };
    match outcome {
        Outcome::Conflict { code, .. } => {
            let why = other.last_objection().map(ToString::to_string).unwrap_or_default();
            println!("declined   {why} (code {code})");
            Ok(code)
        }
        agreed => Err(format!("the other side should have declined: {agreed:?}").into()),
    }
}

/// The honest side alone: the call that the silent side does not sign is made on chain, the channel closed and settled.
/// Everything is checked to the coin.
pub async fn end_alone(
    stage: &Stage,
    mut honest: Party,
    before: [Option<Coins>; 2],
    contract: ContractId,
    call: &Calldata,
    (rounds, elapsed): (u64, Duration),
) -> Result<Ending, Failure> {
    println!("silent     the other side has gone, and what it has to sign remains unsigned");
    let channel = honest.channel().ok_or("an open channel has an id")?;
    let refused = honest.call_contract(contract, call, Coins(0), &[]).await?;
    let Outcome::Conflict { message, .. } = refused else {
        return Err(format!("nobody was there to agree: {refused:?}").into());
    };
    println!("           the call is not agreed to ({message})");

    let outcome = honest.force_progress(contract, call, Coins(0), ForcedGas::default()).await?;
    posted(outcome)?;
    let forced = result(&honest, contract)?;
    let Ended::Returned(_) = forced.ended else { return Err(format!("forced in vain: {forced:?}").into()) };
    println!("forced     on chain, with {} gas", forced.gas_used);
    posted(honest.close_solo().await?)?;
    println!("closed     without the other side");
    let Tx::ChannelSettle(settle) = posted(honest.settle().await?)? else {
        return Err("another transaction settles".into());
    };
    let settled = [settle.initiator_amount_final, settle.responder_amount_final];
    println!("settled    {} and {} mAE", milli(settled[0]), milli(settled[1]));
    honest.serve().await?;

    let payer = honest.account();
    let gas = u128::from(forced.gas_used) * forced.gas_price.0;
    for (place, account) in stage.accounts().into_iter().enumerate() {
        let (Some(before), Some(after)) = (before[place], stage.on_chain(account)) else { continue };
        let gas = if account == payer { gas } else { 0 };
        let spent = BUDGET.0 + stage.fees(channel, account).0 + gas;
        if after.0 + spent != before.0 + settled[place].0 {
            let settled = settled[place];
            let sums = format!("had {before}, spent {spent}, was settled {settled}, and has {after}");
            return Err(format!("{account} {sums} on chain").into());
        }
    }
    Ok(Ending { settled, forced, rounds, elapsed })
}

/// Counts the rounds since it was made.
pub struct Clock {
    started: Instant,
    first: u64,
}

impl Clock {
    pub fn start(party: &Party) -> Self {
        Self { started: Instant::now(), first: round(party) }
    }

    /// Rounds and time so far; says so.
    pub fn stop(self, party: &Party) -> (u64, Duration) {
        let (rounds, elapsed) = (round(party) - self.first, self.started.elapsed());
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        println!("           {rounds} rounds in {millis} ms, {}/s", rounds * 1_000 / millis);
        (rounds, elapsed)
    }
}

/// What the call came to that made the latest round.
pub fn result(caller: &Party, contract: ContractId) -> Result<Called, Failure> {
    let called = caller.book().and_then(|book| book.called(contract, caller.account()));
    called.ok_or_else(|| "the latest round has no such call".into())
}

/// The balances in the channel, in thousandths of an AE: both sides' and the contract's.
pub fn balances(party: &Party, stage: &Stage, contract: ContractId) -> String {
    let [one, other] = stage.accounts();
    let of = |account| party.book().map_or(Coins(0), |book| book.balance(account));
    let held = party.book().map_or(Coins(0), |book| book.contract_balance(contract));
    format!("{:>5} | {:>5} | {:>5}", milli(of(one)), milli(of(other)), milli(held))
}

/// Aettos as thousandths of an AE.
pub fn milli(coins: Coins) -> u128 {
    coins.0 / MILLI_AE
}

fn posted(outcome: Outcome) -> Result<Tx, Failure> {
    match outcome {
        Outcome::OnChain(tx) => Ok(tx.tx().clone()),
        other => Err(format!("not posted: {other:?}").into()),
    }
}

fn round(party: &Party) -> u64 {
    party.book().map_or(0, |book| book.round().0)
}

/// Reads a secret key of the command line; an error says which, and does not repeat it.
fn secret_key(which: &str, text: &str) -> Result<SecretKey, Failure> {
    text.parse::<SecretKey>().map_err(|why| format!("the {which} secret key: {why}").into())
}

/// A port that nobody listens on now, for the two sides to meet at.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
