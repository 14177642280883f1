use super::*;

#[tokio::test]
async fn a_signal_cancels_the_token() {
    let token = on_signal().unwrap();
    assert!(!token.is_cancelled());
    let id = std::process::id().to_string();
    assert!(std::process::Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &id]).status().unwrap().success());
    token.cancelled().await;
}
