//! Ways to the API server that a kubeconfig names: proxies and credential plugins.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::{World, api::TOKEN};

/// An HTTP proxy that tunnels wherever it is asked to; its port, and how often it was asked.
async fn proxy() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.strip_prefix("CONNECT ").and_then(|head| head.split(' ').next()).unwrap().to_owned();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // Either end may go away as it likes.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, tunnels)
}

#[tokio::test]
async fn a_clusters_proxy_is_used() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let (port, tunnels) = proxy().await;
    world.vary("proxied", |config| {
        config["clusters"][0]["cluster"]["proxy-url"] = format!("http://127.0.0.1:{port}").into();
    });
    // What the environment says of proxies is not for a cluster that names its own.
    let mut command = world.command(&["status", "tidy", "--kubeconfig", "proxied", "-o", "json"]);
    let output = command.env("HTTPS_PROXY", "http://localhost:1").output().await.unwrap();
    let status = super::Result::from(output);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(tunnels.load(Ordering::SeqCst) > 0, "it went another way");
}

#[tokio::test]
async fn the_environments_proxy_is_used_but_for_what_it_exempts() {
    let world = World::new().await;
    world.add_session("tidy", "Running");
    let run = async |no_proxy: &str| {
        let mut command = world.command(&["status", "tidy", "-o", "json"]);
        command.env("HTTPS_PROXY", "http://localhost:1").env("NO_PROXY", no_proxy);
        super::Result::from(command.output().await.unwrap())
    };
    let refused = run("example.com").await;
    assert!(refused.code == Some(1) && refused.err.contains("the API server cannot be asked"), "{refused:?}");
    let direct = run("example.com,127.0.0.1").await;
    assert_eq!(direct.code, Some(0), "{direct:?}");
}

#[tokio::test]
async fn a_credential_plugin_is_asked_once() {
    let world = World::new().await;
    world.gateway.log("agent", Some("stdout"), "hello");
    for (name, expiry) in [("forever", None), ("for-an-hour", Some("2100-01-01T00:00:00Z"))] {
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": { "token": TOKEN, "expirationTimestamp": expiry },
        });
        let script = format!("echo asked >> {name}.asked; echo '{credential}'");
        world.vary(name, |config| {
            config["users"][0]["user"] = json!({ "exec": {
                "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
                "interactiveMode": "Never",
            }});
        });
        let log = world.run(&["logs", "tidy", "--kubeconfig", name]).await;
        assert_eq!((log.code, log.out.as_str()), (Some(0), "hello\n"), "{log:?}");
        let asked = fs::read_to_string(world.dir.path().join(format!("{name}.asked"))).unwrap();
        assert_eq!(asked, "asked\n", "{name}");
    }
}
