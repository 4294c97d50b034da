//! Tic-tac-toe for stakes, in a channel: see `examples/README.md`.

#[path = "../stage.rs"]
mod stage;
mod tictactoe;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    stage::ended(played().await)
}

async fn played() -> Result<(), stage::Failure> {
    let stage = stage::Stage::from_args().await?;
    println!("{}", tictactoe::play(&stage).await?);
    stage.leave().await;
    Ok(())
}
