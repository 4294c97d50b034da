//! A service that is paid by the unit, in a channel: see `examples/README.md`.

mod meter;
#[path = "../stage.rs"]
mod stage;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    stage::ended(played().await)
}

async fn played() -> Result<(), stage::Failure> {
    let stage = stage::Stage::from_args().await?;
    println!("{}", meter::play(&stage).await?);
    stage.leave().await;
    Ok(())
}
