use super::*;

#[test]
fn reads_the_counter_of_both_cgroup_versions() {
    assert_eq!(parse("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 7\n"), Some(2));
    assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), Some(1));
    assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\n"), None);
    assert_eq!(parse(""), None);
}
