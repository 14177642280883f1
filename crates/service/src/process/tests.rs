use super::*;

#[test]
fn resident_memory_is_in_bytes() {
    assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t   10240 kB\nThreads: 3\n"), Some(10_485_760));
    assert_eq!(resident_bytes("VmPeak:\t 9 kB\n"), None);
}

#[test]
fn cpu_time_is_found_behind_any_command_name() {
    let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1";
    assert_eq!(cpu_seconds(stat), Some(3.0));
    assert_eq!(cpu_seconds("42 (x) S 1"), None);
}

#[test]
fn this_process_has_memory() {
    assert!(resident_bytes(&read("/proc/self/status").unwrap()).unwrap() > 100_000);
    assert!(cpu_seconds(&read("/proc/self/stat").unwrap()).is_some());
}
