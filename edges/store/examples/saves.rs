//! Measures saves: `saves <directory> <power|process> <callers> <saves per caller>`.
//!
//! Each caller saves records of 1,500 to 2,500 bytes of its own channel, one after the other, on a runtime of
//! two threads. Nothing may be in the directory's store that is worth keeping.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use strait_store::{ChannelKey, Durability, Record, Role, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, durability, callers, saves] = arguments.as_slice() else {
        return Err("expected: saves <directory> <power|process> <callers> <saves per caller>".into());
    };
    let (dir, durability): (&Path, Durability) = (dir.as_ref(), durability.parse()?);
    let (callers, saves): (u16, u32) = (callers.parse()?, saves.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let store = Store::open(dir, durability)?;
    println!("sync of 4 KiB: {:?} (median of 200)", Store::measure_sync(dir, 200)?);

    let begin = Instant::now();
    let mut times = runtime.block_on(run(&store, callers, saves))?;
    let elapsed = begin.elapsed();
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    let count = u32::try_from(times.len())?;
    println!("{durability}, {callers} callers: {:?} per save, {:.0} saves/s", elapsed / count, {
        f64::from(count) / elapsed.as_secs_f64()
    });
    println!(
        "a caller waits: median {:?}, 99 % {:?}, 99.9 % {:?}, most {:?}",
        at(500),
        at(990),
        at(999),
        at(1000)
    );
    println!("{:?}", store.stats());

    let begin = Instant::now();
    let loaded = store.load()?;
    println!("loaded {} records in {:?}", loaded.records.len(), begin.elapsed());
    runtime.block_on(store.close())?;
    Ok(())
}

async fn run(store: &Store, callers: u16, saves: u32) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&caller.to_be_bytes());
            let key = ChannelKey::new(key);
            store.delete(key).await?;
            let mut times = Vec::new();
            for step in 1..=u64::from(saves) {
                let begin = Instant::now();
                store.save(record(key, step)).await?;
                times.push(begin.elapsed());
            }
            Ok::<_, strait_store::StoreError>(times)
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    Ok(times)
}

fn record(key: ChannelKey, step: u64) -> Record {
    let bytes = 1500 + usize::try_from(step * 7919 % 1000).unwrap_or(0);
    Record {
        key,
        step,
        channel_id: Some([2; 32]),
        own_account: [3; 32],
        role: Role::Initiator,
        door: [4; 32],
        state: vec![b'x'; bytes],
    }
}
