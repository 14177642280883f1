use super::*;

#[test]
fn nothing_left_out_is_nothing_to_say() {
    assert_eq!(LeftOut::new(1).sentence(), None);
}

#[test]
fn names_come_first_and_then_the_count() {
    let mut left_out = LeftOut::new(1024);
    for number in 0..5 {
        left_out.too_large(format!("workspace/{number}"));
    }
    left_out.unreadable("home/secret".to_owned());
    let said = "no room (a checkpoint holds 1024 bytes): workspace/0, workspace/1, workspace/2 and 2 more; not \
                readable: home/secret";
    assert_eq!(left_out.sentence().unwrap(), said);
}

#[test]
fn a_sentence_keeps_its_bound_and_names_every_kind() {
    let mut left_out = LeftOut::new(u64::MAX);
    for number in 0..1000 {
        let path = format!("{number}{}", "x".repeat(4000));
        left_out.too_large(path.clone());
        left_out.unreadable(path.clone());
        left_out.changed(path);
    }
    let sentence = left_out.sentence().unwrap();
    assert!(sentence.len() <= MAX_PROBLEM, "{}", sentence.len());
    assert_eq!(sentence.matches("1000 files").count(), 3, "{sentence}");
}
