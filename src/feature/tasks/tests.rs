//! The corpus of deviations, ticking, and what holds for any bytes.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

macro_rules! corpus {
    ($($name:ident)*) => {
        const CORPUS: &[(&str, &[u8])] =
            &[$((stringify!($name), include_bytes!(concat!("../../../tests/fixtures/tasks/", stringify!($name), ".md")))),*];
        $(
            #[test]
            fn $name() {
                let bytes = include_bytes!(concat!("../../../tests/fixtures/tasks/", stringify!($name), ".md"));
                insta::assert_snapshot!(stringify!($name), shown(&TaskFile::read(bytes)));
            }
        )*
    };
}

corpus!(strict ids dropped labels table order continued headings plain_headings languages dependencies windows unclosed);

/// One line a task, then the warnings.
fn shown(file: &TaskFile) -> String {
    let mut text = String::new();
    for (number, phase) in file.phases.iter().enumerate() {
        writeln!(
            text,
            "{number}: {:?} line {} {:?} after {:?}",
            phase.title, phase.line, phase.stories, phase.after
        )
        .unwrap();
        for task in file.tasks.iter().filter(|t| t.phase as usize == number) {
            let mark = [(" ", "x"), ("?", "~")][usize::from(task.dropped)];
            let mark = if task.done { mark.1 } else { mark.0 };
            let parallel = if task.parallel { "[P] " } else { "" };
            let needs: Vec<&str> = task.depends_on.iter().map(TaskId::as_str).collect();
            write!(text, "  {:>3} [{mark}] {} {parallel}{:?}", task.line, task.id, task.title).unwrap();
            for (name, list) in [("stories", &task.stories), ("labels", &task.labels), ("paths", &task.paths)]
            {
                if !list.is_empty() {
                    write!(text, " {name}={list:?}").unwrap();
                }
            }
            if !needs.is_empty() {
                write!(text, " needs={needs:?}").unwrap();
            }
            if task.mark_offset.is_none() {
                text.push_str(" no box");
            }
            if !task.details.is_empty() {
                write!(text, "\n        {:?}", task.details).unwrap();
            }
            text.push('\n');
        }
    }
    for warning in &file.warnings {
        writeln!(text, "line {}: {}", warning.line, warning.message).unwrap();
    }
    text
}

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

#[test]
fn a_tick_changes_one_byte() {
    let text = b"\xef\xbb\xbf- [ ] T001 a\r\n  * [ ] **T002** \xff b\r\n- [x] T003\r\n| T004 | row |\r\n<!-- [ ] --> - [ ] T005 x";
    for (name, at) in
        [("T001", Some(6)), ("T002", Some(22)), ("T003", None), ("T004", None), ("T005", None), ("T9", None)]
    {
        let ticked = tick(text, &id(name));
        let changed: Option<Vec<usize>> = ticked
            .as_ref()
            .map(|t| t.iter().zip(text).enumerate().filter(|(_, (a, b))| a != b).map(|(n, _)| n).collect());
        assert_eq!(changed, at.map(|a: usize| vec![a]), "{name}");
        if let Some(ticked) = ticked {
            assert_eq!(ticked.len(), text.len());
            assert!(TaskFile::read(&ticked).task(&id(name)).unwrap().done);
            assert_eq!(tick(&ticked, &id(name)), None);
        }
    }
}

/// Every box of the corpus, one after the other: all else stays as it was read.
#[test]
fn ticking_everything_leaves_the_rest_alone() {
    for (name, bytes) in CORPUS {
        let before = TaskFile::read(bytes);
        let mut now = bytes.to_vec();
        for task in before.tasks.iter().filter(|t| !t.done && t.mark_offset.is_some()) {
            now = tick(&now, &task.id).unwrap_or_else(|| panic!("{name}: {}", task.id));
        }
        let after = TaskFile::read(&now);
        let untouched =
            |t: &TaskLine| (t.id.clone(), t.title.clone(), t.line, t.depends_on.clone(), t.paths.clone());
        let all = |f: &TaskFile| f.tasks.iter().map(untouched).collect::<Vec<_>>();
        assert_eq!(all(&before), all(&after), "{name}");
        assert!(after.tasks.iter().all(|t| t.done || t.mark_offset.is_none()), "{name}");
    }
}

#[test]
fn the_number_of_tasks_has_a_bound() {
    let text = (0..TASKS_MAX + 5).map(|n| format!("- [ ] T{n:06} x")).collect::<Vec<_>>().join("\n");
    let file = TaskFile::read(text.as_bytes());
    assert_eq!(file.tasks.len(), TASKS_MAX);
    assert_eq!(file.warnings.len(), 1);
}

fn check(bytes: &[u8]) {
    let file = TaskFile::read(bytes);
    let lines = u32::try_from(bytes.split(|b| *b == b'\n').count()).unwrap();
    assert!(file.warnings.iter().all(|w| w.line >= 1 && w.line <= lines));
    for task in &file.tasks {
        assert!(task.line >= 1 && task.line <= lines && (task.phase as usize) < file.phases.len());
        assert!(task.paths.iter().all(|p| !p.starts_with('/') && !p.split('/').any(|c| c == "..")));
        if !task.done && task.mark_offset.is_some() {
            let ticked = tick(bytes, &task.id).expect("an open box can be ticked");
            assert!(TaskFile::read(&ticked).task(&task.id).is_some_and(|t| t.done));
        }
    }
    crate::domain::plan::plan(&file.plan_items(), crate::domain::plan::PlanOptions::default()).ok();
    crate::feature::Feature::read(bytes, bytes, bytes);
}

/// Scraps of real files, in any order.
fn scraps() -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop::sample::select(vec![
        "- [ ] ",
        "- [x] ",
        "- [~] ",
        "[P] ",
        "[US1] ",
        "[US1+US2]",
        "T001",
        "T002",
        "T003-T009",
        "~~",
        "**",
        "`",
        "\n",
        "\n",
        "\r\n",
        "| ",
        " |",
        "|---|",
        "```",
        "~~~",
        "<!--",
        "-->",
        "---\n",
        "## Phase 1: X\n",
        "# ",
        "US2 depends on US1",
        " depends on ",
        " blocks ",
        " → ",
        "(",
        ")",
        "src/a.py",
        "src\\b.py",
        "*",
        "{a,b}",
        "[",
        "]",
        "é",
        "\u{0}",
        "阶段",
        "之后",
        "Given x",
        "**FR-001**: ",
        "[NEEDS CLARIFICATION: ",
        "  ",
        "\t",
        ".",
        ",",
        "../",
        "T",
        "9",
        "> ",
    ]);
    prop::collection::vec(scrap, 0..80).prop_map(|s| s.concat().into_bytes())
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&bytes);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,300}") {
        check(text.as_bytes());
    }

    #[test]
    fn no_scraps_panic(bytes in scraps()) {
        check(&bytes);
    }

    #[test]
    fn no_mutation_of_a_real_file_panics(
        file in 0..CORPUS.len(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..12),
    ) {
        let mut bytes = CORPUS[file].1.to_vec();
        for (at, byte, how) in cuts {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => { let half = bytes[at..].to_vec(); bytes.extend(half); }
            }
        }
        check(&bytes);
    }
}
