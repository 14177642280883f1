use super::*;

#[tokio::test(start_paused = true)]
async fn work_is_limited_only_after_sigterm() {
    let stopping = watch::Sender::new(None);
    let hour = || tokio::time::sleep(Duration::from_secs(3600));
    assert!(before(&stopping, LOG, hour()).await.is_some());
    stopping.send_replace(Some(Instant::now()));
    assert!(before(&stopping, LOG, hour()).await.is_none());
    assert!(before(&stopping, LOG, async {}).await.is_some());
}
