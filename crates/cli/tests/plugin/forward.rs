//! The port-forward subresource over a WebSocket, as the kubelet speaks it.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

/// The port that the plugin has to ask for.
const PORT: u16 = 8443;

/// Upgrades the request and forwards to `address`.
pub fn accept(mut request: Request, address: SocketAddr) -> Response {
    if !request.uri().query().is_some_and(|query| query.ends_with(&format!("ports={PORT}"))) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let protocol = request.headers()["sec-websocket-protocol"].to_str().unwrap().split(',').next().unwrap().to_owned();
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        forward(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await, address).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .body(Body::empty())
        .unwrap()
}

/// Channel 0 carries bytes, channel 1 an error; both begin with the port.
async fn forward(
    socket: WebSocketStream<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static>,
    address: SocketAddr,
) {
    let (mut send, mut receive) = socket.split();
    for channel in [0, 1] {
        let [low, high] = PORT.to_le_bytes();
        send.send(Message::binary(vec![channel, low, high])).await.unwrap();
    }
    let Ok(stream) = TcpStream::connect(address).await else {
        let _ = send.send(Message::binary(b"\x01connection refused by the pod".to_vec())).await;
        let _ = send.close().await;
        return;
    };
    let (mut from_pod, mut to_pod) = stream.into_split();
    tokio::spawn(async move {
        let mut buffer = vec![0; 1000];
        while let Ok(read @ 1..) = from_pod.read(&mut buffer).await {
            let mut message = vec![0];
            message.extend(&buffer[..read]);
            if send.send(Message::binary(message)).await.is_err() {
                return;
            }
        }
        let _ = send.close().await;
    });
    while let Some(Ok(message)) = receive.next().await {
        if let Message::Binary(bytes) = message
            && bytes.first() == Some(&0)
            && to_pod.write_all(&bytes[1..]).await.is_err()
        {
            return;
        }
    }
}
