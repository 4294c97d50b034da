//! An escrow with an arbiter, in a channel: see `examples/README.md`.

mod escrow;
#[path = "../stage.rs"]
mod stage;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    stage::ended(played().await)
}

async fn played() -> Result<(), stage::Failure> {
    let stage = stage::Stage::from_args().await?;
    println!("{}", escrow::play(&stage).await?);
    stage.leave().await;
    Ok(())
}
