use super::{flag, for_kubectl};

fn namespace(line: &str) -> Option<String> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    flag(&words, "--namespace", Some("-n"))
}

#[test]
fn flags_are_found_in_unfinished_lines() {
    for line in ["x -n team logs ", "x logs -f --namespace=team t", "x logs -nteam ", "x logs -n=team -n team --typ"] {
        assert_eq!(namespace(line).as_deref(), Some("team"), "{line}");
    }
    for line in ["x logs t", "x logs -n", "x logs -n "] {
        assert_eq!(namespace(line), None, "{line}");
    }
}

#[test]
fn kubectl_is_told_in_its_own_way() {
    let told = for_kubectl(vec!["sus".into()]);
    assert_eq!(told, "suspend\tStop a Session's agent until it is resumed\n:4\n");
    let told = for_kubectl(vec!["run".into(), "--dry-run".into(), "".into()]);
    assert!(told.starts_with("client\tSend nothing\nserver\t") && told.ends_with("\n:4\n"), "{told}");
}
