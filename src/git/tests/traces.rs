//! What changed in a repository beside the work: found, named, and put back by the command that is told.

use super::*;
use crate::domain::trace::Trace;
use crate::git::preflight;
use crate::git::traces::Snapshot;

fn look(f: &Fixture) -> Snapshot {
    Snapshot::now(&f.repo, &|value| value.replace("hush", "[redacted: password]")).unwrap()
}

/// The commands, as a person copies them.
fn undo(f: &Fixture, traces: &[Trace]) {
    for trace in traces {
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &trace.fix]).current_dir(&f.top).output().unwrap();
        assert!(output.status.success(), "{}: {}", trace.fix, String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn everything_that_changed_is_told_and_the_commands_put_it_back() {
    let f = Fixture::new();
    let head = f.head();
    let other = f.commit(&head, &[("new.txt", Some("x\n"))]);
    f.git(&["branch", "moves"]);
    f.git(&["branch", "goes"]);
    f.git(&["config", "core.hooksPath", "my hooks"]);
    f.git(&["remote", "add", "origin", "https://example.org/a.git"]);
    let before = look(&f);
    assert_eq!(look(&f).since(&before, &f.repo), []);
    f.git(&["update-ref", "refs/heads/main", other.as_str()]);
    f.git(&["branch", "-f", "moves", other.as_str()]);
    f.git(&["branch", "-D", "-q", "goes"]);
    f.git(&["branch", "it's;new", other.as_str()]);
    f.git(&["symbolic-ref", "refs/heads/other", "refs/heads/moves"]);
    f.git(&["branch", "sprint/001-thing", other.as_str()]);
    f.git(&["branch", "sprint-task/001-thing/T001/1", other.as_str()]);
    f.git(&["config", "core.hooksPath", "evil"]);
    f.git(&["config", "remote.origin.url", "https://evil.example.org/a.git"]);
    f.git(&["config", "filter.x.clean", "evil $HOME 'x'"]);
    f.git(&["config", "user.name", "is nothing that git does"]);
    f.git(&["config", "core.bare", "true"]);
    let now = look(&f);
    let traces = now.since(&before, &f.repo);
    let told: Vec<String> = traces.iter().map(Trace::text).collect();
    let (was, is) = (head.short(), other.short());
    assert_eq!(
        told,
        [
            "`core.bare` was set to `true`; it was `false`".to_owned(),
            "`core.hookspath` was set to `evil`; it was `my hooks`".to_owned(),
            "`filter.x.clean` was set to `evil $HOME 'x'`; it was not set".to_owned(),
            "`remote.origin.url` was set to `https://evil.example.org/a.git`; it was `https://example.org/a.git`"
                .to_owned(),
            format!("branch `it's;new` was made, at {is}"),
            format!("branch `main` moved from {was} to {is}"),
            format!("branch `moves` moved from {was} to {is}"),
            "branch `other` was made, at refs/heads/moves".to_owned(),
            format!("branch `goes` was deleted, which was at {was}"),
        ]
    );
    assert!(traces.iter().all(|trace| now.still_has(trace) && !before.still_has(trace)));
    undo(&f, &traces);
    assert_eq!(look(&f), before);
    assert_eq!(f.git(&["config", "user.name"]), "is nothing that git does");
}

#[test]
fn a_branch_that_went_on_meanwhile_is_not_put_back() {
    let f = Fixture::new();
    let before = look(&f);
    let head = f.head();
    let [one, two] = ["1\n", "2\n"].map(|text| f.commit(&head, &[("new.txt", Some(text))]));
    f.git(&["update-ref", "refs/heads/main", one.as_str()]);
    let traces = look(&f).since(&before, &f.repo);
    f.git(&["update-ref", "refs/heads/main", two.as_str()]);
    assert!(!look(&f).still_has(&traces[0]));
    let status = Command::new("sh").args(["-c", &traces[0].fix]).current_dir(&f.top).output().unwrap().status;
    assert!(!status.success());
    assert_eq!(f.git(&["rev-parse", "main"]), two.as_str());
}

#[test]
fn a_value_that_is_not_kept_as_it_was_is_for_the_editor() {
    let f = Fixture::new();
    let config = f.repo.common_dir.join("config");
    for (number, was) in ["https://example.org/hush/a", "one\ntwo", &"x".repeat(3_000)].iter().enumerate() {
        let key = format!("remote.r{number}.url");
        f.git(&["config", &key, was]);
        let before = look(&f);
        f.git(&["config", &key, "evil"]);
        let trace = look(&f).since(&before, &f.repo).remove(0);
        assert_eq!(trace.fix, format!("git config --file {} --edit", config.display()));
        assert!(!trace.text().contains("hush"));
    }
}

#[test]
fn a_checkout_that_calls_itself_bare_is_found_and_refused_by_name() {
    let f = Fixture::new();
    f.git(&["config", "core.bare", "true"]);
    assert_eq!(Repo::discover(&f.top).unwrap(), f.repo);
    let refusal = preflight::check(&f.top).unwrap_err();
    assert!(matches!(refusal, preflight::Refusal::CalledBare(_)), "{refusal}");
    assert!(refusal.hint().contains("git config core.bare false"), "{}", refusal.hint());
    fs::remove_file(f.repo.common_dir.join("index")).unwrap();
    Repo::discover(&f.top).unwrap_err();
}
