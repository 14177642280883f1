use serde_json::{Value, json};

use super::*;

fn schema() -> Value {
    serde_json::to_value(&crds()[0].spec.versions[0].schema).unwrap()
}

#[test]
fn status_has_a_default_that_no_controller_wrote() {
    let default = &schema()["openAPIV3Schema"]["properties"]["status"]["default"];
    assert_eq!(*default, json!({ "observedGeneration": -1, "phase": "Pending" }));
}

#[test]
fn durations_are_read_and_written_alike() {
    for (text, seconds) in [("1s", 1), ("90s", 90), ("1h30m", 5400), ("744h", 744 * 3600), ("2m5s", 125)] {
        assert_eq!(text.parse::<Duration>().unwrap().as_secs(), seconds, "{text}");
    }
    for seconds in [1, 59, 60, 61, 3600, 3661, 86400, 31 * 86400] {
        let duration = Duration::from_secs(seconds).unwrap();
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    for text in ["", "0s", "1", "h", "-1h", "1.5h", "1m1h", "1h1h", "745h", "1d", " 1s", "99999999999999999999s"] {
        assert!(text.parse::<Duration>().is_err(), "{text}");
    }
}

#[test]
fn event_ids_are_ordered_by_attempt_and_then_by_number() {
    let id = |text: &str| text.parse::<log::EventId>().unwrap();
    assert!(id("1-10") > id("1-9") && id("2-1") > id("1-10") && log::EventId::START < id("1-1"));
    for text in ["", "1", "1-", "-1", "1-x", "1-2-3"] {
        assert!(text.parse::<log::EventId>().is_err(), "{text}");
    }
}

/// The largest value that a schema allows; the only objects without bounds of their own are the ones counted here.
fn largest(schema: &Value) -> usize {
    let items = |schema: &Value| schema["maxItems"].as_u64().map_or(8, |n| usize::try_from(n).unwrap());
    match schema["type"].as_str() {
        Some("string") => schema["maxLength"].as_u64().map_or(64, |n| usize::try_from(n).unwrap()) + 2,
        Some("array") => items(schema) * (largest(&schema["items"]) + 1) + 2,
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            properties.iter().map(|(name, schema)| name.len() + 4 + largest(schema)).sum::<usize>() + 2
        }
        _ => 24,
    }
}

#[test]
fn no_status_exceeds_64_kib() {
    let status = &schema()["openAPIV3Schema"]["properties"]["status"];
    let size = largest(status);
    assert!(size < 64 * 1024, "{size} bytes");
}

#[test]
fn descriptions_leave_the_breaking_of_lines_to_kubectl() {
    let text = schema()["openAPIV3Schema"]["properties"]["spec"]["properties"]["timeout"]["description"].to_string();
    assert!(!text.contains("\\n") && text.len() > 120, "{text}");
}
