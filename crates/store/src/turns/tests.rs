use super::*;

fn run(uid: &str) -> Run {
    Run::new("team", uid).unwrap()
}

#[tokio::test]
async fn a_run_stores_one_artifact_at_a_time_and_all_together_so_many() {
    let turns = Turns { patience: Duration::from_millis(10), ..Turns::default() };
    let first = turns.wait(&run("0")).await.unwrap();
    assert!(matches!(turns.wait(&run("0")).await, Err(StoreError::Busy)), "one of the run is being stored");
    let mut others = Vec::new();
    for n in 1..UPLOADS {
        others.push(turns.wait(&run(&n.to_string())).await.unwrap());
    }
    assert!(matches!(turns.wait(&run("more")).await, Err(StoreError::Busy)));
    drop(first);
    turns.wait(&run("more")).await.unwrap();
}

#[tokio::test]
async fn who_waits_gets_the_turn_when_it_is_free() {
    let turns = Turns::default();
    let run = run("0");
    let first = turns.wait(&run).await.unwrap();
    let mut second = Box::pin(turns.wait(&run));
    assert!(futures::poll!(&mut second).is_pending());
    drop(first);
    second.await.unwrap();
}
