//! Two games for stakes. The first is played to its end; in the second Bob sees that he will lose and walks off.

use strait_client::{Consent, FateValue, Party, Program, value};
use strait_encoding::{AccountId, Coins, ContractId};
use strait_fate::Value;

use crate::stage::{
    Clock, Ending, Failure, MILLI_AE, Stage, balances, call, call_declined, create, end_alone,
};

const CODE: &str = include_str!("tictactoe.bytecode");

/// The most that anybody plays for here.
const LIMIT: Coins = Coins(250 * MILLI_AE);

/// Key blocks that a player has to answer a claim.
const PATIENCE: u64 = 20;

/// Plays both games; gives how the channel ended.
pub async fn play(stage: &Stage) -> Result<Ending, Failure> {
    let program = Program::from_text(CODE)?;
    let [a, b] = stage.accounts();
    let before = [stage.on_chain(a), stage.on_chain(b)];
    let [mut alice, mut bob] = stage.open([rules(&program, [a, b]), rules(&program, [a, b])]).await?;
    let clock = Clock::start(&alice);

    println!("\n                                       Alice |   Bob |   pot");
    let stake = Coins(100 * MILLI_AE);
    let first = Game::begin(stage, &program, [&mut alice, &mut bob], stake).await?;
    for cell in [0, 4, 1, 2] {
        first.make_move([&mut alice, &mut bob], cell).await?;
    }
    // The contract knows the rules: what breaks them changes nothing but the round.
    first.make_move([&mut alice, &mut bob], 4).await?;
    for cell in [3, 6] {
        first.make_move([&mut alice, &mut bob], cell).await?;
    }

    println!("\nThe second game: Bob begins, for more.");
    let second = Game::begin(stage, &program, [&mut bob, &mut alice], LIMIT).await?;
    for cell in [0, 4, 1, 2, 3] {
        second.make_move([&mut bob, &mut alice], cell).await?;
    }
    second.show(&mut alice).await?;
    // Alice has not agreed to a claim: she is there, nobody has to claim anything.
    let claim = program.call("claim", &[value(&1_000_000_u64)])?;
    call_declined(&mut bob, &mut alice, second.contract, &claim).await?;
    let timing = clock.stop(&alice);

    bob.disconnect().await?;
    let winning = program.call("play", &[value(&6_u64)])?;
    end_alone(stage, alice, before, second.contract, &winning, timing).await
}

/// What each side lets the other one do: begin a game between the two for a stake that is not too high, join it, and move.
fn rules(program: &Program, players: [AccountId; 2]) -> Consent {
    let fair = move |arguments: &[Value]| {
        let [cross, nought, stake, patience] = arguments else { return false };
        let both = [cross, nought].map(AccountId::from_fate);
        (both == players.map(Some) || both == [players[1], players[0]].map(Some))
            && Coins::from_fate(stake).is_some_and(|stake| stake <= LIMIT)
            && *patience == value(&PATIENCE)
    };
    Consent::none().to_if(program, "init", Coins(0), fair).to(program, "join", LIMIT).to(
        program,
        "play",
        Coins(0),
    )
}

struct Game<'a> {
    stage: &'a Stage,
    program: &'a Program,
    contract: ContractId,
}

impl<'a> Game<'a> {
    /// The first of both makes the game, and the first move.
    async fn begin(
        stage: &'a Stage,
        program: &'a Program,
        [cross, nought]: [&mut Party; 2],
        stake: Coins,
    ) -> Result<Game<'a>, Failure> {
        let players = [value(&cross.account()), value(&nought.account())];
        let [x, o] = players;
        let init = program.call("init", &[x, o, value(&stake), value(&PATIENCE)])?;
        let contract = create(cross, nought, program, &init).await?;
        let game = Self { stage, program, contract };
        let join = program.call("join", &[])?;
        call(cross, nought, contract, &join, stake).await?.returned::<Value>()?;
        call(nought, cross, contract, &join, stake).await?.returned::<Value>()?;
        println!("stakes are in                        {}", balances(nought, stage, contract));
        Ok(game)
    }

    /// Whoever's turn it is marks a cell; of both, cross stands first.
    async fn make_move(&self, [cross, nought]: [&mut Party; 2], cell: u64) -> Result<(), Failure> {
        let whose = self.program.call("to_move", &[])?;
        let mover: AccountId = cross.dry_run(self.contract, &whose, Coins(0)).await?.returned()?;
        let (mark, mover, other) =
            if mover == cross.account() { ("X", cross, nought) } else { ("O", nought, cross) };
        let play = self.program.call("play", &[value(&cell)])?;
        let called = call(mover, other, self.contract, &play, Coins(0)).await?;
        let said = match called.returned::<Value>() {
            Ok(_) if called.log.len() == 1 => "1 event".to_owned(),
            Ok(_) => format!("{} events", called.log.len()),
            Err(refused) => refused.to_string(),
        };
        let now = balances(mover, self.stage, self.contract);
        println!("{mark} on {cell}   {:>6} gas                  {now}   {said}", called.gas_used);
        Ok(())
    }

    /// Prints the board, as Alice sees it.
    async fn show(&self, alice: &mut Party) -> Result<(), Failure> {
        let board = self.program.call("board", &[])?;
        let cells: Vec<Option<AccountId>> =
            alice.dry_run(self.contract, &board, Coins(0)).await?.returned()?;
        let me = alice.account();
        let mark = |cell: &Option<AccountId>| match cell {
            Some(owner) if *owner == me => "A",
            Some(_) => "B",
            None => ".",
        };
        for row in cells.chunks(3) {
            println!("           {}", row.iter().map(mark).collect::<Vec<_>>().join(" "));
        }
        Ok(())
    }
}
