//! Complexities of functions, held against those at the base.

use std::collections::HashMap;

use super::{Finding, Metric, Severity, Status};

/// Over `max` **and** new or worse than before is a new finding; over `max` and no worse, an
/// existing one; over `flag`, a low one; over `max` at the base only, a fixed one. `base` is `None`
/// when there is nothing to compare with: then all of it is new.
pub fn judge_complexity(head: &[Metric], base: Option<&[Metric]>, flag: f64, max: f64) -> Vec<Finding> {
    let base = base.unwrap_or_default();
    let partners = partners(head, base);
    let mut findings = Vec::new();
    let mut at_base: Vec<Option<f64>> = vec![None; base.len()];
    for (metric, partner) in head.iter().zip(partners) {
        if let Some(index) = partner {
            at_base[index] = Some(metric.value);
        }
        if metric.value > flag {
            findings.push(finding(metric, partner.map(|index| base[index].value), max));
        }
    }
    for (metric, now) in base.iter().zip(at_base) {
        if metric.value > max && now.is_none_or(|now| now <= max) {
            findings.push(Finding { status: Status::Fixed, ..finding(metric, None, max) });
        }
    }
    findings
}

/// For each function of head its place among those of base: first the one of the same path and
/// name, then one of the same name that is left over, because its code moved. Among several the
/// most complex ones belong together.
fn partners(head: &[Metric], base: &[Metric]) -> Vec<Option<usize>> {
    let mut partners = vec![None; head.len()];
    let mut taken = vec![false; base.len()];
    pair(head, base, &mut partners, &mut taken, |metric| (&metric.path, &metric.symbol));
    pair(head, base, &mut partners, &mut taken, |metric| ("", &metric.symbol));
    partners
}

fn pair<'a>(
    head: &'a [Metric],
    base: &'a [Metric],
    partners: &mut [Option<usize>],
    taken: &mut [bool],
    key: fn(&'a Metric) -> (&'a str, &'a str),
) {
    let mut places: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for index in by_value(base).filter(|index| !taken[*index]) {
        places.entry(key(&base[index])).or_default().push(index);
    }
    let mut most_complex_first: Vec<usize> = by_value(head).collect();
    most_complex_first.reverse();
    for index in most_complex_first {
        if partners[index].is_none()
            && let Some(place) = places.get_mut(&key(&head[index])).and_then(Vec::pop)
        {
            partners[index] = Some(place);
            taken[place] = true;
        }
    }
}

/// Indexes, the least complex first.
fn by_value(metrics: &[Metric]) -> impl Iterator<Item = usize> {
    let mut order: Vec<usize> = (0..metrics.len()).collect();
    order.sort_by(|a, b| metrics[*a].value.total_cmp(&metrics[*b].value));
    order.into_iter()
}

fn finding(metric: &Metric, old: Option<f64>, max: f64) -> Finding {
    let severity = if metric.value > max { Severity::High } else { Severity::Low };
    let was = old.map_or(String::new(), |old| format!(", was {old}"));
    let message = format!("`{}` has complexity {} (at most {max}{was})", metric.symbol, metric.value);
    let status = if old.is_some_and(|old| metric.value <= old) { Status::Existing } else { Status::New };
    Finding {
        symbol: metric.symbol.clone(),
        status,
        ..Finding::code("complexity", &metric.path, metric.line, severity, &message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::gate::Mode;

    fn metric(path: &str, symbol: &str, value: f64) -> Metric {
        let (path, symbol) = (path.to_owned(), symbol.to_owned());
        Metric { name: "complexity".into(), value, threshold: None, path, symbol, line: 1 }
    }

    /// `path symbol status` of what is found, with `!` where it blocks.
    fn check(head: &[Metric], base: &[Metric], expected: &[&str]) {
        let findings = judge_complexity(head, Some(base), 10.0, 15.0);
        let short = |f: &Finding| {
            let mark = if f.blocks(Mode::New) { "!" } else { "" };
            format!("{} {} {}{mark}", f.path, f.symbol, f.status.as_str())
        };
        assert_eq!(findings.iter().map(short).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_over_the_maximum_and_new_or_worse_blocks() {
        let base = [metric("a", "old", 20.0), metric("a", "worse", 16.0), metric("a", "grew", 3.0)];
        let head = [
            metric("a", "old", 20.0),
            metric("a", "worse", 17.0),
            metric("a", "grew", 12.0),
            metric("a", "fresh", 16.0),
            metric("a", "small", 10.0),
        ];
        check(&head, &base, &["a old existing", "a worse new!", "a grew new", "a fresh new!"]);
    }

    #[test]
    fn what_moved_is_old_and_what_was_copied_is_new() {
        let base = [metric("a", "f", 20.0)];
        check(&[metric("b", "f", 20.0)], &base, &["b f existing"]);
        check(&[metric("b", "f", 20.0), metric("a", "f", 20.0)], &base, &["b f new!", "a f existing"]);
        check(&[metric("b", "f", 21.0)], &base, &["b f new!"]);
    }

    #[test]
    fn what_is_gone_or_simple_now_is_fixed() {
        let base = [metric("a", "f", 20.0), metric("a", "g", 20.0), metric("a", "h", 12.0)];
        check(&[metric("a", "f", 2.0)], &base, &["a f fixed", "a g fixed"]);
    }

    #[test]
    fn functions_of_one_name_pair_by_complexity() {
        let two = [metric("a", "f", 16.0), metric("a", "f", 20.0)];
        check(&two, &[two[1].clone(), two[0].clone()], &["a f existing", "a f existing"]);
    }
}
