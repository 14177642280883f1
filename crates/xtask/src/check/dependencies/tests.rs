use super::*;

fn package(name: &str, kind: &str, dependencies: &[&str]) -> Package {
    let local = |name: &&str| Dependency {
        name: (*name).to_owned(),
        rename: None,
        path: Some(PathBuf::from(name)),
        kind: None,
    };
    Package {
        name: name.to_owned(),
        manifest_path: PathBuf::from("Cargo.toml"),
        dependencies: dependencies.iter().map(local).collect(),
        targets: vec![Target { kind: vec![kind.to_owned()] }],
    }
}

fn directions(who: &str, on: &str, kind: &str) -> Vec<String> {
    direction(&Metadata { packages: vec![package(who, "lib", &[on]), package(on, kind, &[])] })
}

#[test]
fn nobody_depends_on_a_binary_but_the_exempt() {
    assert_eq!(directions("drover-broker", "drover-gateway", "lib"), Vec::<String>::new());
    assert_eq!(directions("drover-broker", "drover-gateway", "bin").len(), 1);
    assert_eq!(directions("drover-suite", "drover-operator", "bin"), Vec::<String>::new());
    assert_eq!(directions("xtask", "drover-gateway", "bin"), Vec::<String>::new());
    assert_eq!(directions("xtask", "drover-operator", "bin").len(), 1);
}

#[test]
fn the_plan_knows_the_api_alone() {
    assert_eq!(directions("drover-plan", "drover-api", "lib"), Vec::<String>::new());
    assert_eq!(directions("drover-plan", "drover-k8s", "lib").len(), 1);
    assert_eq!(directions("drover-api", "drover-plan", "lib").len(), 1);
}

#[test]
fn io_in_a_pure_tree_is_found_once() {
    let tree = "drover-plan v0.1.0\nserde v1.0.0\ntokio v1.0.0 (*)\ntokio v1.0.0\ntokio-stream v1.0.0\n";
    assert_eq!(impurities("drover-plan", tree), ["drover-plan has tokio among its dependencies, which does I/O"]);
}

#[test]
fn a_dependency_that_no_source_names_is_found() {
    let package = package("a", "lib", &["serde-json", "walkdir"]);
    assert_eq!(unused(&package, "use serde_json::Value;"), ["a depends on walkdir and does not use it"]);
}
