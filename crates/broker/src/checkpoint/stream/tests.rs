use futures::{StreamExt, TryStreamExt};

use super::*;

/// What a body comes to whose sink was ended, or given up.
fn body(is_ended: bool) -> io::Result<usize> {
    let (mut sink, body) = sink();
    let writing = std::thread::spawn(move || {
        sink.write_all(&[1; 3 * PIECE]).unwrap();
        if is_ended { sink.end() } else { Ok(()) }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let length = runtime.block_on(body.map(|piece| piece.map(|bytes| bytes.len())).try_fold(0, async |a, b| Ok(a + b)));
    writing.join().unwrap().unwrap();
    length
}

#[test]
fn only_a_body_that_was_ended_ends_properly() {
    assert_eq!(body(true).unwrap(), 3 * PIECE);
    assert!(body(false).is_err());
}
