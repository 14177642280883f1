//! Asking the broker, all the time, whether the agent has to end; and noticing that there is no broker.

use std::{path::PathBuf, time::Duration};

use drover_api::runner::Termination;
use tokio::{sync::watch, time::timeout};

use super::{broker_client::BrokerClient, verdict::Verdict};

/// Asks until there is an answer, or until there was no broker for `away`.
pub(super) fn watch(socket: PathBuf, away: Duration) -> watch::Receiver<Option<Termination>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let mut broker = BrokerClient::new(socket);
        let termination = loop {
            if timeout(away, broker.connected()).await.is_err() {
                break Verdict::broker_lost(away);
            }
            if let Some(termination) = broker.stop().await {
                break termination;
            }
        };
        tracing::info!(reason = %termination.reason, message = termination.message, "the agent has to end");
        sender.send_replace(Some(termination));
    });
    receiver
}
