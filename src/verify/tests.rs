//! Each rule on facts of a sprint in which everything holds, with one thing broken.

use std::collections::BTreeSet;

use super::Invariant;
use super::facts::*;
use super::repository::{listed, trailer};
use super::rules::broken;

/// One task has landed, one is at work, one waits in the same convoy as the first.
fn sound() -> Facts {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let feature = Feature {
        id: "001-f".into(),
        dir: "specs/001-f".into(),
        base: "base".into(),
        head: Some("land1".into()),
        halted: None,
        status: "running".into(),
        convoys: vec![text(&["T001", "T003"]), text(&["T002"])],
    };
    let task = |id: &str, status: &str| Task {
        feature: "001-f".into(),
        id: id.into(),
        status: status.into(),
        body: TaskBody {
            status: TaskStatus { kind: status.into(), ..TaskStatus::default() },
            ..TaskBody::default()
        },
    };
    let mut first = task("T001", "done");
    first.body.status.commit = Some("land1".into());
    first.body.head = Some("work1".into());
    first.body.candidate =
        Some(Candidate { commit: "land1".into(), tree: "tree1".into(), head: "work1".into() });
    let gate = Gate { name: "ruff".into(), verdict: "pass".into(), tree: "tree1".into(), at_merge: true };
    first.body.gates = vec![gate];
    let mut second = task("T002", "running");
    second.body.status.run = Some("run2".into());
    let run = |id: &str, status: &str, task: &str| Run {
        id: id.into(),
        status: status.into(),
        worker: "developer-1".into(),
        feature: "001-f".into(),
        task: Some(task.into()),
        token: format!("token of {id}"),
    };
    let said = Said { kind: "worked".into(), head: Some("work1".into()) };
    let report = Report { run: "run1".into(), token: "token of run1".into(), said };
    let commit = Commit {
        id: "land1".into(),
        tree: "tree1".into(),
        parents: text(&["base", "work1"]),
        task: Some("T001".into()),
        ticked: BTreeSet::from(["T001".to_owned()]),
        open_before: text(&["T001", "T002", "T003"]).into_iter().collect(),
        unticked: BTreeSet::new(),
    };
    let branch = Branch { head: Some("land1".into()), chain: vec![commit], from_base: true };
    let move_1 = Intent { feature: "001-f".into(), task: "T001".into(), new: "land1".into(), open: false };
    Facts {
        rows: Rows {
            epoch: 2,
            epochs: vec![1, 2],
            features: vec![feature],
            tasks: vec![first, second, task("T003", "todo")],
            workers: vec![Worker {
                name: "developer-1".into(),
                life: "busy".into(),
                run: Some("run2".into()),
            }],
            runs: vec![run("run1", "ended", "T001"), run("run2", "active", "T002")],
            landings: vec![Landing { feature: "001-f".into(), task: "T001".into(), commit: "land1".into() }],
            intents: vec![move_1],
            ..Rows::default()
        },
        git: Git {
            branches: [("001-f".to_owned(), branch)].into(),
            reachable: text(&["land1", "work1"]).into_iter().collect(),
            damaged: Vec::new(),
        },
        reports: vec![ReportFile { place: "run1".into(), said: Ok(report) }],
    }
}

#[track_caller]
fn breaks(invariants: &[Invariant], harm: impl FnOnce(&mut Facts)) {
    let mut facts = sound();
    harm(&mut facts);
    let found = broken(&facts);
    let named: BTreeSet<Invariant> = found.iter().map(|broken| broken.invariant).collect();
    assert_eq!(named, invariants.iter().copied().collect(), "{found:#?}");
}

fn branch(facts: &mut Facts) -> &mut Branch {
    facts.git.branches.get_mut("001-f").unwrap()
}

#[test]
fn a_sound_sprint_breaks_nothing() {
    breaks(&[], |_| {});
}

#[test]
fn what_is_wrong_in_the_database() {
    breaks(&[Invariant::Database], |facts| facts.rows.damage.push("row 3 missing from index".into()));
    breaks(&[Invariant::Epochs], |facts| facts.rows.epochs = vec![1, 1]);
    breaks(&[Invariant::Epochs], |facts| facts.rows.epoch = 1);
    breaks(&[Invariant::Owners], |facts| facts.rows.runs[1].status = "ended".into());
    breaks(&[Invariant::Owners], |facts| facts.rows.workers[0].run = Some("run1".into()));
    breaks(&[Invariant::Owners], |facts| facts.rows.tasks[1].status = "ready".into());
    breaks(&[Invariant::Owners], |facts| {
        let more = Run { id: "run3".into(), status: "revoked".into(), ..facts.rows.runs[1].clone() };
        facts.rows.runs.push(more);
    });
    breaks(&[Invariant::Convoys], |facts| {
        facts.rows.features[0].convoys = vec![vec!["T002".into(), "T003".into()]];
        facts.rows.tasks[2].status = "waiting".into();
        facts.rows.tasks[2].body.status.kind = "waiting".into();
        let run = Run { id: "run0".into(), task: Some("T003".into()), ..facts.rows.runs[0].clone() };
        facts.rows.runs.push(run);
    });
}

#[test]
fn what_is_wrong_with_a_report() {
    breaks(&[Invariant::Reports], |facts| facts.reports[0].said = Err("end of file".into()));
    breaks(&[Invariant::Reports], |facts| facts.reports[0].place = "run2".into());
    breaks(&[Invariant::Reports], |facts| facts.rows.runs[0].token = "another".into());
}

#[test]
fn what_is_wrong_with_the_branch() {
    breaks(&[Invariant::Head], |facts| facts.rows.features[0].head = Some("base".into()));
    breaks(&[Invariant::Head], |facts| branch(facts).head = None);
    breaks(&[Invariant::Chain], |facts| branch(facts).from_base = false);
    breaks(&[Invariant::Chain], |facts| branch(facts).chain[0].parents.truncate(1));
    breaks(&[Invariant::Chain, Invariant::Landings], |facts| branch(facts).chain[0].task = None);
    breaks(&[Invariant::Landings], |facts| {
        let again = Commit { id: "land2".into(), ..branch(facts).chain[0].clone() };
        branch(facts).chain.push(Commit { ticked: BTreeSet::new(), open_before: BTreeSet::new(), ..again });
    });
    breaks(&[Invariant::Landings], |facts| facts.rows.landings.clear());
    breaks(&[Invariant::Landings], |facts| {
        facts.rows.tasks[0].status = "ready".into();
        facts.rows.tasks[0].body.status.kind = "ready".into();
    });
    breaks(&[Invariant::Boxes], |facts| branch(facts).chain[0].ticked.clear());
    breaks(&[Invariant::Boxes], |facts| {
        branch(facts).chain[0].unticked.insert("T003".into());
    });
    breaks(&[Invariant::Objects], |facts| facts.git.damaged.push("a tree is missing".into()));
}

#[test]
fn what_landed_and_was_not_gated() {
    breaks(&[Invariant::Gated], |facts| facts.rows.tasks[0].body.gates[0].verdict = "fail".into());
    breaks(&[Invariant::Gated], |facts| facts.rows.tasks[0].body.gates[0].tree = "tree0".into());
    breaks(&[Invariant::Gated], |facts| branch(facts).chain[0].tree = "tree0".into());
    // A gate that is not repeated at the merge has seen an earlier tree.
    breaks(&[], |facts| {
        let gate = &mut facts.rows.tasks[0].body.gates[0];
        (gate.tree, gate.at_merge) = ("tree0".into(), false);
    });
}

#[test]
fn work_that_nothing_reaches() {
    breaks(&[Invariant::Kept], |facts| {
        facts.git.reachable.remove("land1");
    });
    breaks(&[Invariant::Kept], |facts| facts.rows.tasks[1].body.head = Some("work2".into()));
    breaks(&[Invariant::Kept], |facts| {
        facts.rows.runs[0].task = Some("T002".into());
        facts.git.reachable.remove("work1");
    });
}

#[test]
fn a_landing_in_between_and_a_person_who_was_told_are_no_breach() {
    let between = |facts: &mut Facts| {
        facts.rows.landings.clear();
        facts.rows.features[0].head = Some("base".into());
        facts.rows.tasks[0].status = "landing".into();
        facts.rows.tasks[0].body.status = TaskStatus { kind: "landing".into(), ..TaskStatus::default() };
        facts.rows.intents[0].open = true;
    };
    breaks(&[], between);
    breaks(&[Invariant::Head, Invariant::Landings], |facts| {
        between(facts);
        facts.rows.intents[0].open = false;
    });
    breaks(&[], |facts| {
        facts.rows.features[0].halted = Some("somebody moved it".into());
        branch(facts).head = Some("other".into());
        branch(facts).chain.clear();
    });
    breaks(&[], |facts| {
        facts.rows.features[0].status = "finished".into();
        *branch(facts) = Branch::default();
    });
}

#[test]
fn trailers_and_boxes_are_read_from_text() {
    let message = "T001: x\n\nwhy\n\nSprint-Task: T001\nSprint-Feature: 001-f\n";
    assert_eq!(trailer(message, "Sprint-Task").as_deref(), Some("T001"));
    assert_eq!(trailer("T001: x\n\nSprint-Task: T9\n\nthe end", "Sprint-Task"), None);
    let (ticked, open) =
        listed("- [x] T001 a\n  - [ ] T002 [P] b\n* [X] **T003** c\n- [-] T004 d\n-[ ] T005");
    assert_eq!(ticked, BTreeSet::from(["T001".to_owned(), "T003".to_owned()]));
    assert_eq!(open, BTreeSet::from(["T002".to_owned()]));
}
