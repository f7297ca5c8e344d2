//! Programs that run wild: what they may use is bounded, whoever counts, and nobody else suffers.

use crate::common::{World, task_row};

/// A bomb with an end, and more memory than it may have; both stay until they are ended.
const BOMB: &str = "for i in $(seq 300); do sleep 100 & done; wait";
const HOG: &str = "python3 -c 'x = b\"x\" * 600_000_000; import time; time.sleep(100)'";

const PROCESSES: &str = "it had more than 100 processes at once (`limits.processes`)";
const MEMORY: &str = "it took more than 200MB of memory (`limits.memory`)";

/// The limits of these tests; `kernel`: whether it may count.
fn limit(world: &mut World, kernel: bool) {
    world.set("limits.processes", "100");
    world.set("limits.memory", "\"200MB\"");
    world.set("limits.cgroups", if kernel { "true" } else { "false" });
}

/// Nothing that carries the number of a run of this world is left where the kernel counts; others have
/// theirs there too.
fn assert_no_groups_left(world: &World) {
    let database = rusqlite::Connection::open(world.state().join("sprint.db")).unwrap();
    let mut rows = database.prepare("SELECT id FROM runs").unwrap();
    let runs: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!runs.is_empty(), "there were runs");
    for home in ["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"] {
        let names = std::fs::read_dir(home).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let own = |name: &str| runs.iter().any(|run| name.starts_with(&format!("sprint-run-{run}.")));
        let left: Vec<_> = names.filter(|name| own(&name.to_string_lossy())).collect();
        assert_eq!(left, [] as [std::ffi::OsString; 0], "{home}");
    }
}

#[test]
fn an_agent_that_runs_wild_parks_its_own_task_and_nothing_else() {
    for (kernel, wild, why) in
        [(true, BOMB, PROCESSES), (true, HOG, MEMORY), (false, BOMB, PROCESSES), (false, HOG, MEMORY)]
    {
        let mut world = World::new();
        world.feature(
            "001-demo",
            "## Phase 1: Work\n\n- [ ] T001 [P] write a.txt\n- [ ] T002 [P] write b.txt\n",
        );
        world.agent(&format!(
            "if [ $1 = T001 ]; then {wild}; fi\necho b > b.txt; git add -A; git commit -qm b"
        ));
        limit(&mut world, kernel);
        world.configure();
        world.commit("base");
        let told = world.start().expect(1);
        world.assert_nothing_left();
        let status = world.status();
        let row = task_row(&status, "T001");
        assert_eq!(row["state"], "Parked", "{status:#}");
        assert!(row["reason"].as_str().unwrap().contains(why), "{kernel} {why}: {row:#}");
        assert_eq!(world.landed(), "T002:1", "{}", told.stdout);
        assert_no_groups_left(&world);
    }
}

#[test]
fn a_gate_that_runs_wild_is_an_error_and_waits_for_the_operator() {
    for (kernel, wild, why) in
        [(true, BOMB, PROCESSES), (true, HOG, MEMORY), (false, BOMB, PROCESSES), (false, HOG, MEMORY)]
    {
        let mut world = World::new();
        world.feature("001-demo", "## Phase 1: Work\n\n- [ ] T001 write a.txt\n");
        world.agent("echo a > a.txt; git add -A; git commit -qm a");
        world.gate("wild", &format!("if [ -e a.txt ] && [ ! -e $W/mended ]; then {wild}; fi"));
        limit(&mut world, kernel);
        world.configure();
        world.commit("base");
        world.detach();
        let reason = |status: &serde_json::Value| {
            task_row(status, "T001")["reason"].as_str().unwrap_or_default().to_owned()
        };
        let status = world.wait_for("the error", |status| reason(status).contains("retry 1 of 3"));
        assert!(reason(&status).contains(why), "{kernel} {why}: {status:#}");
        world.touch("mended");
        world.sprint(&["reload"]).expect(0);
        world.wait_until("the end of the sprint", || world.supervisor().is_none());
        world.assert_nothing_left();
        assert_eq!(world.landed(), "T001:1", "no attempt is spent on a gate that runs wild");
        assert_no_groups_left(&world);
    }
}
