mod stub;
use strait_client::*;
use strait_encoding::{Coins, SecretKey};
use stub::Cheat;
#[tokio::test(flavor="multi_thread", worker_threads=2)]
async fn speed() {
    for verify in [true,false] {
    let url = stub::start(Cheat::Nothing).await;
    let key = |s: u8| SecretKey::from_seed([s+1;32]);
    let terms = Terms { initiator_amount: Coins(700_000_000_000_000), responder_amount: Coins(400_000_000_000_000), push_amount: Coins(1), channel_reserve: Coins(2), lock_period: 10 };
    let p = |r| OpenParams::new(r, 3114, Some(key(0).account()), key(1).account(), terms.clone());
    let (a,b)=(p(Role::Initiator),p(Role::Responder));
    let (mut a, mut b) = tokio::try_join!(Party::open(&url,&a,Signer::new(key(0)).verify_states(verify)),Party::open(&url,&b,Signer::new(key(1)).verify_states(verify))).unwrap();
    tokio::spawn(async move { b.serve().await });
    let cpu = || std::fs::read_to_string("/proc/self/stat").unwrap().split(' ').skip(13).take(2).map(|x| x.parse::<u64>().unwrap()).sum::<u64>();
    let (t,c)=(std::time::Instant::now(),cpu());
    for _ in 0..5000 { a.pay(Coins(1), &[]).await.unwrap(); }
    eprintln!("verify {verify}: {:?} per update, cpu {} us", t.elapsed()/5000, (cpu()-c)*10000/5000);
    }
}
