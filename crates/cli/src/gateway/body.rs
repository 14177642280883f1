//! Reading an answer's body, whose length nobody bounds but whose silence is.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use super::Error;

/// How long an answer that has begun may be silent before its end.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The next bytes of an answer; `None` at its end.
pub(crate) async fn chunk<B>(body: &mut B) -> Result<Option<Bytes>, Error>
where
    B: Body<Data = Bytes> + Unpin,
    Error: From<B::Error>,
{
    loop {
        let frame = tokio::time::timeout(SILENCE_LIMIT, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::Silent(SILENCE_LIMIT))? else { return Ok(None) };
        if let Ok(bytes) = frame?.into_data() {
            return Ok(Some(bytes));
        }
    }
}

/// A whole answer of at most `limit` bytes.
pub(super) async fn collect<B>(mut body: B, limit: usize) -> Result<Vec<u8>, Error>
where
    B: Body<Data = Bytes> + Unpin,
    Error: From<B::Error>,
{
    let mut whole = Vec::new();
    while let Some(bytes) = chunk(&mut body).await? {
        if whole.len() + bytes.len() > limit {
            return Err(Error::Protocol(format!("it has more than {limit} bytes")));
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
