use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;

type Asked = Arc<Mutex<Vec<Value>>>;

/// Reviews that are answered by `answer`, and what was asked.
fn reviews(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> (Reviews, Asked) {
    let asked = Asked::default();
    let (record, answer) = (Arc::clone(&asked), Arc::new(answer));
    let service = service_fn(move |request: Request<Body>| {
        let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
        async move {
            let body: Value = serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
            let reply = answer(&body);
            record.lock().unwrap().push(body);
            Ok::<_, Infallible>(Response::new(Body::from(serde_json::to_vec(&reply).unwrap())))
        }
    });
    (Reviews::new(Client::new(service, "default")), asked)
}

fn token_answer(question: &Value) -> Value {
    let audiences = question["spec"]["audiences"].clone();
    match question["spec"]["token"].as_str().unwrap() {
        "good" => json!({"spec": {}, "status": {"authenticated": true, "audiences": audiences, "user": {
            "username": "ada", "uid": "7", "groups": ["g"], "extra": {"a/b": ["c"]}}}}),
        "unaware" => json!({"spec": {}, "status": {"authenticated": true, "user": {"username": "ada"}}}),
        _ => json!({"spec": {}, "status": {"authenticated": false, "user": {}, "error": "bad"}}),
    }
}

#[tokio::test]
async fn a_good_token_is_asked_about_once_for_each_audience() {
    let (reviews, asked) = reviews(token_answer);
    for _ in 0..3 {
        let identity = reviews.authenticate("good", None).await.unwrap().unwrap();
        assert_eq!((identity.user.as_str(), identity.uid.as_deref()), ("ada", Some("7")));
        assert_eq!(identity.extra["a/b"], ["c"]);
    }
    assert!(reviews.authenticate("good", Some("gateway")).await.unwrap().is_some());
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!((&asked[0]["spec"]["audiences"], &asked[1]["spec"]["audiences"]), (&Value::Null, &json!(["gateway"])));
    assert_eq!(reviews.counts(), Counts { token_hits: 2, token_misses: 2, ..Counts::default() });
}

#[tokio::test]
async fn a_bad_token_is_refused_and_not_remembered() {
    let (reviews, asked) = reviews(token_answer);
    for _ in 0..2 {
        assert_eq!(reviews.authenticate("bad", None).await.unwrap(), None);
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
    for token in [String::new(), "x".repeat(MAX_TOKEN + 1)] {
        assert_eq!(reviews.authenticate(&token, None).await.unwrap(), None);
    }
    assert_eq!(asked.lock().unwrap().len(), 2, "what cannot be a token is not asked about");
}

#[tokio::test]
async fn so_many_questions_of_a_kind_are_asked_at_once() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let silent = service_fn(move |_: Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<Response<Body>, Infallible>>()
    });
    let reviews = Reviews::new(Client::new(silent, "default"));
    let tokens: Vec<String> = (0..2 * AT_ONCE).map(|n| n.to_string()).collect();
    let mut flood = futures::future::join_all(tokens.iter().map(|token| Box::pin(reviews.authenticate(token, None))));
    for _ in 0..100 {
        assert!(futures::poll!(&mut flood).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), AT_ONCE);
    let known = Identity::default();
    let mut access = Box::pin(reviews.allowed(&known, &ACCESS));
    while asked.load(Ordering::Relaxed) == AT_ONCE {
        assert!(futures::poll!(&mut access).is_pending());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_without_the_audience_is_no_proof() {
    let (reviews, _) = reviews(token_answer);
    assert_eq!(reviews.authenticate("unaware", Some("gateway")).await.unwrap(), None);
    assert!(reviews.authenticate("unaware", None).await.unwrap().is_some());
}

const ACCESS: Access<'_> = Access {
    verb: "get",
    group: "drover.dev",
    resource: "sessions",
    subresource: "logs",
    namespace: "team",
    name: "one",
};

#[tokio::test]
async fn access_is_decided_for_all_that_is_known_of_the_caller() {
    let (reviews, asked) = reviews(|question| {
        let allowed = question["spec"]["resourceAttributes"]["name"] == "one";
        json!({"spec": {}, "status": {"allowed": allowed}})
    });
    let ada = Identity {
        user: "ada".to_owned(),
        uid: Some("7".to_owned()),
        groups: vec!["g".to_owned()],
        extra: BTreeMap::from([("scopes".to_owned(), vec!["x".to_owned()])]),
    };
    for _ in 0..2 {
        assert!(reviews.allowed(&ada, &ACCESS).await.unwrap());
        assert!(!reviews.allowed(&ada, &Access { name: "two", ..ACCESS }).await.unwrap());
    }
    let bob = Identity { user: "bob".to_owned(), ..ada };
    reviews.allowed(&bob, &ACCESS).await.unwrap();
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert_eq!(
        asked[0]["spec"],
        json!({
            "user": "ada", "uid": "7", "groups": ["g"], "extra": {"scopes": ["x"]},
            "resourceAttributes": {
                "verb": "get", "group": "drover.dev", "resource": "sessions", "subresource": "logs",
                "namespace": "team", "name": "one",
            },
        })
    );
    assert_eq!(reviews.counts(), Counts { access_hits: 2, access_misses: 3, ..Counts::default() });
}

#[tokio::test]
async fn a_denial_outweighs() {
    let (reviews, _) = reviews(|_| json!({"spec": {}, "status": {"allowed": true, "denied": true}}));
    assert!(!reviews.allowed(&Identity::default(), &ACCESS).await.unwrap());
}

#[test]
fn callers_and_accesses_that_differ_have_different_keys() {
    let identity = |groups: &[&str], extra: &[(&str, &[&str])]| Identity {
        user: "u".to_owned(),
        uid: None,
        groups: groups.iter().map(ToString::to_string).collect(),
        extra: extra.iter().map(|(k, v)| (k.to_string(), v.iter().map(ToString::to_string).collect())).collect(),
    };
    let callers = [
        identity(&[], &[]),
        identity(&["a"], &[]),
        identity(&["a", "b"], &[]),
        identity(&["ab"], &[]),
        identity(&[], &[("a", &[])]),
        identity(&[], &[("a", &["b"])]),
        identity(&[], &[("a", &[]), ("b", &[])]),
        identity(&["a"], &[("b", &["c"])]),
    ];
    let keys: std::collections::HashSet<Key> = callers.iter().map(|caller| access_key(caller, &ACCESS)).collect();
    assert_eq!(keys.len(), callers.len());
    assert_ne!(
        access_key(&callers[0], &ACCESS),
        access_key(&callers[0], &Access { namespace: "one", name: "team", ..ACCESS })
    );
}
