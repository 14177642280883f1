use std::io;

use futures::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::*;

/// Sends a byte after each of the pauses, and nothing more for ever.
fn slow(pauses: &[u64]) -> impl Body<Data = Bytes, Error = io::Error> + Unpin + use<> {
    let bytes = stream::iter(pauses.to_vec()).then(async |seconds| {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(Frame::data(Bytes::from_static(b"x")))
    });
    StreamBody::new(Box::pin(bytes.chain(stream::pending())))
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_long_but_not_fall_silent() {
    let mut body = slow(&[29; 100]);
    for _ in 0..100 {
        assert_eq!(chunk(&mut body).await.unwrap().unwrap(), "x");
    }
    let error = chunk(&mut body).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the gateway fell silent in the middle of its answer: nothing came for 30 s; try again"
    );
    assert!(matches!(collect(slow(&[1, 2]), 10).await, Err(Error::Silent(_))));
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_bounded() {
    assert!(matches!(collect(slow(&[0; 11]), 10).await, Err(Error::Protocol(_))));
}
