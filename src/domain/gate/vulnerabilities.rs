//! Published vulnerabilities: tolerated up to a number by severity.

use super::{Finding, Kind, Mode, Severity, Status};

/// How many are tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CveLimits {
    /// Critical ones.
    pub critical: u32,
    /// High ones.
    pub high: u32,
    /// Medium ones.
    pub medium: u32,
}

impl Default for CveLimits {
    fn default() -> Self {
        Self { critical: 0, high: 0, medium: 5 }
    }
}

impl CveLimits {
    /// `None` for severities that never block.
    fn of(self, severity: Severity) -> Option<u32> {
        match severity {
            Severity::Critical => Some(self.critical),
            Severity::High => Some(self.high),
            Severity::Medium => Some(self.medium),
            Severity::Low | Severity::Info => None,
        }
    }
}

/// Says what is too much: `2 critical vulnerabilities, at most 0`. Other kinds of findings are not
/// looked at. In mode `new` an old one counts if it is critical or high and its manifest is
/// `changed`: who touches a manifest answers for the worst of what it asks for.
pub fn judge_vulnerabilities(
    findings: &[Finding],
    mode: Mode,
    limits: CveLimits,
    changed: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let counts = |finding: &&Finding| match (mode, finding.status) {
        _ if finding.kind != Kind::Vulnerability => false,
        (Mode::Report, _) | (_, Status::Fixed | Status::Suppressed) => false,
        (_, Status::New) | (Mode::Absolute | Mode::Strict, Status::Existing) => true,
        (Mode::New, Status::Existing) => finding.severity <= Severity::High && changed(&finding.path),
    };
    let too_many =
        [Severity::Critical, Severity::High, Severity::Medium].into_iter().filter_map(|severity| {
            let found = findings.iter().filter(counts).filter(|f| f.severity == severity).count();
            let most = limits.of(severity)?;
            let some = if found == 1 { "vulnerability" } else { "vulnerabilities" };
            (found > most as usize).then(|| format!("{found} {} {some}, at most {most}", severity.as_str()))
        });
    let said: Vec<String> = too_many.collect();
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(severity: Severity, status: Status) -> Finding {
        let finding = Finding::code("CVE-2026-1", "requirements.txt", 0, severity, "x");
        Finding { kind: Kind::Vulnerability, status, ..finding }
    }

    fn said(findings: &[Finding], mode: Mode, changed: bool) -> Option<String> {
        judge_vulnerabilities(findings, mode, CveLimits::default(), &|_| changed)
    }

    #[test]
    fn they_are_tolerated_up_to_a_number() {
        let medium = |n| vec![one(Severity::Medium, Status::New); n];
        assert_eq!(said(&medium(5), Mode::New, false), None);
        assert_eq!(said(&medium(6), Mode::New, false).unwrap(), "6 medium vulnerabilities, at most 5");
        assert_eq!(said(&medium(6), Mode::Report, false), None);
        let high = [one(Severity::High, Status::New), one(Severity::Low, Status::New)];
        assert_eq!(said(&high, Mode::New, false).unwrap(), "1 high vulnerability, at most 0");
    }

    #[test]
    fn old_ones_count_where_the_manifest_is_touched() {
        let old = [one(Severity::Critical, Status::Existing)];
        assert_eq!(said(&old, Mode::New, false), None);
        assert_eq!(said(&old, Mode::New, true).unwrap(), "1 critical vulnerability, at most 0");
        assert!(said(&old, Mode::Absolute, false).is_some());
        assert_eq!(said(&[one(Severity::Critical, Status::Fixed)], Mode::Absolute, true), None);
    }
}
