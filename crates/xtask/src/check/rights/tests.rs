use super::*;

fn role(rule: &str) -> Vec<String> {
    check(&format!("kind: Service\n---\nkind: ClusterRole\nmetadata: {{name: r}}\nrules:\n- {rule}\n")).unwrap()
}

#[test]
fn named_rights_are_fine() {
    assert!(role("{apiGroups: [''], resources: [pods], verbs: [get, list]}").is_empty());
    assert!(role("{apiGroups: [''], resources: [secrets], resourceNames: [a], verbs: [get, update]}").is_empty());
    assert!(role("{apiGroups: [''], resources: [secrets], verbs: [create]}").is_empty());
}

#[test]
fn wildcards_are_not() {
    assert_eq!(
        role("{apiGroups: ['*'], resources: [pods], verbs: [get]}"),
        ["ClusterRole r has a wildcard among its apiGroups"]
    );
    assert_eq!(
        role("{apiGroups: [''], resources: ['*/status'], verbs: [get]}"),
        ["ClusterRole r has a wildcard among its resources"]
    );
    assert_eq!(
        role("{apiGroups: [''], resources: [pods], verbs: ['*']}"),
        ["ClusterRole r has a wildcard among its verbs"]
    );
}

#[test]
fn nobody_lists_secrets_or_gets_those_that_are_not_named() {
    assert_eq!(
        role("{apiGroups: [''], resources: [secrets], resourceNames: [a], verbs: [list]}"),
        ["ClusterRole r may list Secrets"]
    );
    assert_eq!(
        role("{apiGroups: [''], resources: [secrets], verbs: [get]}"),
        ["ClusterRole r may get every Secret: name them"]
    );
}

#[test]
fn manifests_without_roles_are_not_a_chart() {
    assert!(check("kind: Service\n").is_err());
}
