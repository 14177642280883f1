use kube::core::Status;

use super::explain;

fn told(code: u16, message: &str, reason: &str) -> String {
    explain(&kube::Error::Api(Status::failure(message, reason).with_code(code).boxed()))
}

#[test]
fn the_api_servers_own_words_are_passed_on() {
    assert_eq!(told(403, "pods is forbidden", "Forbidden"), "pods is forbidden");
    let unknown =
        "the API server does not accept the kubeconfig's credentials: log in again, or choose another --context";
    assert_eq!(told(401, "Unauthorized", "Unauthorized"), unknown);
    assert_eq!(told(500, "", "InternalError"), "the API server answered 500 InternalError");
}

#[test]
fn an_answer_that_is_no_status_is_put_into_words() {
    let plain = super::PLAIN_TEXT;
    assert_eq!(told(404, "404 page not found", plain), "the cluster does not know Sessions: is Drover installed?");
    assert_eq!(told(502, "Bad Gateway\n<html>", plain), "the API server answered 502 Bad Gateway");
    assert_eq!(told(503, "", plain), "the API server answered 503");
}
