use super::*;

fn delays(milliseconds: &[f64]) -> Delays {
    let delay = |milliseconds: &f64| Delay {
        milliseconds: *milliseconds,
        seconds_into_run: 0.0,
        session: format!("n/s{milliseconds}"),
        first_of_namespace: false,
    };
    Delays::new(milliseconds.iter().map(delay).collect())
}

#[test]
fn a_percentile_is_not_exceeded_by_so_many_percent() {
    let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
    let delays = delays(&hundred);
    assert!((delays.percentile(50) - 50.0).abs() < f64::EPSILON);
    assert!((delays.percentile(99) - 99.0).abs() < f64::EPSILON);
}

#[test]
fn of_few_delays_the_last_percentile_is_the_longest() {
    assert!((delays(&[3.0, 1.0, 2.0]).percentile(99) - 3.0).abs() < f64::EPSILON);
    assert!(delays(&[]).percentile(99).is_nan());
}

#[test]
fn the_longest_come_first() {
    let longest = delays(&[3.0, 1.0, 7.0, 2.0]).longest(2);
    assert_eq!(longest.iter().map(|delay| delay.session.as_str()).collect::<Vec<_>>(), ["n/s7", "n/s3"]);
}

#[test]
fn the_median_is_in_the_middle() {
    assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    assert!((median(vec![4.0, 9.0, 1.0, 2.0]) - 3.0).abs() < f64::EPSILON);
    assert!(median(Vec::new()).is_nan());
}
