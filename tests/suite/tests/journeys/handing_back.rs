//! What a Session hands back: its log and its artifacts.

use anyhow::{Context, Result, ensure};
use drover_api::{
    Session,
    log::{Event, EventId, Kind, Stream},
    names::condition,
    report::Artifact,
    state::{Phase, Reason},
};
use drover_suite::installed::{Port, Role, Tenant, hex, said};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The status and the message of the condition ArtifactsStored.
fn stored(session: &Session) -> (String, String) {
    let conditions = session.status.iter().flat_map(|status| &status.conditions);
    let stored = conditions.filter(|c| c.type_ == condition::ARTIFACTS_STORED);
    stored.map(|c| (c.status.clone(), c.message.clone())).next().unwrap_or_default()
}

fn names(session: &Session) -> Vec<&str> {
    session.status.iter().flat_map(|status| &status.artifacts).map(|artifact| artifact.name.as_str()).collect()
}

#[tokio::test]
async fn artifacts_come_back_as_they_were() -> Result<()> {
    let tenant = Tenant::new("artifacts").await?;
    let script = "
        mkdir -p out/deep/er
        printf 'nested\\n' > out/deep/er/file.txt
        printf 'grüß dich' > 'out/Grüße 世界.txt'
        : > out/empty
        dd if=/dev/urandom of=out/big bs=1M count=5 2>/dev/null
        echo left out > notes.txt
        sha256sum out/big | cut -c1-64";
    let session = tenant.run("files", json!({ "prompt": script, "artifacts": ["out/**"] })).await?;
    let status = session.status.clone().context("no status")?;
    assert_eq!((status.phase, status.reason, status.exit_code), (Phase::Succeeded, Some(Reason::Completed), Some(0)));
    assert_eq!(stored(&session), ("True".to_owned(), "4 files were stored.".to_owned()));
    assert_eq!(names(&session), ["out/Grüße 世界.txt", "out/big", "out/deep/er/file.txt", "out/empty"]);
    let log = tenant.log("files").await?;
    let big = status.artifacts.iter().find(|artifact| artifact.name == "out/big").context("out/big")?;
    assert_eq!((big.size, big.sha256.as_str()), (5 << 20, said(&log)[0]));

    let user = tenant.user(Role::View).await?;
    let listed = user.drover(&["artifacts", "list", "files", "--output", "json"]).await?;
    let listed: Value = serde_json::from_str(&listed.stdout).with_context(|| listed.stderr)?;
    let listed: Vec<Artifact> = serde_json::from_value(listed["artifacts"].clone())?;
    assert_eq!(listed, status.artifacts);

    let folder = user.home().join("fetched");
    let got = user.drover(&["artifacts", "get", "files", "--to", &folder.display().to_string()]).await?;
    assert_eq!(got.code, 0, "{got:?}");
    for Artifact { name, size, sha256 } in &status.artifacts {
        let bytes = std::fs::read(folder.join(name))?;
        assert_eq!((i64::try_from(bytes.len())?, &hex(&Sha256::digest(&bytes))), (*size, sha256), "{name}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("out/Grüße 世界.txt"))?, "grüß dich");
    assert!(!folder.join("notes.txt").exists());
    Ok(())
}

#[tokio::test]
async fn the_log_is_typed_and_numbered_in_every_way_it_is_read() -> Result<()> {
    let tenant = Tenant::new("log").await?;
    let script = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo \"line $i\"; done; echo oops >&2; printf 'no end'";
    tenant.run("talk", json!({ "prompt": script })).await?;
    let user = tenant.user(Role::View).await?;
    let gateway = tenant.gateway(Port::Api).await?;

    let pages = gateway.log(&tenant.namespace, "talk", &user.token, 500).await?;
    let whole = gateway.log(&tenant.namespace, "talk", &user.token, 1 << 20).await?;
    assert_eq!(pages, whole, "small pages hold the same as a large one");
    without_gaps(&whole)?;
    let of =
        |stream| whole.iter().filter(move |e| e.stream == Some(stream)).map(|e| e.text.as_str()).collect::<Vec<_>>();
    let mut expected: Vec<String> = (1..=50).map(|i| format!("line {i}")).collect();
    expected.push("no end".to_owned());
    assert_eq!(of(Stream::Stdout), expected);
    assert_eq!(of(Stream::Stderr), ["oops"]);
    assert_eq!(whole.first().map(|e| (e.kind, e.text.as_str())), Some((Kind::System, "turn prompt started")));
    assert_eq!(whole.last().map(|e| (e.kind, e.text.as_str())), Some((Kind::System, "turn prompt ended")));

    let stream = gateway.follow(&tenant.namespace, "talk", &user.token, None).await?.rest().await?;
    let (end, sent) = stream.split_last().context("no events")?;
    assert_eq!((end.kind.as_str(), end.data.as_str(), &end.id), ("end", r#"{"complete":true}"#, &None));
    let events = sent.iter().map(|e| serde_json::from_str(&e.data)).collect::<Result<Vec<Event>, _>>()?;
    assert_eq!(events, whole, "the stream holds the same as the pages");
    assert!(sent.iter().zip(&whole).all(|(sent, event)| sent.id == Some(event.id.to_string())));
    assert!(sent.iter().any(|e| e.kind == "agent") && sent.iter().any(|e| e.kind == "system"));
    let rest = gateway.follow(&tenant.namespace, "talk", &user.token, sent[19].id.as_deref()).await?.rest().await?;
    assert_eq!(rest, stream[20..], "a stream goes on behind the last event that was seen");

    let printed = user.drover(&["logs", "talk"]).await?;
    let lines: Vec<&str> = printed.stdout.lines().collect();
    assert!(lines.contains(&"line 1") && lines.contains(&"oops") && lines.contains(&"no end"), "{printed:?}");
    assert_eq!(lines[0], "drover: turn prompt started");
    let errors = user.drover(&["logs", "talk", "--type", "system", "--output", "json"]).await?;
    assert_eq!(errors.stdout.lines().count(), 2, "{errors:?}");
    Ok(())
}

/// The events of each attempt are counted from 1, and none is missing or there twice.
pub(super) fn without_gaps(events: &[Event]) -> Result<()> {
    let mut last = EventId { attempt: 1, sequence: 0 };
    for Event { id, .. } in events {
        let next = EventId { sequence: last.sequence + 1, ..last };
        let of_the_next_attempt = EventId { attempt: last.attempt + 1, sequence: 1 };
        ensure!([next, of_the_next_attempt].contains(id), "{id} stands behind {last}");
        last = *id;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_stored_is_told() -> Result<()> {
    let tenant = Tenant::new("not-stored").await?;
    let script = "
        mkdir -p out many
        echo kept > out/kept.txt
        ln -s /etc/passwd out/link
        ln -s / out/rootlink
        i=0; while [ $i -lt 70 ]; do i=$((i+1)); echo $i > many/$(printf '%03d' $i); done";
    let artifacts = json!(["out/**", "absent/*.txt", "out/rootlink/etc/passwd"]);
    tenant.create("links", json!({ "prompt": script, "artifacts": artifacts })).await?;
    tenant.create("many", json!({ "prompt": script, "artifacts": ["many/*"] })).await?;

    let links = tenant.ended("links").await?;
    assert_eq!(names(&links), ["out/kept.txt"], "no link was followed");
    let (status, message) = stored(&links);
    assert_eq!(status, "False");
    for words in [
        "out/link was not stored: it is a symbolic link, and links are not followed",
        "no file matched absent/*.txt",
        "no file matched out/rootlink/etc/passwd",
    ] {
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }
    assert_eq!(links.status.map(|status| status.phase), Some(Phase::Succeeded), "the run itself did succeed");

    let many = tenant.ended("many").await?;
    assert_eq!(names(&many).len(), 64);
    assert_eq!(names(&many)[63], "many/064");
    assert_eq!(stored(&many), ("False".to_owned(), "70 files match; only the first 64 by name were stored".to_owned()));
    Ok(())
}

/// The broker runs as the agent's user, whoever that is: it reads what nobody else may.
#[tokio::test]
async fn a_framework_has_a_user_and_an_environment() -> Result<()> {
    let tenant = Tenant::new("someone").await?;
    let spec = json!({
        "framework": "someone",
        "prompt": "umask 077; echo \"$(id -u) $FROM $HOW\" | tee secret; ls -l secret | cut -c1-10",
        "artifacts": ["secret"],
        "pod": { "env": [{ "name": "HOW", "value": "session" }] },
    });
    let session = tenant.run("someone", spec).await?;
    assert_eq!(said(&tenant.log("someone").await?), ["1234 framework session", "-rw-------"]);
    assert_eq!(names(&session), ["secret"]);
    Ok(())
}

#[tokio::test]
async fn an_agent_may_say_much_at_once() -> Result<()> {
    const LINES: usize = 30_000;
    let tenant = Tenant::new("much").await?;
    let session = tenant.run("much", json!({ "prompt": format!("seq 1 {LINES}") })).await?;
    assert_eq!(session.status.map(|status| status.phase), Some(Phase::Succeeded));
    let log = tenant.log("much").await?;
    without_gaps(&log)?;
    assert!(said(&log).into_iter().eq((1..=LINES).map(|i| i.to_string())), "every line is there, in order");
    Ok(())
}
