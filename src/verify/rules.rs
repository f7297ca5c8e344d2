//! The invariants on what was read. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Branch, Commit, Facts, Feature, Intent, Landing, Task};
use super::{Broken, Invariant};

/// So much is told of each invariant.
const TOLD_MAX: usize = 20;
/// A task in one of these is not in flight.
const AT_REST: [&str; 4] = ["todo", "done", "parked", "skipped"];
/// What lets a gate's tree land.
const PASSED: [&str; 2] = ["pass", "skipped"];

/// Everything that does not hold.
pub(super) fn broken(facts: &Facts) -> Vec<Broken> {
    let mut all = Vec::new();
    for invariant in Invariant::ALL {
        let found = look(invariant, facts);
        let more = found.len().saturating_sub(TOLD_MAX);
        let told = found.into_iter().take(TOLD_MAX);
        all.extend(told.map(|what| Broken { invariant, what }));
        if more > 0 {
            all.push(Broken { invariant, what: format!("and {more} more") });
        }
    }
    all
}

fn look(invariant: Invariant, facts: &Facts) -> Vec<String> {
    match invariant {
        Invariant::Database => facts.rows.damage.clone(),
        Invariant::Epochs => epochs(facts),
        Invariant::Owners => owners(facts),
        Invariant::Convoys => convoys(facts),
        Invariant::Reports => reports(facts),
        Invariant::Head => each_feature(facts, head),
        Invariant::Chain => each_feature(facts, chain),
        Invariant::Landings => landings(facts),
        Invariant::Gated => gated(facts),
        Invariant::Boxes => each_feature(facts, boxes),
        Invariant::Objects => facts.git.damaged.clone(),
        Invariant::Kept => kept(facts),
    }
}

fn each_feature(facts: &Facts, rule: impl Fn(&Facts, &Feature, &Branch) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for feature in &facts.rows.features {
        if let Some(branch) = facts.git.branches.get(&feature.id) {
            found.extend(rule(facts, feature, branch));
        }
    }
    found
}

/// The person is told already, and nothing lands.
fn halted(feature: &Feature) -> bool {
    feature.halted.is_some()
}

/// Once it is finished its branch is the person's to merge and remove.
fn removed(feature: &Feature, branch: &Branch) -> bool {
    feature.status == "finished" && branch.head.is_none()
}

fn epochs(facts: &Facts) -> Vec<String> {
    let rows = &facts.rows;
    let pairs = rows.epochs.windows(2).filter(|pair| pair[1] <= pair[0]);
    let mut found: Vec<String> =
        pairs.map(|pair| format!("epoch {} began after epoch {}", pair[1], pair[0])).collect();
    if let Some(last) = rows.epochs.last().filter(|last| **last > rows.epoch) {
        found.push(format!("epoch {last} has written, and the database is at {}", rows.epoch));
    }
    found
}

fn owners(facts: &Facts) -> Vec<String> {
    let rows = &facts.rows;
    let mut found = Vec::new();
    let living: Vec<_> = rows.runs.iter().filter(|run| run.status != "ended").collect();
    let mut held: BTreeMap<&str, &str> = BTreeMap::new();
    for run in &living {
        if let Some(other) = held.insert(&run.worker, &run.id) {
            found.push(format!("{} has two runs: {other} and {}", run.worker, run.id));
        }
        let task = run.task.as_ref().filter(|_| run.status == "active");
        let Some(name) = task else { continue };
        let owner = rows.tasks.iter().find(|task| task.feature == run.feature && task.id == *name);
        match owner {
            None => found.push(format!("run {} is of {name}, which is not there", run.id)),
            Some(task) if task.status != "running" => {
                found.push(format!("run {} is active, and {name} is {}", run.id, task.status));
            }
            Some(_) => {}
        }
    }
    for task in rows.tasks.iter().filter(|task| task.status == "running") {
        let run = task.body.status.run.as_deref();
        if !living.iter().any(|living| Some(living.id.as_str()) == run && living.status == "active") {
            found.push(format!("{} runs, and its run {} does not", task.id, run.unwrap_or("is not named")));
        }
    }
    for worker in rows.workers.iter().filter(|worker| worker.life == "busy") {
        let run = worker.run.as_deref();
        if !living.iter().any(|living| Some(living.id.as_str()) == run && living.worker == worker.name) {
            found.push(format!("{} is busy with a run that is not its own", worker.name));
        }
    }
    let kinds = rows.tasks.iter().filter(|task| task.status != task.body.status.kind);
    found.extend(kinds.map(|task| {
        format!("{} is {} in one column and {} in the other", task.id, task.status, task.body.status.kind)
    }));
    found
}

fn convoys(facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for feature in &facts.rows.features {
        for convoy in &feature.convoys {
            let members = facts.rows.tasks.iter().filter(|task| task.feature == feature.id);
            let flying: Vec<&str> = members
                .filter(|task| convoy.contains(&task.id) && !AT_REST.contains(&task.status.as_str()))
                .map(|task| task.id.as_str())
                .collect();
            // One that waits to begin is not assigned yet; two that have a head share files.
            let begun: Vec<&str> = flying.iter().copied().filter(|id| is_begun(facts, feature, id)).collect();
            if begun.len() > 1 {
                found.push(format!("{} are in flight together", begun.join(" and ")));
            }
        }
    }
    found
}

fn is_begun(facts: &Facts, feature: &Feature, id: &str) -> bool {
    facts.rows.runs.iter().any(|run| run.feature == feature.id && run.task.as_deref() == Some(id))
}

fn reports(facts: &Facts) -> Vec<String> {
    let tokens: BTreeMap<&str, &str> =
        facts.rows.runs.iter().map(|run| (run.id.as_str(), run.token.as_str())).collect();
    let mut found = Vec::new();
    for file in &facts.reports {
        match &file.said {
            Err(why) => found.push(format!("the report of {} cannot be read: {why}", file.place)),
            Ok(said) if said.run != file.place => {
                found.push(format!("the report of {} is of {}", file.place, said.run));
            }
            Ok(said) if tokens.get(said.run.as_str()).is_some_and(|token| *token != said.token) => {
                found.push(format!("the report of {} has another run's token", file.place));
            }
            Ok(_) => {}
        }
    }
    found
}

fn open_intents<'f>(facts: &'f Facts, feature: &'f Feature) -> impl Iterator<Item = &'f Intent> {
    facts.rows.intents.iter().filter(|intent| intent.open && intent.feature == feature.id)
}

fn head(facts: &Facts, feature: &Feature, branch: &Branch) -> Vec<String> {
    if halted(feature) || removed(feature, branch) || branch.head == feature.head {
        return Vec::new();
    }
    // Between the move and its row.
    let asked = open_intents(facts, feature).any(|intent| Some(&intent.new) == branch.head.as_ref());
    if asked {
        return Vec::new();
    }
    let at = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "nowhere".to_owned());
    vec![format!("sprint/{} is at {}, the database says {}", feature.id, at(&branch.head), at(&feature.head))]
}

fn chain(facts: &Facts, feature: &Feature, branch: &Branch) -> Vec<String> {
    if halted(feature) || branch.head.is_none() {
        return Vec::new();
    }
    if !branch.from_base {
        return vec![format!("sprint/{} does not begin at its base {}", feature.id, feature.base)];
    }
    let mut found = Vec::new();
    for commit in &branch.chain {
        let short = short(&commit.id);
        let Some(name) = &commit.task else {
            found.push(format!("{short} on sprint/{} is of no task", feature.id));
            continue;
        };
        let task = facts.rows.tasks.iter().find(|task| task.feature == feature.id && task.id == *name);
        let merged = task.and_then(|task| task.body.candidate.as_ref()).map(|candidate| &candidate.head);
        match task {
            None => found.push(format!("{short} is of {name}, which the database does not know")),
            Some(_) if commit.parents.len() != 2 || commit.parents.get(1) != merged => {
                found.push(format!("{short} does not merge the work of {name}"));
            }
            Some(_) => {}
        }
    }
    found
}

fn boxes(_: &Facts, feature: &Feature, branch: &Branch) -> Vec<String> {
    if halted(feature) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for commit in &branch.chain {
        let Some(task) = &commit.task else { continue };
        let own: BTreeSet<&String> = commit.ticked.iter().filter(|name| *name == task).collect();
        let short = short(&commit.id);
        if commit.open_before.contains(task) && own.is_empty() {
            found.push(format!("{short} lands {task} and leaves its box open"));
        }
        let others: Vec<&str> =
            commit.ticked.iter().filter(|name| *name != task).map(String::as_str).collect();
        if !others.is_empty() || !commit.unticked.is_empty() {
            let all = others.into_iter().chain(commit.unticked.iter().map(String::as_str));
            found.push(format!(
                "{short} lands {task} and changes the box of {}",
                all.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    found
}

fn landings(facts: &Facts) -> Vec<String> {
    let rows = &facts.rows;
    let mut found = Vec::new();
    for task in &rows.tasks {
        let row = rows.landings.iter().find(|row| row.feature == task.feature && row.task == task.id);
        let says = task.body.status.commit.as_ref().filter(|_| task.status == "done");
        match (says, row) {
            (Some(says), Some(row)) if *says != row.commit => {
                found.push(format!("{} landed as {}, and as {}", task.id, short(says), short(&row.commit)));
            }
            (None, Some(row)) => {
                found.push(format!(
                    "{} has landed as {} and is {}",
                    task.id,
                    short(&row.commit),
                    task.status
                ));
            }
            // Without a row it had landed before this feature began: its box was ticked.
            (Some(_) | None, _) => {}
        }
    }
    for feature in rows.features.iter().filter(|feature| !halted(feature)) {
        let Some(branch) = facts.git.branches.get(&feature.id) else { continue };
        if branch.head.is_some() && branch.from_base {
            found.extend(both_ways(facts, feature, branch));
        }
    }
    found
}

/// Rows that the branch does not have, commits that no row has, and those that are there twice.
fn both_ways(facts: &Facts, feature: &Feature, branch: &Branch) -> Vec<String> {
    let rows: Vec<&Landing> = facts.rows.landings.iter().filter(|row| row.feature == feature.id).collect();
    let mut found = Vec::new();
    for row in &rows {
        if !branch.chain.iter().any(|commit| is_of(commit, row)) {
            found.push(format!("{} landed as {}, which is not on its branch", row.task, short(&row.commit)));
        }
    }
    let mut seen = BTreeSet::new();
    for commit in &branch.chain {
        let Some(task) = &commit.task else { continue };
        if !seen.insert(task) {
            found.push(format!("{task} landed twice: again as {}", short(&commit.id)));
        } else if !rows.iter().any(|row| is_of(commit, row))
            && !open_intents(facts, feature).any(|intent| intent.new == commit.id && intent.task == *task)
        {
            found.push(format!("{task} is on its branch as {}, and no row says so", short(&commit.id)));
        }
    }
    let order: Vec<&String> = branch.chain.iter().filter_map(|commit| commit.task.as_ref()).collect();
    let told: Vec<&String> = rows.iter().map(|row| &row.task).collect();
    if found.is_empty() && !order.starts_with(&told) {
        found.push(format!("sprint/{} has its tasks in another order than the database", feature.id));
    }
    found
}

fn is_of(commit: &Commit, row: &Landing) -> bool {
    commit.id == row.commit && commit.task.as_ref() == Some(&row.task)
}

fn gated(facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for row in &facts.rows.landings {
        let own = |task: &&Task| task.feature == row.feature && task.id == row.task;
        let Some(task) = facts.rows.tasks.iter().find(own) else { continue };
        let Some(candidate) = &task.body.candidate else {
            found.push(format!("{} landed without a candidate", task.id));
            continue;
        };
        if candidate.commit != row.commit {
            let (landed, gated) = (short(&row.commit), short(&candidate.commit));
            found.push(format!("{} landed as {landed}, and its gates saw {gated}", task.id));
        }
        let commit = facts.git.branches.get(&row.feature);
        let commit = commit.and_then(|branch| branch.chain.iter().find(|commit| commit.id == row.commit));
        if let Some(commit) = commit.filter(|commit| commit.tree != candidate.tree) {
            found.push(format!(
                "{} has the tree {}, its gates saw another",
                short(&commit.id),
                short(&commit.tree)
            ));
        }
        for gate in &task.body.gates {
            if !PASSED.contains(&gate.verdict.as_str()) {
                found.push(format!("{} landed with {} {}", task.id, gate.name, gate.verdict));
            } else if gate.at_merge && gate.tree != candidate.tree {
                found.push(format!("{} landed with {} of another tree", task.id, gate.name));
            }
        }
    }
    found
}

fn kept(facts: &Facts) -> Vec<String> {
    let rows = &facts.rows;
    let reachable = |commit: &String| {
        facts.git.reachable.contains(commit) || rows.features.iter().any(|feature| feature.base == *commit)
    };
    let mut found = Vec::new();
    let landed = rows.landings.iter().filter(|row| !reachable(&row.commit));
    found.extend(landed.map(|row| format!("{} landed as {}, which nothing reaches", row.task, row.commit)));
    let open = |task: &&Task| !["done", "skipped"].contains(&task.status.as_str());
    for task in rows.tasks.iter().filter(open) {
        if let Some(head) = task.body.head.as_ref().filter(|head| !reachable(head)) {
            found.push(format!("the work of {} is {head}, which nothing reaches", task.id));
        }
    }
    for said in facts.reports.iter().filter_map(|file| file.said.as_ref().ok()) {
        let (Some(head), "worked") = (&said.said.head, said.said.kind.as_str()) else { continue };
        let run = rows.runs.iter().find(|run| run.id == said.run);
        let Some(name) = run.and_then(|run| run.task.as_ref()) else { continue };
        let is_open = rows
            .tasks
            .iter()
            .filter(open)
            .any(|task| task.id == *name && run.is_some_and(|run| run.feature == task.feature));
        if is_open && !reachable(head) {
            found.push(format!("run {} of {name} made {head}, which nothing reaches", said.run));
        }
    }
    found
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
