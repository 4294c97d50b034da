//! State that survives: kill -9, orderly stops, a disk that refuses.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use strait_client::{ChannelIds, Party, Role};
use strait_encoding::SecretKey;

use crate::stage::{Pair, config, free_port, pay, round_of};

/// The program itself, so that it can be killed.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(dir: &Path, port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strait"))
            .args(["dev", "--node-addr", "127.0.0.1:0", "--durability", "process", "--channel-addr"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("--data-dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line =
            lines.find(|line| line.starts_with("channels")).expect("the program says where it listens");
        Self { child, url: line.split_whitespace().last().unwrap().to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        (self.child.wait().unwrap().code(), asked.elapsed())
    }
}

fn keys() -> (SecretKey, SecretKey) {
    let accounts = strait_chain::dev_accounts();
    (accounts[4].key.clone(), accounts[5].key.clone())
}

async fn come_back(url: &str, pair: &Pair, ids: (ChannelIds, ChannelIds)) -> (Party, Party) {
    let (ours, theirs) = (pair.params(Role::Initiator), pair.params(Role::Responder));
    let (responder, initiator) = tokio::join!(
        Party::reconnect(url, &theirs, ids.1, pair.responder.clone()),
        Party::reconnect(url, &ours, ids.0, pair.initiator.clone())
    );
    (initiator.unwrap(), responder.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_both_sides_go_on_from_the_last_agreed_round() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut program = Program::start(dir.path(), port);
    let pair = Pair::new(keys().0, keys().1);
    let (mut alice, mut bob) = pair.open(&program.url).await;
    let mut agreed = 1;
    // The program dies in the middle of a payment, each time a little later in its course.
    for moment in 0..6u64 {
        for _ in 0..3 {
            agreed = round_of(&pay(&mut alice, &mut bob, 10).await);
        }
        let ids = (alice.ids().unwrap(), bob.ids().unwrap());
        let interrupted = async {
            tokio::select! {
                outcome = alice.pay(strait_encoding::Coins(1), &[]) => drop(outcome),
                ended = bob.serve() => drop(ended),
            }
        };
        // How far the payment gets is up to the machine; what holds afterwards is not.
        drop(tokio::time::timeout(Duration::from_micros(300 * moment), interrupted).await);
        program.kill();
        program = Program::start(dir.path(), port);
        (alice, bob) = come_back(&program.url, &pair, ids).await;
        let (ours, theirs) = (alice.offchain_state().await.unwrap(), bob.offchain_state().await.unwrap());
        assert_eq!(ours.signed_tx, theirs.signed_tx, "both sides have the same state");
        let next = round_of(&pay(&mut bob, &mut alice, 10).await);
        assert!(next == agreed + 1 || next == agreed + 2, "round {next} after {agreed}");
    }
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_asked_to_stops_at_once_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let program = Program::start(dir.path(), port);
    let pair = Pair::new(keys().0, keys().1);
    let (mut alice, mut bob) = pair.open(&program.url).await;
    let before = round_of(&pay(&mut alice, &mut bob, 10).await);
    let ids = (alice.ids().unwrap(), bob.ids().unwrap());
    let (code, took) = program.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(2), "stopping took {took:?}");

    let program = Program::start(dir.path(), port);
    let (mut alice, mut bob) = come_back(&program.url, &pair, ids).await;
    assert_eq!(round_of(&pay(&mut bob, &mut alice, 10).await), before + 1);
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_service_does_not_open_the_same_folder() {
    let dir = tempfile::tempdir().unwrap();
    let config = strait_service::config::Config { data_dir: Some(dir.path().to_owned()), ..config() };
    let first = strait_service::Dev::start(&config).await.unwrap();
    let second = strait_service::Dev::start(&config).await.map(drop).unwrap_err().to_string();
    assert!(second.contains("in use"), "{second}");
    first.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_data_folder_is_its_owners_alone_and_one_that_cannot_be_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder =
        |name: &str| strait_service::config::Config { data_dir: Some(parent.path().join(name)), ..config() };
    let dev = strait_service::Dev::start(&folder("new")).await.unwrap();
    let mode = std::fs::metadata(parent.path().join("new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    dev.stop().await;

    std::fs::write(parent.path().join("file"), "").unwrap();
    let refused = strait_service::Dev::start(&folder("file")).await.map(drop).unwrap_err().to_string();
    let expected = format!("--data-dir {}: ", parent.path().join("file").display());
    assert!(refused.starts_with(&expected), "{refused}");
}
