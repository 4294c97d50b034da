//! The contract examples, played to their end over real sockets; and what in their contracts no game comes to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../examples/escrow/escrow.rs"]
mod escrow;
#[path = "../../examples/meter/meter.rs"]
mod meter;
#[path = "../../examples/stage.rs"]
#[expect(dead_code, reason = "the command line is for the programs")]
mod stage;
#[path = "../../examples/tictactoe/tictactoe.rs"]
mod tictactoe;

mod referee;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use referee::{ALICE, BOB, Referee, words};
use stage::{Ending, MILLI_AE, Stage};
use strait_client::{Program, value};
use strait_encoding::{Coins, ContractId, SecretKey};
use strait_service::Dev;
use strait_service::config::{Config, HostPort, WindowAddr};

macro_rules! sources {
    ($($path:literal),*) => {
        [$((
            concat!($path, ".aes"),
            include_str!(concat!("../../examples/", $path, ".aes")),
            include_str!(concat!("../../examples/", $path, ".bytecode")),
        )),*]
    };
}

fn milli(amount: u128) -> Coins {
    Coins(amount * MILLI_AE)
}

async fn with_stage(play: impl AsyncFnOnce(&Stage) -> Result<Ending, stage::Failure>) -> Ending {
    let stage = Stage::embedded().await.unwrap();
    let ending = play(&stage).await.unwrap();
    stage.leave().await;
    ending
}

// Each of the three checks what both accounts own on chain in the end, to the coin: it fails otherwise.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_winner_of_a_game_is_paid_though_the_loser_walks_off() {
    let ending = with_stage(tictactoe::play).await;
    // Alice lost 100 in the first game and won 250 in the second.
    assert_eq!(ending.settled, [milli(1_150), milli(850)]);
    // Two contracts, two stakes each, seven moves and five.
    assert_eq!(ending.rounds, 18);
    assert_eq!(ending.forced.log.len(), 2, "a move and a payment");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_is_paid_for_each_unit_and_the_rest_of_the_deposit_goes_back() {
    let ending = with_stage(meter::play).await;
    assert_eq!(ending.settled, [milli(957), milli(1_043)]);
    // The contract, two deposits, forty units redeemed by four.
    assert_eq!(ending.rounds, 13);
    assert_eq!(ending.forced.returned::<Coins>(), Ok(milli(17)), "what was refunded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verdict_of_the_arbiter_decides_who_is_paid() {
    let ending = with_stage(escrow::play).await;
    // 200 for the first deal, 70 in a hundred of 200 for the second.
    assert_eq!(ending.settled, [milli(660), milli(1_340)]);
    // The arbiter; two contracts, two payments, a release, a lie.
    assert_eq!(ending.rounds, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_runs_already_will_do() {
    let any_port = || HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let (channel_addr, node_addr) = (any_port(), any_port());
    let config = Config { channel_addr, node_addr, operator_addr: WindowAddr(None), ..Config::default() };
    let dev = Dev::start(&config).await.unwrap();
    let keys = [dev.accounts()[2].key.clone(), dev.accounts()[3].key.clone()];
    let ending = escrow::play(&Stage::at(&dev.channel_url(), keys).unwrap()).await.unwrap();
    assert_eq!(ending.settled, [milli(660), milli(1_340)]);
    dev.stop().await;
}

#[test]
fn the_bytecode_is_of_the_source_next_to_it() {
    let versions = [
        include_str!("../../examples/tictactoe/compiler-version"),
        include_str!("../../examples/meter/compiler-version"),
        include_str!("../../examples/escrow/compiler-version"),
        include_str!("../../examples/escrow/compiler-version"),
    ];
    let sources = sources!["tictactoe/tictactoe", "meter/meter", "escrow/escrow", "escrow/arbiter"];
    for ((path, source, bytecode), version) in sources.into_iter().zip(versions) {
        let program = Program::from_text(bytecode).unwrap();
        let hash = Blake2b::<U32>::digest(source.as_bytes());
        assert_eq!(program.source_hash(), &hash[..], "{path} was changed and not compiled");
        assert_eq!(program.compiler(), version.trim(), "{path}");
    }
}

/// Two stakes of 10 are in, and Alice, who is cross, has moved onto cell 4; it is Bob's turn.
fn game_at_height_100() -> (Referee, ContractId) {
    let mut referee = Referee::new(include_str!("../../examples/tictactoe/tictactoe.bytecode"));
    let game = referee.make(ALICE, &[value(&ALICE), value(&BOB), value(&10_u64), value(&20_u64)]);
    referee.height = 100;
    referee.returns(ALICE, game, "join", &[], 10);
    referee.returns(BOB, game, "join", &[], 10);
    referee.returns(ALICE, game, "play", &[value(&4_u64)], 0);
    (referee, game)
}

#[test]
fn who_does_not_move_in_time_loses_the_pot() {
    let (mut referee, game) = game_at_height_100();
    let claim = |deadline: u64| [value(&deadline)];
    assert_eq!(referee.refused(BOB, game, "claim", &claim(120), 0), "YOUR_OWN_TURN");
    assert_eq!(referee.refused(ALICE, game, "claim", &claim(119), 0), "TOO_SOON");
    assert_eq!(referee.refused(ALICE, game, "collect", &[], 0), "NOTHING_CLAIMED");
    referee.returns(ALICE, game, "claim", &claim(120), 0);
    referee.height = 120;
    assert_eq!(referee.refused(ALICE, game, "collect", &[], 0), "NOT_YET");
    referee.height = 121;
    referee.returns(ALICE, game, "collect", &[], 0);
    assert_eq!(referee.balances(game), [1_010, 990, 0]);
    assert_eq!(referee.refused(BOB, game, "play", &[value(&0_u64)], 0), "NOT_RUNNING");
}

#[test]
fn who_waits_for_a_player_in_vain_takes_the_stake_back() {
    let mut referee = Referee::new(include_str!("../../examples/tictactoe/tictactoe.bytecode"));
    let game = referee.make(ALICE, &[value(&ALICE), value(&BOB), value(&10_u64), value(&20_u64)]);
    referee.returns(BOB, game, "join", &[], 10);
    assert_eq!(referee.refused(BOB, game, "join", &[], 10), "NOT_A_PLAYER_THAT_OWES");
    assert_eq!(referee.refused(ALICE, game, "leave", &[], 0), "NOTHING_PAID");
    referee.returns(BOB, game, "leave", &[], 0);
    assert_eq!(referee.balances(game), [1_000, 1_000, 0]);
    assert_eq!(referee.refused(BOB, game, "leave", &[], 0), "NOTHING_PAID");
    referee.returns(ALICE, game, "join", &[], 10);
    referee.returns(BOB, game, "join", &[], 10);
    assert_eq!(referee.refused(BOB, game, "leave", &[], 0), "NOT_WAITING");
}

#[test]
fn a_move_ends_a_claim() {
    let (mut referee, game) = game_at_height_100();
    referee.returns(ALICE, game, "claim", &[value(&120_u64)], 0);
    referee.height = 130;
    referee.returns(BOB, game, "play", &[value(&0_u64)], 0);
    assert_eq!(referee.refused(ALICE, game, "collect", &[], 0), "NOTHING_CLAIMED");
    assert_eq!(referee.balances(game), [990, 990, 20]);
}

#[test]
fn the_game_takes_no_move_against_its_rules_and_a_full_board_gives_both_stakes_back() {
    let (mut referee, game) = game_at_height_100();
    let cell = |cell: i64| [strait_fate::Value::from(cell)];
    for (who, on, why) in [
        (ALICE, 0, "NOT_YOUR_TURN"),
        (BOB, 9, "NO_SUCH_CELL"),
        (BOB, -1, "NO_SUCH_CELL"),
        (BOB, 4, "CELL_TAKEN"),
    ] {
        assert_eq!(referee.refused(who, game, "play", &cell(on), 0), why);
    }
    assert_eq!(referee.refused(BOB, game, "join", &[], 10), "NOT_WAITING");
    //  X O X
    //  X X O
    //  O X O
    for (who, on) in [(BOB, 1), (ALICE, 0), (BOB, 8), (ALICE, 2), (BOB, 6), (ALICE, 7), (BOB, 5), (ALICE, 3)]
    {
        referee.returns(who, game, "play", &cell(on), 0);
    }
    assert_eq!(referee.balances(game), [1_000, 1_000, 0]);
}

#[test]
fn the_meter_takes_what_is_proven_and_no_more() {
    let mut referee = Referee::new(include_str!("../../examples/meter/meter.bytecode"));
    // Six links: h0 stands for nothing, h5 for five units.
    let mut chain = vec![[9; 32]];
    for _ in 0..5 {
        chain.push(Blake2b::<U32>::digest(chain[chain.len() - 1]).into());
    }
    chain.reverse();
    let [customer, provider] = [value(&ALICE), value(&BOB)];
    let meter = referee
        .make(ALICE, &[customer, provider, value(&10_u64), value(&5_u64), value(&3_u64), value(&chain[0])]);
    assert_eq!(referee.refused(BOB, meter, "deposit", &[], 10), "NOT_THE_CUSTOMER");
    assert_eq!(referee.refused(ALICE, meter, "deposit", &[], 51), "MORE_THAN_THE_LIMIT_COSTS");
    referee.returns(ALICE, meter, "deposit", &[], 40);
    for (link, units, why) in [
        (2, 1, "NOT_OF_THE_CHAIN"),
        (2, 3, "NOT_OF_THE_CHAIN"),
        (4, 4, "TOO_MANY_AT_ONCE"),
        (0, 0, "NO_UNITS"),
    ] {
        let arguments = words(chain[link], units);
        assert_eq!(referee.refused(BOB, meter, "redeem", &arguments, 0), why);
    }
    assert_eq!(referee.refused(ALICE, meter, "redeem", &words(chain[2], 2), 0), "NOT_THE_PROVIDER");
    referee.returns(BOB, meter, "redeem", &words(chain[3], 3), 0);
    assert_eq!(referee.refused(BOB, meter, "redeem", &words(chain[5], 2), 0), "DEPOSIT_USED_UP");
    assert_eq!(referee.refused(BOB, meter, "redeem", &words(chain[5], 3), 0), "OVER_THE_LIMIT");
    assert_eq!(referee.balances(meter), [960, 1_030, 10]);
    assert_eq!(referee.refused(BOB, meter, "refund", &[], 0), "NOT_THE_CUSTOMER");
    referee.returns(ALICE, meter, "refund", &[], 0);
    assert_eq!(referee.balances(meter), [970, 1_030, 0]);
    assert_eq!(referee.refused(BOB, meter, "redeem", &words(chain[4], 1), 0), "CLOSED");
}

#[test]
fn the_escrow_hears_its_arbiter_and_nobody_else() {
    let judge = SecretKey::from_seed([42; 32]);
    let mut referee = Referee::new(include_str!("../../examples/escrow/arbiter.bytecode"));
    let arbiter = referee.make(BOB, &[value(&judge.account())]);
    referee.program(include_str!("../../examples/escrow/escrow.bytecode"));
    let deal = [value(&arbiter), value(&[5_u8; 32]), value(&ALICE), value(&BOB), value(&100_u64)];
    let till = referee.make(ALICE, &deal);
    assert_eq!(referee.refused(ALICE, till, "fund", &[], 99), "WRONG_PRICE");
    assert_eq!(referee.refused(BOB, till, "fund", &[], 100), "NOT_THE_BUYER");
    assert_eq!(referee.refused(ALICE, till, "release", &[], 0), "NOT_HOLDING");
    referee.returns(ALICE, till, "fund", &[], 100);
    assert_eq!(referee.refused(BOB, till, "release", &[], 0), "NOT_THE_BUYER");
    assert_eq!(referee.refused(ALICE, till, "give_back", &[], 0), "NOT_THE_SELLER");
    let lost = strait_fate::Value::variant(vec![0, 0, 1], 1, Vec::new());
    let forged = value(&[0_u8; 64]);
    assert_eq!(referee.refused(ALICE, till, "settle", &[lost, forged], 0), "NOT_THE_VERDICT");
    referee.returns(BOB, till, "give_back", &[], 0);
    assert_eq!(referee.balances(till), [1_000, 1_000, 0]);
}
