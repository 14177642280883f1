//! Leader election by a `Lease`, as client-go does it: every write carries the version that it was decided on, so two
//! can never both hold the lease; whether another's lease ran out is judged by one's own monotonic clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::{Api, Client};

use crate::writer::{self, Writer};

/// How often the lease is renewed, and tried for, within its duration.
const TRIES: u32 = 5;

/// A candidate for the lease.
pub struct Candidate {
    leases: Api<Lease>,
    writer: Writer,
    namespace: String,
    name: String,
    identity: String,
    duration: Duration,
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// Someone who wants the lease `namespace/name` under the name `identity`, for `duration` at a time.
    #[must_use]
    pub fn new(
        client: Client,
        writer: Writer,
        namespace: &str,
        name: &str,
        identity: &str,
        duration: Duration,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            writer,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration,
            seen: None,
        }
    }

    /// Waits until the lease is held, and says since when at the latest.
    pub async fn acquire(&mut self) -> Instant {
        loop {
            let began = Instant::now();
            match tokio::time::timeout(self.duration, self.try_once()).await {
                Ok(Ok(true)) => return began,
                Ok(Ok(false)) => {}
                Err(_) => tracing::warn!("the Kubernetes API does not answer; the lease is tried for again"),
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the lease cannot be read or written")
                }
            }
            tokio::time::sleep(self.duration / TRIES).await;
        }
    }

    /// Renews the lease, which is held since `held`, for as long as that works; returns when it is lost, and nothing may
    /// be written any more.
    pub async fn hold(&mut self, mut held: Instant) {
        loop {
            tokio::time::sleep(self.duration / TRIES).await;
            let left = self.duration.saturating_sub(held.elapsed());
            let began = Instant::now();
            match tokio::time::timeout(left, self.try_once()).await {
                Ok(Ok(true)) => held = began,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be renewed")
                }
                Err(_) => return,
            }
            if held.elapsed() >= self.duration {
                return;
            }
        }
    }

    /// Gives the lease back, so that the next holder need not wait.
    ///
    /// # Errors
    /// When it cannot be read or written; it then runs out by itself.
    pub async fn release(&mut self) -> Result<(), writer::Error> {
        loop {
            let Some(mut lease) = self.leases.get_opt(&self.name).await? else { return Ok(()) };
            let mine = |spec: &&mut LeaseSpec| spec.holder_identity.as_deref() == Some(&self.identity);
            let Some(spec) = lease.spec.as_mut().filter(mine) else { return Ok(()) };
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            match self.writer.replace(&lease).await {
                // A renewal that was under way came first.
                Err(error) if error.is_conflict() => {}
                written => return written.map(drop),
            }
        }
    }

    /// One try to take or renew the lease; says whether it is held now.
    async fn try_once(&mut self) -> Result<bool, writer::Error> {
        let written = match self.leases.get_opt(&self.name).await? {
            None => self.writer.create(&self.fresh()).await.map(drop),
            Some(lease) => match self.taken(lease) {
                None => return Ok(false),
                Some(lease) => self.writer.replace(&lease).await.map(drop),
            },
        };
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn fresh(&self) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(self.spec(None)) }
    }

    /// The lease as it would be ours; `None` while it is another's.
    fn taken(&mut self, mut lease: Lease) -> Option<Lease> {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => Instant::now(),
        };
        self.seen = Some((version, since));
        let old = lease.spec.take().unwrap_or_default();
        let holder = old.holder_identity.as_deref().unwrap_or_default();
        let granted = u64::try_from(old.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let free = holder.is_empty() || since.elapsed() > Duration::from_secs(granted);
        if holder != self.identity && !free {
            return None;
        }
        lease.spec = Some(self.spec(Some(&old)));
        Some(lease)
    }

    fn spec(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let mine = old.is_some_and(|old| old.holder_identity.as_deref() == Some(&self.identity));
        let transitions = old.and_then(|old| old.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
            acquire_time: if mine { old.and_then(|old| old.acquire_time.clone()) } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(old.is_some() && !mine)),
            ..LeaseSpec::default()
        }
    }
}
