use super::*;

#[test]
fn an_answer_is_forgotten_when_its_time_is_over() {
    let (memory, start) = (Memory::new(Duration::from_secs(10), 8), Instant::now());
    memory.put([1; 32], "yes", start);
    assert_eq!(memory.get(&[1; 32], start + Duration::from_millis(9_999)), Some("yes"));
    assert_eq!(memory.get(&[1; 32], start + Duration::from_secs(10)), None);
    assert_eq!(memory.get(&[2; 32], start), None);
}

#[test]
fn no_more_answers_than_allowed_are_kept() {
    let (memory, start) = (Memory::new(Duration::from_secs(10), 4), Instant::now());
    let later = start + Duration::from_secs(9);
    for n in 0..3 {
        memory.put([n; 32], n, start);
    }
    memory.put([3; 32], 3, later);
    let end = start + Duration::from_secs(11);
    memory.put([4; 32], 4, end);
    assert_eq!((memory.get(&[3; 32], end), memory.get(&[4; 32], end)), (Some(3), Some(4)), "the outdated went");
    for n in 5..100 {
        memory.put([n; 32], n, end);
        assert!(memory.answers.lock().unwrap().len() <= 4);
        assert_eq!(memory.get(&[n; 32], end), Some(n));
    }
}
