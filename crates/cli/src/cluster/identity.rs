//! Who the caller is for the cluster.
//!
//! A kubeconfig may name a credential plugin, which may ask the user to log in. It is asked once for the API server and
//! the gateway together, and again only when its token has expired. A plugin that hands out certificates is asked each
//! time that a TLS configuration is made from the kubeconfig.

use std::sync::Arc;

use kube::{
    Client, Config,
    client::{ClientBuilder, ConfigExt, middleware::AuthLayer},
    config::AuthInfo,
};
use tower::buffer::BufferLayer;

/// How many requests may wait for a token at once.
const WAITING: usize = 64;

/// A client for `config`, and what adds the caller's token to its requests, where there is one. The token's source is
/// taken out of `config`, so that nothing that is made from it later asks that source again.
pub(super) fn client(config: &mut Config) -> kube::Result<(Client, Option<Arc<AuthLayer>>)> {
    let Some(auth) = config.auth_layer()? else { return Ok((Client::try_from(config.clone())?, None)) };
    let known = std::mem::take(&mut config.auth_info);
    config.auth_info = AuthInfo {
        exec: None,
        auth_provider: None,
        token: None,
        token_file: None,
        username: None,
        password: None,
        ..known
    };
    let builder = ClientBuilder::try_from(config.clone())?;
    let client = builder.with_layer(&BufferLayer::new(WAITING)).with_layer(&auth).build();
    Ok((client, Some(Arc::new(auth))))
}
