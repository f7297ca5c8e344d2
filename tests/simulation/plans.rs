//! Features for the simulation: random tasks with phases, files and dependencies, and the rules.

use sprint::domain::budget::Limit;
use sprint::domain::event::{NewFeature, NewTask};
use sprint::domain::ids::{CommitSha, FeatureId, GateName, StageName, TaskId};
use sprint::domain::pipeline::{Goto, Pipeline, Proof, Role, Stage, StageKind};
use sprint::domain::plan::{ParkedPolicy, PlanItem, PlanOptions, plan};
use sprint::domain::policy::{Policy, RolePolicy};

use crate::world::Choices;

pub const ATTEMPTS: u32 = 3;

pub fn sha(number: u64) -> CommitSha {
    CommitSha::parse(&format!("{number:040x}")).unwrap()
}

pub fn task_id(number: usize) -> TaskId {
    TaskId::parse(&format!("T{number:03}")).unwrap()
}

pub fn feature_id(name: &str) -> FeatureId {
    FeatureId::parse(name).unwrap()
}

pub fn item(number: usize, phase: u32, parallel: bool, paths: &[&str], depends_on: Vec<TaskId>) -> PlanItem {
    PlanItem {
        id: task_id(number),
        line: u32::try_from(number).unwrap(),
        phase,
        story_phase: false,
        after_phases: Vec::new(),
        parallel,
        paths: paths.iter().map(ToString::to_string).collect(),
        depends_on,
        done: false,
    }
}

pub fn random_items(choices: &mut Choices) -> Vec<PlanItem> {
    let files = ["a.py", "b.py", "c.py", "d.py"];
    let mut phase = 1;
    (1..=1 + choices.below(9))
        .map(|number| {
            phase += u32::from(choices.chance(250));
            let paths: Vec<&str> = files.iter().copied().filter(|_| choices.chance(250)).collect();
            let depends_on = (1..number).filter(|_| choices.chance(80)).map(task_id).collect();
            item(number, phase, choices.chance(700), &paths, depends_on)
        })
        .collect()
}

fn stage(name: &str, kind: StageKind, role: Role) -> Stage {
    Stage {
        name: StageName::parse(name).unwrap(),
        kind,
        role,
        proof: Proof::None,
        attempts: ATTEMPTS,
        timeout_ms: 60_000,
        has_work: true,
        on_pass: Goto::Next,
        on_fail: Goto::Rework,
        on_skip: if kind == StageKind::Work { Goto::Skip } else { Goto::Next },
        on_error: Goto::Hold,
    }
}

/// The developers' agent.
pub const AGENT: &str = "model";

pub fn default_policy() -> Policy {
    let mut stages = vec![
        stage("InProgress", StageKind::Work, Role::Developer),
        stage("InReview", StageKind::Check, Role::Reviewer),
        stage("InTests", StageKind::Check, Role::Tester),
        stage("InDocs", StageKind::Check, Role::Librarian),
        stage("Merging", StageKind::Land, Role::Merger),
    ];
    stages[3].has_work = false;
    let max = |role| if matches!(role, Role::Developer | Role::Tester) { 3 } else { 1 };
    let roles =
        Role::ALL.into_iter().map(|role| (role, RolePolicy { max: max(role), permanent: max(role) == 1 }));
    Policy {
        pipeline: Pipeline { stages },
        roles: roles.collect(),
        agents: [(Role::Developer, AGENT.to_owned())].into(),
        max_in_flight: 6,
        gate_base: true,
        must_land: vec![GateName::parse("unit").unwrap()],
        config: "c1".to_owned(),
        ..Policy::default()
    }
}

/// The default rules with what a person may have changed.
pub fn random_policy(choices: &mut Choices) -> Policy {
    let mut policy = default_policy();
    policy.gate_base = choices.chance(500);
    policy.max_in_flight = u32::try_from(1 + choices.below(6)).unwrap();
    if choices.chance(400) {
        policy.agents.insert(Role::Manager, if choices.chance(500) { AGENT } else { "planner" }.to_owned());
        policy.manager_auto = choices.chance(500);
    }
    if choices.chance(300) {
        policy.agents.insert(Role::Merger, AGENT.to_owned());
    }
    if choices.chance(200) {
        policy.parked = ParkedPolicy::Continue;
    }
    if choices.chance(150) {
        let at = if choices.chance(300) { 0 } else { 4 };
        policy.pipeline.stages.insert(at, stage("Approval", StageKind::Wait, Role::Manager));
    }
    for (at, tokens) in [60, 200, 150].into_iter().enumerate() {
        if choices.chance(200) {
            let limit = tokens_limit(tokens);
            let budget = &mut policy.budget;
            [&mut budget.task, &mut budget.feature, &mut budget.day][at].clone_from(&limit);
        }
    }
    policy
}

pub fn tokens_limit(tokens: u64) -> Limit {
    Limit { tokens: Some(tokens), micro_usd: None }
}

pub fn feature(name: &str, items: &[PlanItem], policy: Policy) -> NewFeature {
    let tasks = items.iter().map(|item| NewTask {
        id: item.id.clone(),
        title: format!("does {}", item.id),
        done: item.done,
        dropped: false,
        attempt: 0,
        labels: if item.line % 3 == 0 { vec!["Other".to_owned()] } else { Vec::new() },
    });
    NewFeature {
        id: feature_id(name),
        dir: format!("specs/{name}"),
        plan: plan(items, PlanOptions::default()).unwrap(),
        tasks: tasks.collect(),
        policy,
        base: sha(1),
        after: None,
        stay: false,
        answer_wait_ms: 0,
    }
}

/// `count` tasks without any order, each with a file of its own.
pub fn wide(count: usize) -> Vec<PlanItem> {
    (1..=count).map(|number| item(number, 1, true, &[&format!("src/f{number}.py")], Vec::new())).collect()
}

/// One task after the other.
pub fn chain(count: usize) -> Vec<PlanItem> {
    (1..=count).map(|number| item(number, 1, false, &[], Vec::new())).collect()
}
