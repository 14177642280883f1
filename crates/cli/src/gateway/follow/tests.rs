use super::*;

/// Makes connections of a minute on which something comes for `alive`, until one is an error; how long that took, at
/// most an hour, and how often something was told.
async fn connect_again_and_again(outage: &mut Outage, alive: Duration) -> (Duration, usize) {
    let (start, mut told) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(3600) {
        tokio::time::sleep(outage.pause()).await;
        tokio::time::sleep(SILENCE_LIMIT).await;
        match outage.stream_ended(alive) {
            Ok(error) => told += usize::from(error.is_some()),
            Err(_) => break,
        }
    }
    (start.elapsed(), told)
}

#[tokio::test(start_paused = true)]
async fn connections_that_bring_nothing_are_told_once_and_given_up() {
    let mut outage = Outage::default();
    let (took, told) = connect_again_and_again(&mut outage, Duration::ZERO).await;
    assert_eq!(told, 1);
    assert!(took > PATIENCE && took < PATIENCE + 2 * (SILENCE_LIMIT + LONGEST_PAUSE), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_quiet_is_not_given_up() {
    let (took, told) = connect_again_and_again(&mut Outage::default(), STEADY).await;
    assert_eq!(told, 0);
    assert!(took >= Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_an_outage() {
    let mut outage = Outage::default();
    assert!(outage.goes_on(Error::NothingCame).unwrap().is_some());
    tokio::time::sleep(PATIENCE).await;
    outage.is_over();
    assert!(outage.stream_ended(Duration::ZERO).unwrap().is_none(), "it brought something");
    assert_eq!(outage.pause(), Duration::ZERO);
    assert!(outage.stream_ended(Duration::ZERO).unwrap().is_some(), "the next one did not");
}
