//! Faults between an operator and its API server, put in at exact places.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use kube::{client::Body, client::DynBody};
use tokio::sync::{Notify, watch};
use tower::{BoxError, Layer, Service};

/// What happens to the writes of an operator. Leases and Events are not counted: they are nobody's decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The operator dies just before its write of this number, from 1.
    DieBefore(usize),
    /// The operator dies just after it: the API server has taken the write, nobody hears of it.
    DieAfter(usize),
    /// The write of this number is answered with a conflict, and not taken.
    Conflict(usize),
    /// The write of this number is taken, and its answer lost.
    LoseAnswer(usize),
    /// The write of this number is answered with 503 and not taken.
    Unavailable(usize),
}

#[derive(Debug)]
struct State {
    fault: Fault,
    writes: AtomicUsize,
    log: Mutex<Vec<String>>,
    died: Notify,
    dead: AtomicBool,
    leases_held: AtomicBool,
    watches: watch::Sender<Watches>,
}

/// What happens to what watches bring.
#[derive(Clone, Copy, Debug, Default)]
struct Watches {
    /// The plural of the kind whose watches are held back.
    held: Option<&'static str>,
    cuts: u32,
}

/// A fault in one operator's way. Clones are the same fault.
#[derive(Clone, Debug)]
pub struct Faults(Arc<State>);

impl Faults {
    /// Puts in `fault`.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self(Arc::new(State {
            fault,
            writes: AtomicUsize::new(0),
            log: Mutex::default(),
            died: Notify::new(),
            dead: AtomicBool::new(false),
            leases_held: AtomicBool::new(false),
            watches: watch::Sender::new(Watches::default()),
        }))
    }

    /// The writes that were tried, as `VERB path`.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on what watches of one kind bring is held back, so that its cache grows stale; `None` lets it go on.
    pub fn hold_watches(&self, plural: Option<&'static str>) {
        self.0.watches.send_modify(|watches| watches.held = plural);
    }

    /// From now on no lease is read or written; it runs out while the operator works on.
    pub fn hold_leases(&self) {
        self.0.leases_held.store(true, Ordering::SeqCst);
    }

    /// Whether the write that the fault is for was tried.
    #[must_use]
    pub fn hit(&self) -> bool {
        let writes = self.0.writes.load(Ordering::SeqCst);
        match self.0.fault {
            Fault::None => true,
            Fault::DieBefore(number)
            | Fault::DieAfter(number)
            | Fault::Conflict(number)
            | Fault::LoseAnswer(number)
            | Fault::Unavailable(number) => writes >= number,
        }
    }

    /// Ends every watch connection that is open.
    pub fn cut_watches(&self) {
        self.0.watches.send_modify(|watches| watches.cuts += 1);
    }

    /// Returns once the operator is to die.
    pub async fn death(&self) {
        let died = self.0.died.notified();
        if !self.0.dead.load(Ordering::SeqCst) {
            died.await;
        }
    }

    fn die(&self) {
        self.0.dead.store(true, Ordering::SeqCst);
        self.0.died.notify_waiters();
        self.0.died.notify_one();
    }

    /// The number of a request among the writes that count.
    fn number(&self, request: &Request<Body>) -> Option<usize> {
        let path = request.uri().path();
        if request.method() == Method::GET || path.contains("/leases") || path.contains("/events") {
            return None;
        }
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} {path}", request.method()));
        Some(self.0.writes.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, faults: self.clone() }
    }
}

/// The service with a fault in it.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    faults: Faults,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Box<DynBody>>, BoxError>> + Send>>;

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let faults = self.faults.clone();
        if request.uri().query().is_some_and(|query| query.contains("watch=")) {
            let plural = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let answer = self.inner.call(request);
            return Box::pin(async move { Ok(answer.await?.map(|body| faults.watched(plural, body))) });
        }
        if faults.0.leases_held.load(Ordering::SeqCst) && request.uri().path().contains("/leases") {
            return Box::pin(std::future::pending());
        }
        let number = faults.number(&request);
        let hit = |wanted: usize| number == Some(wanted);
        match faults.0.fault {
            Fault::DieBefore(wanted) if hit(wanted) => Box::pin(async move {
                faults.die();
                std::future::pending().await
            }),
            Fault::Conflict(wanted) if hit(wanted) => Box::pin(async { Ok(refusal(StatusCode::CONFLICT, "Conflict")) }),
            Fault::Unavailable(wanted) if hit(wanted) => {
                Box::pin(async { Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")) })
            }
            Fault::DieAfter(wanted) if hit(wanted) => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    answer.await?;
                    faults.die();
                    std::future::pending().await
                })
            }
            Fault::LoseAnswer(wanted) if hit(wanted) => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    answer.await?;
                    Err("the connection broke before the answer".into())
                })
            }
            _ => Box::pin(self.inner.call(request)),
        }
    }
}

impl Faults {
    /// The body of a watch, held back or cut off as this fault says.
    fn watched(&self, plural: String, body: Box<DynBody>) -> Box<DynBody> {
        let mut watches = self.0.watches.subscribe();
        let cuts = watches.borrow_and_update().cuts;
        let frames = stream::unfold((body, watches, plural), move |(mut body, mut watches, plural)| async move {
            let frame = tokio::select! {
                frame = body.frame() => frame?,
                _ = watches.wait_for(|now| now.cuts != cuts) => return None,
            };
            watches.wait_for(|now| now.held != Some(plural.as_str()) || now.cuts != cuts).await.ok()?;
            Some((frame, (body, watches, plural)))
        });
        Box::new(StreamBody::new(Box::pin(frames)))
    }
}

fn refusal(code: StatusCode, reason: &str) -> Response<Box<DynBody>> {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code.as_u16(),
        "message": "put in by the fault harness", "metadata": {},
    });
    let body = Full::<Bytes>::from(status.to_string()).map_err(BoxError::from);
    let mut response = Response::new(Box::new(body) as Box<DynBody>);
    *response.status_mut() = code;
    response
}
