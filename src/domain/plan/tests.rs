//! The worked examples, and what holds for every plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

/// `"1 T001 [P] a.py b.py < T003"`: phase, id, `[P]`, paths, what it depends on.
fn items(text: &str) -> Vec<PlanItem> {
    (1..).zip(text.lines().map(str::trim).filter(|l| !l.is_empty())).map(|(n, l)| item(n, l)).collect()
}

fn item(line: u32, text: &str) -> PlanItem {
    let (head, needs) = text.split_once('<').unwrap_or((text, ""));
    let words: Vec<&str> = head.split_whitespace().collect();
    PlanItem {
        id: id(words[1]),
        line,
        phase: words[0].parse().unwrap(),
        story_phase: false,
        after_phases: Vec::new(),
        parallel: words.contains(&"[P]"),
        paths: words[2..].iter().filter(|w| **w != "[P]").map(ToString::to_string).collect(),
        depends_on: needs.split_whitespace().map(id).collect(),
        done: false,
    }
}

/// A sprint in which every task takes one round: what starts in each round.
fn rounds(plan: &Plan) -> String {
    let mut progress: HashMap<TaskId, Progress> = HashMap::new();
    let mut rounds = Vec::new();
    loop {
        let now = |id: &TaskId| progress.get(id).copied().unwrap_or(Progress::Open);
        let next = ready(plan, &now, ParkedPolicy::Hold);
        if next.is_empty() {
            return rounds.join(" | ");
        }
        rounds.push(next.iter().map(TaskId::as_str).collect::<Vec<_>>().join(" "));
        progress.extend(next.into_iter().map(|id| (id, Progress::Done)));
    }
}

fn planned(text: &str) -> Plan {
    plan(&items(text), PlanOptions::default()).unwrap()
}

fn convoys(plan: &Plan) -> Vec<String> {
    plan.convoys.iter().map(|c| c.iter().map(TaskId::as_str).collect::<Vec<_>>().join(" ")).collect()
}

fn messages(plan: &Plan) -> Vec<&str> {
    plan.warnings.iter().map(|w| w.message.as_str()).collect()
}

fn names(ids: &[TaskId]) -> String {
    ids.iter().map(TaskId::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_sequential_tasks_frame_parallel_ones() {
    let plan = planned("1 T001\n1 T002 [P] a.py\n1 T003 [P] b.py\n1 T004 c.py");
    assert_eq!(rounds(&plan), "T001 | T002 T003 | T004");
    assert_eq!(convoys(&plan), ["T001", "T002", "T003", "T004"]);
}

#[test]
fn b_parallel_tasks_on_one_file_are_a_convoy() {
    let plan = planned("1 T002 [P] a.py\n1 T003 [P] a.py");
    assert_eq!(convoys(&plan), ["T002 T003"]);
    assert_eq!(rounds(&plan), "T002 | T003");
    let in_flight = |t: &TaskId| if t.as_str() == "T002" { Progress::InFlight } else { Progress::Open };
    assert_eq!(ready(&plan, &in_flight, ParkedPolicy::Hold), []);
    let waiting = |t: &TaskId| if t.as_str() == "T002" { Progress::Waiting } else { Progress::Open };
    assert_eq!(ready(&plan, &waiting, ParkedPolicy::Hold), []);
    let parked = |t: &TaskId| if t.as_str() == "T002" { Progress::Parked } else { Progress::Open };
    assert_eq!(ready(&plan, &parked, ParkedPolicy::Hold), [id("T003")]);
}

#[test]
fn c_order_through_a_convoy_is_no_deadlock() {
    let plan = planned("1 A1 [P] a.py\n1 A2 [P] a.py < B1\n1 B1 [P] b.py < A1");
    assert_eq!(convoys(&plan), ["A1 A2", "B1"]);
    assert_eq!(rounds(&plan), "A1 | B1 | A2");
}

#[test]
fn d_a_declared_dependency_wins_over_the_order_of_lines() {
    let plan = planned("1 T005 a.py < T009\n1 T006\n1 T009 a.py");
    assert_eq!(rounds(&plan), "T009 | T005 | T006");
    assert_eq!(
        messages(&plan),
        ["`T009` goes before T005, T006, against the order of the file: a dependency says so"]
    );
    assert_eq!(plan.warnings[0].line, 3);
}

#[test]
fn e_a_task_without_path_and_mark_runs_alone_in_its_phase() {
    let text = "1 T001 [P] a.py\n1 T002 [P] b.py\n1 T003\n1 T004 [P] c.py\n1 T005 [P] d.py";
    assert_eq!(rounds(&planned(text)), "T001 T002 | T003 | T004 T005");
    let options = PlanOptions { order: Order::Files, ..PlanOptions::default() };
    assert_eq!(rounds(&plan(&items(text), options).unwrap()), "T001 T002 | T003 | T004 T005");
}

#[test]
fn f_a_parked_task_holds_its_dependents_alone() {
    let plan = planned(
        "1 T001 a.py\n2 T003 [P] b.py\n2 T004 [P] c.py < T003\n2 T005 [P] d.py < T004\n2 T006 [P] e.py\n2 T007 [P] b.py",
    );
    let now = |t: &TaskId| match t.as_str() {
        "T001" => Progress::Done,
        "T003" => Progress::Parked,
        _ => Progress::Open,
    };
    assert_eq!(names(&ready(&plan, &now, ParkedPolicy::Hold)), "T006 T007");
    assert_eq!(names(&ready(&plan, &now, ParkedPolicy::Continue)), "T004 T006 T007");
    let held: Vec<String> = held(&plan, &now, ParkedPolicy::Hold).iter().map(|h| names(h)).collect();
    assert_eq!(held, ["", "", "T003", "T003", "", ""]);
    assert_eq!(held_by(&plan, &id("T005"), &now, ParkedPolicy::Hold), [id("T003")]);
    assert_eq!(held_by(&plan, &id("T005"), &now, ParkedPolicy::Continue), []);
    assert_eq!(waits_for(&plan, &id("T005"), &now, ParkedPolicy::Hold), [id("T004")]);
}

#[test]
fn g_files_and_stories_in_parallel() {
    let text =
        "1 T001 a.py\n2 T002 b.py\n2 T003 c.py\n3 T004 d.py\n3 T005 d.py\n4 T006 e.py\n5 T007 f.py\n5 T008";
    let mut all = items(text);
    for item in all.iter_mut().filter(|i| (2..=4).contains(&i.phase)) {
        item.story_phase = true;
        item.after_phases = if item.phase == 4 { vec![2] } else { Vec::new() };
    }
    let with = |order, stories| rounds(&plan(&all, PlanOptions { order, stories }).unwrap());
    let (kit, files) = (Order::SpecKit, Order::Files);
    assert_eq!(with(kit, StoryOrder::Sequential), "T001 | T002 | T003 | T004 | T005 | T006 | T007 | T008");
    assert_eq!(with(files, StoryOrder::Sequential), "T001 | T002 T003 | T004 | T005 | T006 | T007 | T008");
    assert_eq!(with(kit, StoryOrder::Parallel), "T001 | T002 T004 | T003 T005 | T006 | T007 | T008");
    assert_eq!(with(files, StoryOrder::Parallel), "T001 | T002 T003 T004 | T005 T006 | T007 | T008");
}

#[test]
fn h_a_declared_circle_is_refused_with_its_path() {
    let cycle =
        plan(&items("1 T000\n1 T001 < T003\n1 T002 < T001\n1 T003 < T002 T000"), PlanOptions::default());
    let cycle = cycle.unwrap_err();
    assert_eq!(
        cycle.to_string(),
        "tasks depend on one another in a circle: T001 needs T003 needs T002 needs T001"
    );
    let own = plan(&items("1 T001 < T001"), PlanOptions::default()).unwrap_err();
    assert_eq!(own.to_string(), "tasks depend on one another in a circle: T001 needs T001");
}

#[test]
fn a_dependency_on_a_later_phase_turns_that_pair_alone() {
    let plan = planned("1 T001 < T005\n1 T002\n2 T003\n3 T004\n3 T005 [P]\n3 T006");
    assert_eq!(rounds(&plan), "T005 | T001 | T002 | T003 | T004 | T006");
    assert_eq!(
        messages(&plan),
        [
            "`T005` goes before T001, T002, T003 and 1 more, against the order of the file: a dependency says so"
        ]
    );
}

#[test]
fn a_story_that_depends_on_a_later_one_comes_after_it() {
    let mut all = items("1 T001\n2 T002\n3 T003\n4 T004");
    all[1].after_phases = vec![3];
    for stories in [StoryOrder::Sequential, StoryOrder::Parallel] {
        all[1].story_phase = true;
        all[2].story_phase = true;
        let plan = plan(&all, PlanOptions { stories, ..PlanOptions::default() }).unwrap();
        assert_eq!(rounds(&plan), "T001 | T003 | T002 | T004");
        assert_eq!(messages(&plan), ["a story depends on a later one, which therefore comes first"]);
    }
    all[2].after_phases = vec![2];
    let plan = plan(&all, PlanOptions::default()).unwrap();
    assert!(
        messages(&plan)
            .contains(&"the stories depend on one another in a circle; the order of the file decides")
    );
}

#[test]
fn directories_and_globs_overlap_with_the_files_in_them() {
    let convoys_of = |text: &str| convoys(&planned(text)).join(", ");
    assert_eq!(convoys_of("1 T1 src/a.py\n1 T2 src/\n2 T3 src2/a.py"), "T1 T2, T3");
    assert_eq!(convoys_of("1 T1 src/a.py\n1 T2 ./src//a.py\n2 T3 src/a.pyi"), "T1 T2, T3");
    assert_eq!(convoys_of("1 T1 src/*.py\n1 T2 src/a.py\n2 T3 src/a.rs\n2 T4 src/x/b.py"), "T1 T2, T3, T4");
    assert_eq!(convoys_of("1 T1 src/**/*.py\n1 T2 src/x/b.py\n1 T3 src/x/"), "T1 T2 T3");
    assert_eq!(convoys_of("1 T1 src/*/m.py\n1 T2 src/api/\n1 T3 docs/"), "T1 T2, T3");
    assert_eq!(convoys_of("1 T1 src/*.py\n1 T2 src/*.rs\n1 T3 src/a*.py"), "T1 T3, T2");
    assert_eq!(convoys_of("1 T1 src/{a,b}.py\n1 T2 src/b.py\n1 T3 src/c.py"), "T1 T2, T3");
    assert_eq!(convoys_of("1 T1 app/[id]/p.tsx\n1 T2 app/i/p.tsx\n1 T3 app/[id]/*.tsx"), "T1 T3, T2");
    assert_eq!(convoys_of("1 T1 a b\n2 T2 b c\n3 T3 c\n4 T4 d"), "T1 T2 T3, T4");
}

#[test]
fn what_two_tasks_share_is_named_by_the_narrower_path() {
    let shared = |text: &str| {
        let plan = planned(text);
        plan.tasks[0].shares(&plan.tasks[1])
    };
    for (text, path) in [
        ("1 T1 x a.py\n1 T2 a.py", Some("a.py")),
        ("1 T1 src/a.py\n1 T2 src/", Some("src/a.py")),
        ("1 T1 src/\n1 T2 ./src//a.py", Some("src/a.py")),
        ("1 T1 src/*.py\n1 T2 src/a.py", Some("src/a.py")),
        ("1 T1 src/a.py\n1 T2 src/*.py", Some("src/a.py")),
        ("1 T1 src/*.py\n1 T2 src/a*.py", Some("src/a*.py")),
        ("1 T1 .\n1 T2 .", Some(".")),
        ("1 T1 a\n1 T2 b", None),
        ("1 T1\n1 T2 b", None),
    ] {
        assert_eq!(shared(text).as_deref(), path, "{text}");
    }
}

#[test]
fn a_directory_that_joins_many_is_pointed_out() {
    let plan = planned("1 T001 src/\n2 T002 src/a\n2 T003 src/b\n2 T004 src/c\n2 T005 src/d");
    assert_eq!(
        messages(&plan),
        ["`T001` names the directory `src`, which puts 4 tasks that name files in it into one convoy"]
    );
}

#[test]
fn what_is_done_links_nobody_and_holds_nobody() {
    let mut all = items("1 T001 a\n1 T002 a b\n1 T003 b");
    all[1].done = true;
    let plan = plan(&all, PlanOptions::default()).unwrap();
    assert_eq!(convoys(&plan), ["T001", "T003"]);
    assert_eq!(plan.tasks[1].convoy, None);
}

/// Ticked by hand, or skipped, before those that it should wait for.
#[test]
fn what_is_over_too_early_does_not_let_the_next_ones_pass() {
    let plan = planned("1 T001\n1 T002\n1 T003\n1 T004 [P] < T002\n1 T005 [P]");
    let with = |first: Progress| {
        move |t: &TaskId| match t.as_str() {
            "T001" => first,
            "T002" => Progress::Skipped,
            _ => Progress::Open,
        }
    };
    assert_eq!(names(&ready(&plan, &with(Progress::Open), ParkedPolicy::Hold)), "T001");
    assert_eq!(names(&ready(&plan, &with(Progress::Done), ParkedPolicy::Hold)), "T003");
    assert_eq!(waits_for(&plan, &id("T003"), &with(Progress::Open), ParkedPolicy::Hold), [id("T001")]);
    assert_eq!(held_by(&plan, &id("T003"), &with(Progress::Parked), ParkedPolicy::Hold), [id("T001")]);
    assert_eq!(held_by(&plan, &id("T005"), &with(Progress::Parked), ParkedPolicy::Hold), [id("T001")]);
    // A chain of declared ones is cut by a skip: that is what a skip is for.
    let chain = planned("1 A1 [P]\n1 A2 [P] < A1\n1 A3 [P] < A2");
    let now = |t: &TaskId| if t.as_str() == "A2" { Progress::Skipped } else { Progress::Open };
    assert_eq!(names(&ready(&chain, &now, ParkedPolicy::Hold)), "A1 A3");
}

#[test]
fn what_is_over_too_early_is_looked_past_and_never_named() {
    let plan = planned("1 T001\n2 T002\n2 T003\n2 T004 [P]\n2 T005 [P]\n2 T006\n3 T007");
    let waits = |over: &[&str]| {
        let now = |t: &TaskId| if over.contains(&t.as_str()) { Progress::Done } else { Progress::Open };
        let all = open_predecessors(&plan, &now, ParkedPolicy::Hold);
        for (task, before) in plan.tasks.iter().zip(&all).filter(|(t, _)| now(&t.id) == Progress::Open) {
            assert_eq!(*before, waits_for(&plan, &task.id, &now, ParkedPolicy::Hold), "{}", task.id);
        }
        all.iter().map(|before| names(before)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(waits(&[]), ", T001, T002, T003, T003, T004 T005, T002 T003 T004 T005 T006");
    assert_eq!(waits(&["T003"]), ", T001, , T002, T002, T004 T005, T002 T004 T005 T006");
    assert_eq!(waits(&["T003", "T005"]), ", T001, , T002, , T004, T002 T004 T006");
    assert_eq!(waits(&["T002", "T003", "T004", "T005"]), ", , , , , T001, T006");
    assert_eq!(waits(&["T006"]), ", T001, T002, T003, T003, , T002 T003 T004 T005");
}

#[test]
fn unknown_and_double_ids_are_warned_about() {
    let plan = planned("1 T001 < T099\n1 T001");
    assert_eq!(
        messages(&plan),
        ["`T001` depends on `T099`, which is not there", "`T001` is there twice; the first one counts"]
    );
    assert_eq!(plan.tasks.len(), 1);
    assert_eq!(plan.tasks[0].depends_on, []);
}

#[test]
fn predecessors_are_the_nearest_ones() {
    let plan = planned("1 T001\n1 T002 [P]\n1 T003 [P]\n2 T004 [P]\n2 T005\n4 T006 [P] < T001");
    let of = |text: &str| names(&plan.predecessors(&id(text)));
    assert_eq!(["T001", "T003", "T004", "T005"].map(of), ["", "T001", "T001 T002 T003", "T004"]);
    assert_eq!(of("T006"), "T001 T004 T005");
}

/// Ten thousand tasks with no order between phases' members: one edge a task, not one a pair.
#[test]
fn the_graph_stays_small() {
    let all: Vec<PlanItem> =
        (0..10_000).map(|n| item(n, &format!("{} T{n:05} [P] f{n}", n / 1000))).collect();
    let plan = plan(&all, PlanOptions::default()).unwrap();
    let edges: usize = plan.graph.preds.iter().map(Vec::len).sum();
    assert!(edges < 21_000, "{edges}");
}

// What must hold for every plan.

fn any_item(count: u32) -> impl Strategy<Value = PlanItem> {
    let paths = prop::collection::vec(
        prop::sample::select(vec![
            "a",
            "b",
            "src/a",
            "src/b",
            "src/",
            "src/*",
            "t/x.py",
            "t/*.py",
            "t/{x,y}.py",
            ".",
        ]),
        0..3,
    );
    let needs = prop::collection::vec(0..count + 1, 0..3);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    (0..5u32, flags, paths, needs, prop::collection::vec(0..5u32, 0..2)).prop_map(
        |(phase, (parallel, story_phase, done), paths, needs, after_phases)| PlanItem {
            id: id("T"),
            line: 0,
            phase,
            story_phase,
            after_phases,
            parallel,
            paths: paths.into_iter().map(str::to_owned).collect(),
            depends_on: needs.into_iter().map(|n| id(&format!("T{n}"))).collect(),
            done,
        },
    )
}

fn any_items() -> impl Strategy<Value = Vec<PlanItem>> {
    (1..24u32).prop_flat_map(|count| {
        prop::collection::vec(any_item(count), count as usize).prop_map(|mut items| {
            for (n, item) in (0..).zip(&mut items) {
                item.id = id(&format!("T{n}"));
                item.line = n;
            }
            items
        })
    })
}

fn any_options() -> impl Strategy<Value = PlanOptions> {
    (any::<bool>(), any::<bool>()).prop_map(|(files, parallel)| PlanOptions {
        order: if files { Order::Files } else { Order::SpecKit },
        stories: if parallel { StoryOrder::Parallel } else { StoryOrder::Sequential },
    })
}

/// Leaves out declared dependencies that would close a circle, by a number for each task.
fn without_circles(mut items: Vec<PlanItem>, seed: u64) -> Vec<PlanItem> {
    let place = |id: &TaskId| {
        let n: u64 = id.as_str()[1..].parse().unwrap();
        (n.wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20, n)
    };
    for item in &mut items {
        let own = place(&item.id);
        item.depends_on.retain(|d| place(d) < own);
    }
    items
}

/// Whether two paths may be one file, for the few that [`any_item`] knows; done without globs.
fn files_of(path: &str) -> BTreeSet<&'static str> {
    let all = ["a", "b", "src/a", "src/b", "src/z", "t/x.py", "t/y.py", "t/z.py", "z"];
    let is_in = |file: &str| match path {
        "." => true,
        "src/" | "src/*" => file.starts_with("src/"),
        "t/*.py" => file.starts_with("t/"),
        "t/{x,y}.py" => matches!(file, "t/x.py" | "t/y.py"),
        path => path == file,
    };
    all.into_iter().filter(|f| is_in(f)).collect()
}

/// Runs a feature to its end, a random task at a time, and checks what must hold on the way.
fn drain(items: &[PlanItem], plan: &Plan, choices: &[prop::sample::Index]) -> Result<(), TestCaseError> {
    let by_id: BTreeMap<&TaskId, &PlanItem> = items.iter().map(|i| (&i.id, i)).collect();
    let mut progress: BTreeMap<TaskId, Progress> = BTreeMap::new();
    progress.extend(items.iter().filter(|i| i.done).map(|i| (i.id.clone(), Progress::Done)));
    for round in 0.. {
        let now = |id: &TaskId| progress.get(id).copied().unwrap_or(Progress::Open);
        let next = ready(plan, &now, ParkedPolicy::Hold);
        let in_flight: Vec<TaskId> =
            progress.iter().filter(|(_, p)| **p == Progress::InFlight).map(|(id, _)| id.clone()).collect();
        let choices_now = next.len() + in_flight.len();
        if choices_now == 0 {
            break;
        }
        let choice = choices[round % choices.len()].index(choices_now);
        if let Some(done) = choice.checked_sub(next.len()) {
            progress.insert(in_flight[done].clone(), Progress::Done);
            continue;
        }
        let started = by_id[&next[choice]];
        for need in started.depends_on.iter().filter(|d| by_id.contains_key(d)) {
            prop_assert_eq!(now(need), Progress::Done, "{} before {}", started.id, need);
        }
        for need in plan.predecessors(&started.id) {
            prop_assert_eq!(now(&need), Progress::Done, "{} before {}", started.id, need);
        }
        let files = |i: &PlanItem| i.paths.iter().flat_map(|p| files_of(p)).collect::<BTreeSet<_>>();
        for other in &in_flight {
            prop_assert!(files(started).is_disjoint(&files(by_id[other])), "{} beside {other}", started.id);
        }
        progress.insert(started.id.clone(), Progress::InFlight);
    }
    let open: Vec<_> = items.iter().filter(|i| progress.get(&i.id) != Some(&Progress::Done)).collect();
    prop_assert!(open.is_empty(), "never ready: {open:?}");
    Ok(())
}

/// The rule of implied order, pair by pair: `later` waits for `earlier`, or a warning is due.
fn waits(earlier: &PlanItem, later: &PlanItem, items: &[PlanItem], options: PlanOptions) -> bool {
    if earlier.phase == later.phase {
        let named = options.order == Order::Files && !earlier.paths.is_empty() && !later.paths.is_empty();
        return earlier.line < later.line && !(earlier.parallel && later.parallel) && !named;
    }
    let is_story = |phase: u32| items.iter().any(|i| i.phase == phase && i.story_phase);
    let first_story = items.iter().filter(|i| is_story(i.phase)).map(|i| i.phase).min();
    match (options.stories, first_story) {
        (StoryOrder::Parallel, Some(first)) if is_story(later.phase) => earlier.phase < first,
        _ => earlier.phase < later.phase,
    }
}

proptest! {
    #[test]
    fn every_feature_drains_and_the_order_is_kept(
        items in any_items(), options in any_options(), seed: u64,
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        let items = without_circles(items, seed);
        let plan = plan(&items, options).unwrap();
        drain(&items, &plan, &choices)?;
    }

    /// Two tasks that name one file are told apart from two that are linked through others.
    #[test]
    fn what_is_shared_is_what_links(items in any_items(), options in any_options()) {
        let Ok(plan) = plan(&items, options) else { return Ok(()) };
        let files = |task: &PlannedTask| task.paths.iter().flat_map(|p| files_of(p)).collect::<BTreeSet<_>>();
        for (a, b) in plan.tasks.iter().zip(plan.tasks.iter().skip(1)) {
            if !files(a).is_disjoint(&files(b)) {
                prop_assert!(a.shares(b).is_some() && b.shares(a).is_some(), "{} and {}", a.id, b.id);
            }
            if a.shares(b).is_some() && a.convoy.is_some() && b.convoy.is_some() {
                prop_assert_eq!(a.convoy, b.convoy, "{} and {}", a.id, b.id);
            }
        }
    }

    #[test]
    fn the_order_is_a_function_of_the_input(items in any_items(), options in any_options()) {
        let first = plan(&items, options);
        prop_assert_eq!(&first, &plan(&items, options));
        let mut shuffled = items.clone();
        shuffled.reverse();
        if let Ok(first) = first {
            prop_assert_eq!(rounds(&first), rounds(&plan(&shuffled, options).unwrap()));
        }
    }

    /// What a task is said to wait for is what keeps it from being ready, whatever is over already.
    #[test]
    fn what_is_waited_for_is_what_hinders(
        items in any_items(), options in any_options(), seed: u64, over in prop::collection::vec(any::<bool>(), 24),
    ) {
        let plan = plan(&without_circles(items, seed), options).unwrap();
        let now = |t: &TaskId| if over[plan.position(t).unwrap()] { Progress::Done } else { Progress::Open };
        let ready = ready(&plan, &now, ParkedPolicy::Hold);
        let taken: BTreeSet<_> =
            plan.tasks.iter().filter(|t| ready.contains(&t.id)).filter_map(|t| t.convoy).collect();
        let waits = open_predecessors(&plan, &now, ParkedPolicy::Hold);
        for (task, before) in plan.tasks.iter().zip(&waits).filter(|(t, _)| now(&t.id) == Progress::Open) {
            prop_assert!(before.iter().all(|t| now(t) == Progress::Open), "{} after {before:?}", task.id);
            let is_ready = ready.contains(&task.id);
            let shares = task.convoy.is_some_and(|convoy| taken.contains(&convoy));
            prop_assert!(is_ready == before.is_empty() || !is_ready && shares, "{} after {before:?}", task.id);
        }
    }

    /// Without declared dependencies the graph says what the rule says for each pair.
    #[test]
    fn implied_order_is_the_rule_pair_by_pair(mut items in any_items(), options in any_options()) {
        for item in &mut items {
            item.depends_on.clear();
            item.after_phases.clear();
        }
        let plan = plan(&items, options).unwrap();
        prop_assert!(plan.warnings.iter().all(|w| w.message.contains("convoy")));
        for later in &items {
            let before: BTreeSet<&TaskId> = items.iter().filter(|e| waits(e, later, &items, options)).map(|e| &e.id).collect();
            // All that must come first done, the task is not hindered; with one of them open it is.
            for open in items.iter().filter(|i| i.id != later.id) {
                let now = |t: &TaskId| if *t == open.id { Progress::InFlight } else if *t == later.id { Progress::Open } else { Progress::Done };
                let waiting = !waits_for(&plan, &later.id, &now, ParkedPolicy::Hold).is_empty();
                prop_assert_eq!(waiting, before.contains(&open.id), "{} and {}", later.id, open.id);
            }
        }
    }

    /// With declared ones: every implied pair is kept, or its opposite is what the plan says.
    #[test]
    fn an_implied_pair_is_kept_or_turned(items in any_items(), options in any_options(), seed: u64) {
        let mut items = without_circles(items, seed);
        for item in &mut items {
            item.after_phases.clear();
        }
        let plan = plan(&items, options).unwrap();
        let place = |id: &TaskId| plan.position(id).unwrap();
        let reached: Vec<Vec<bool>> = (0..plan.tasks.len()).map(|t| plan.graph.reached_from(t)).collect();
        for later in &items {
            for earlier in items.iter().filter(|e| waits(e, later, &items, options)) {
                let (e, l) = (place(&earlier.id), place(&later.id));
                prop_assert!(reached[e][l] || reached[l][e], "{} and {}", earlier.id, later.id);
            }
        }
    }

    #[test]
    fn a_circle_is_a_circle(items in any_items(), options in any_options()) {
        let Err(cycle) = plan(&items, options) else { return Ok(()) };
        let needs = |a: &TaskId, b: &TaskId| items.iter().any(|i| i.id == *a && i.depends_on.contains(b));
        for (n, from) in cycle.path.iter().enumerate() {
            let to = &cycle.path[(n + 1) % cycle.path.len()];
            prop_assert!(needs(from, to), "{from} does not need {to}");
        }
    }
}
