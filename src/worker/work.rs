//! A `work` stage: an agent makes a change in the task's own worktree, and git proves it.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::agent::ask;
use super::brief;
use super::conversation::Talk;
use super::deliver;
use super::life::Desk;
use super::screen::Screen;
use super::spending;
use super::trees::{identity, recipe, set_up};
use crate::agents::claim;
use crate::agents::outcome::{GitFacts, Needed, ProgramEnding, RunOutcome, Said, Standing, Unserved, decide};
use crate::config::{Adapter, Retry};
use crate::domain::budget;
use crate::domain::event::Event;
use crate::domain::ids::{CommitSha, TaskId};
use crate::domain::pipeline::Proof;
use crate::domain::report::Report;
use crate::error::chain;
use crate::git::durable::{self, RefChange, update_refs};
use crate::git::leftovers::{self, Author};
use crate::git::pool::{Origin, Owner, Pool};
use crate::git::prepare::prepare;
use crate::git::pushed::Remembered;
use crate::git::worktree::Worktree;
use crate::git::{self, Repo, branch, broken, diff};
use crate::process::clock;
use crate::process::scratch;
use crate::process::tree::{EndError, KILL_WAIT, Scope, end_children, end_tree};
use crate::redact;

/// From SIGTERM to SIGKILL for what a program leaves behind.
const LEFT_GRACE: Duration = Duration::from_secs(2);

/// Commits of an attempt whose messages are looked at.
const MESSAGES_MAX: usize = 10_000;

/// Pushed branches that are told of.
const PUSHED_MAX: usize = 10;

/// Does the run.
pub(super) fn run(desk: &Desk<'_>, screen: &mut Screen) -> Report {
    let Some(task) = desk.run.job.task.clone() else {
        return Report::Errored { reason: "a work stage needs a task".to_owned() };
    };
    match attempt(desk, screen, &task) {
        Ok(report) => report,
        Err(reason) => Report::Errored { reason },
    }
}

/// `Err` is what could not run, for people: not the developer's fault.
fn attempt(desk: &Desk<'_>, screen: &mut Screen, task: &TaskId) -> Result<Report, String> {
    let adapter = brief::adapter(desk)?.ok_or("the role of a work stage has no agent")?;
    let pool = Pool::open(&desk.place.repo, &desk.place.layout.state).map_err(|error| chain(&error))?;
    let mut worktree = open_worktree(desk, screen, &pool, task, &adapter)?;
    let mut setup = |path: &Path, command: &str| set_up(desk, screen, path, command);
    prepare(&pool, &desk.place.repo, &mut worktree, &recipe(desk), &mut setup)
        .map_err(|error| chain(&error))?;
    let begun = Begun::at(&desk.place.repo, &worktree, start_of(desk, &adapter), goes_on(desk, &adapter))?;
    let order = |chat: &Talk| brief::order(desk, task, &worktree, &adapter, chat, &brief::Subject::default());
    screen.say(&format!("runs {} in {}", adapter.name, worktree.path.display()));
    let changed = || has_changed(&worktree, &begun, &desk.run.job.base);
    let (ending, said) = ask(desk, screen, &adapter, &worktree, (&order, &changed))?;
    if let Some(report) = end_what_is_left(desk, &pool, &worktree) {
        return Ok(report);
    }
    if let Some(reason) = unreadable(desk, &worktree)? {
        return Ok(Report::Failed { reason, feedback: None });
    }
    let facts = facts(desk, &pool, &worktree, &begun)?;
    tell_pushes(desk, screen, &begun, &facts);
    if facts.new_commit || facts.diff {
        desk.at_once.set(false);
    }
    judge(desk, screen, &worktree, task, &adapter.name, &facts, (&ending, &said))
}

/// The task's worktree on the attempt's branch. A run that continues after an answer finds it as
/// it was; one that begins again after a death finds it clean, its old contents saved.
fn open_worktree(
    desk: &Desk<'_>,
    screen: &mut Screen,
    pool: &Pool,
    task: &TaskId,
    adapter: &Adapter,
) -> Result<Worktree, String> {
    let job = &desk.run.job;
    let name = branch::task(&job.feature, task, job.attempt);
    let at = start_of(desk, adapter);
    let identity = identity(desk);
    let author = Author { identity: &identity, date: job.stamp_s };
    let owner = Owner::Task { feature: job.feature.clone(), task: task.clone() };
    // A run of this task that was killed is gone by now, its locks are not.
    durable::clear_task_locks(&desk.place.repo.common_dir, &job.feature, task)
        .map_err(|error| chain(&error))?;
    let acquired = pool.acquire(&owner, at, Some(&name), &author).map_err(|error| chain(&error))?;
    let worktree = acquired.worktree;
    let goes_on = goes_on(desk, adapter);
    if acquired.lost {
        screen.say("its worktree was deleted and is made anew; what was not committed in it is lost");
    }
    // A worktree that was lost comes back at the tip of the branch, with the commits of that run.
    let begun = acquired.origin == Origin::Kept || worktree.head().map_err(|error| chain(&error))? != *at;
    if begun && !goes_on {
        screen.say("begins this attempt again; what was there is saved");
        begin_again(desk, &worktree, task, &name, at, &author).map_err(|error| chain(&error))?;
    }
    Ok(worktree)
}

/// What the attempt began on.
fn start_of<'d>(desk: &'d Desk<'_>, adapter: &Adapter) -> &'d CommitSha {
    let job = &desk.run.job;
    match adapter.retry {
        Retry::Continue => job.resume_from.as_ref().unwrap_or(&job.base),
        Retry::Fresh => &job.base,
    }
}

/// Whether what an earlier run of the attempt has committed is this one's too: it asked and has its answer,
/// or was ended by a limit of its service, a budget or a death, and goes on.
fn goes_on(desk: &Desk<'_>, adapter: &Adapter) -> bool {
    brief::continues(desk) || adapter.retry == Retry::Continue
}

fn begin_again(
    desk: &Desk<'_>,
    worktree: &Worktree,
    task: &TaskId,
    name: &str,
    at: &CommitSha,
    author: &Author<'_>,
) -> git::Result<()> {
    let job = &desk.run.job;
    worktree.clear_stale_locks()?;
    if leftovers::save(worktree, &job.feature, task, job.attempt, author)?.is_none()
        && worktree.head()? != *at
    {
        leftovers::save_head(worktree, &job.feature, task, job.attempt, author)?;
    }
    update_refs(&desk.place.repo.common_dir, &[RefChange::Set(branch::head_ref(name), at.clone())], None)?;
    worktree.checkout_branch(name)
}

/// Whatever the program started and left is ended before anything is judged.
pub(super) fn end_what_is_left(desk: &Desk<'_>, pool: &Pool, worktree: &Worktree) -> Option<Report> {
    let scope = Scope {
        leaders: Vec::new(),
        mark: Some(desk.run.id.to_string()),
        worktree: Some(worktree.path.clone()),
    };
    // A daemon may have a session, a directory and an environment of its own: as an orphan it is a
    // child of this process all the same.
    let ended =
        end_tree(&scope, LEFT_GRACE, KILL_WAIT).and_then(|()| end_children(LEFT_GRACE, KILL_WAIT).map(drop));
    let processes = match ended {
        Ok(()) => {
            scratch::remove(&brief::scratch(desk));
            return None;
        }
        Err(EndError::Survivors(left)) => {
            left.iter().map(|member| format!("{} {}", member.id.pid, member.name)).collect()
        }
        Err(EndError::Proc(error)) => vec![format!("unknown: {error}")],
    };
    let survivors: &Vec<String> = &processes;
    if let Err(error) = pool.quarantine(worktree.number, &survivors.join(", ")) {
        tracing::error!(%error, "the worktree cannot be quarantined");
    }
    Some(Report::Survived { processes })
}

/// Claims against proof.
fn judge(
    desk: &Desk<'_>,
    screen: &mut Screen,
    worktree: &Worktree,
    task: &TaskId,
    agent: &str,
    facts: &GitFacts,
    (ending, said): (&ProgramEnding, &Said),
) -> Result<Report, String> {
    let run_dir = brief::utf8(&desk.place.layout.run(&desk.run.id))?;
    let claims = claim::read(&run_dir, &desk.run.token).map_err(|error| chain(&error))?;
    if !claims.claims.is_empty() {
        desk.at_once.set(false);
    }
    let needed = if brief::stage(desk)?.proof == Proof::Commit { Needed::Change } else { Needed::Nothing };
    let identity = identity(desk);
    let author = Author { identity: &identity, date: desk.run.job.stamp_s };
    match decide(ending, said, &claims.claims, facts, needed) {
        RunOutcome::Done { message, commit_diff } => {
            if commit_diff {
                let title = git::candidate::one_line(&desk.run.job.title);
                leftovers::commit_all(worktree, &format!("{task}: {title}"), &author)
                    .map_err(|error| chain(&error))?;
                screen.say("sprint commits what the agent left");
            }
            if let Some(reason) = told_secret(desk, worktree)? {
                return Ok(Report::Failed { reason, feedback: None });
            }
            let finished = leftovers::finish(worktree, &desk.run.id).map_err(|error| chain(&error))?;
            Ok(Report::Worked { head: finished.head, summary: message })
        }
        other => {
            say_left_out(screen, facts, &other);
            if facts.worktree == Standing::There {
                keep(desk, worktree, task, &author);
            }
            Ok(match other {
                RunOutcome::Failed { reason } => Report::Failed { reason, feedback: None },
                RunOutcome::Skipped => {
                    Report::NothingToDo { reason: "the agent says that there is nothing to do".to_owned() }
                }
                RunOutcome::Blocked { question } => Report::Blocked { question },
                RunOutcome::Unjudged { reason } => Report::Errored { reason },
                RunOutcome::Unserved(unserved) => unserved_report(agent, unserved),
                RunOutcome::Overspent(scope) => overspent_report(desk, scope),
                RunOutcome::Interrupted | RunOutcome::Done { .. } => {
                    Report::Interrupted { reason: "the worker was told to end".to_owned() }
                }
            })
        }
    }
}

/// What lands must be there to be read; an agent can damage the files of its own objects. Before anything reads
/// them: libgit2 would read on for ever in one that is cut off.
pub(super) fn unreadable(desk: &Desk<'_>, worktree: &Worktree) -> Result<Option<String>, String> {
    // Without one there is nothing to read.
    let Ok(tip) = worktree.tip() else { return Ok(None) };
    broken::unreadable(&desk.place.repo, &desk.run.job.base, &tip).map_err(|error| chain(&error))
}

/// What a message tells lands for good, and no gate reads it.
fn told_secret(desk: &Desk<'_>, worktree: &Worktree) -> Result<Option<String>, String> {
    let head = worktree.head().map_err(|error| chain(&error))?;
    let messages = diff::messages(&desk.place.repo, &desk.run.job.base, &head, MESSAGES_MAX);
    let messages = messages.map_err(|error| chain(&error))?;
    let told = messages.iter().find(|(_, message)| redact::text(message) != message.as_str());
    Ok(told.map(|(commit, message)| {
        let line = redact::text(message);
        let line = line.lines().find(|line| line.contains("[redacted: ")).unwrap_or_default().to_owned();
        format!("the message of commit {} has a secret in it: {line}", commit.short())
    }))
}

/// The adapter's name goes with it: everybody who works with it waits.
pub(super) fn unserved_report(agent: &str, unserved: Unserved) -> Report {
    let until_ms = unserved.until.map(|until| until.unix_ms(clock::now()));
    Report::Unserved { agent: agent.to_owned(), reason: unserved.reason, lasting: unserved.lasting, until_ms }
}

/// What was done so far is saved; the supervisor knows what becomes of the task.
pub(super) fn overspent_report(desk: &Desk<'_>, scope: budget::Scope) -> Report {
    Report::Overspent { scope, reason: spending::reason(desk, scope) }
}

/// Whether there is anything that the run began without: for a program that has only ended its
/// turn. What it is worth is judged when everything has ended.
fn has_changed(worktree: &Worktree, begun: &Begun, base: &CommitSha) -> bool {
    let head = worktree.tip().is_ok_and(|tip| tip != begun.head);
    head || leftovers::look(worktree, base).is_ok_and(|left| left.diff)
}

/// An attempt that ends for another reason says it too; what is left out is saved either way.
fn say_left_out(screen: &mut Screen, facts: &GitFacts, outcome: &RunOutcome) {
    if let Some(why) = &facts.left_out
        && !matches!(outcome, RunOutcome::Failed { reason } if reason == why)
    {
        screen.say(why);
    }
}

/// What a run began with.
struct Begun {
    head: CommitSha,
    /// What the attempt began on, in this run or an earlier one.
    start: CommitSha,
    /// Whether what lies between the two counts.
    goes_on: bool,
    /// Held open, so that no directory that comes after it can be taken for it.
    root: File,
    /// Where branches of remotes were.
    remembered: Remembered,
}

impl Begun {
    fn at(repo: &Repo, worktree: &Worktree, start: &CommitSha, goes_on: bool) -> Result<Self, String> {
        let head = worktree.head().map_err(|error| chain(&error))?;
        let root = File::open(&worktree.path)
            .map_err(|error| format!("`{}` cannot be opened: {error}", worktree.path.display()))?;
        let remembered = Remembered::now(repo).map_err(|error| chain(&error))?;
        Ok(Self { head, start: start.clone(), goes_on, root, remembered })
    }

    /// An empty directory that somebody made in its place is not the worktree: everything in it
    /// would count as removed.
    fn is_at(&self, path: &Path) -> bool {
        let same = |a: Metadata, b: Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        self.root.metadata().is_ok_and(|was| fs::metadata(path).is_ok_and(|now| same(was, now)))
    }
}

/// Sprint pushes nothing, and takes back nothing that somebody has pushed: the person is told. An agent
/// that pushes by an address of its own is not seen.
fn tell_pushes(desk: &Desk<'_>, screen: &mut Screen, begun: &Begun, facts: &GitFacts) {
    let (repo, head) = (&desk.place.repo, facts.head.as_ref().unwrap_or(&begun.head));
    let now = Remembered::now(repo);
    let pushed = now.and_then(|now| now.pushed_since(&begun.remembered, repo, (&begun.head, head)));
    let pushed = pushed.unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "it is not known what was pushed");
        Vec::new()
    });
    for (branch, at) in pushed.iter().take(PUSHED_MAX) {
        let text = format!(
            "while the agent worked, `{branch}` was moved to {}: somebody has pushed it, and sprint takes nothing back",
            at.short()
        );
        screen.say(&text);
        let (run, token) = (desk.run.id.clone(), desk.run.token.clone());
        if !deliver::remark(desk.place, desk.interrupts.client(), Event::Comment { run, token, text }) {
            tracing::warn!(branch, "a push is in the transcript only");
        }
    }
}

/// `Err`: what is there cannot be read, so that nothing can be said about it.
fn facts(desk: &Desk<'_>, pool: &Pool, worktree: &Worktree, begun: &Begun) -> Result<GitFacts, String> {
    let standing = match (pool.was_deleted(worktree), begun.is_at(&worktree.path)) {
        (true, _) => Standing::Swept,
        (false, false) => Standing::Gone,
        (false, true) => Standing::There,
    };
    if standing == Standing::Gone {
        pool.lose(worktree.number).map_err(|error| chain(&error))?;
    }
    let gone = GitFacts {
        head: None,
        new_commit: false,
        astray_of: None,
        diff: false,
        left_out: None,
        worktree: standing,
    };
    if standing != Standing::There || worktree.repair().is_err() {
        return Ok(gone);
    }
    let job = &desk.run.job;
    let of_task = job.task.as_ref().map_or(Ok(Vec::new()), |task| {
        durable::clear_task_locks(&desk.place.repo.common_dir, &job.feature, task)
    });
    if let Err(error) = worktree.clear_stale_locks().and(of_task) {
        tracing::warn!(%error, "stale locks of a worktree stay");
    }
    let Ok(head) = worktree.head() else { return Ok(gone) };
    let repo = &desk.place.repo;
    let contains = diff::is_descendant(repo, &begun.head, &head);
    let new_commit = head != begun.head && *contains.as_ref().unwrap_or(&false);
    let astray_of = matches!(contains, Ok(false)).then(|| begun.head.clone());
    let earlier = begun.goes_on
        && head != begun.start
        && diff::is_descendant(repo, &begun.start, &head).is_ok_and(|after| after);
    let left = leftovers::look(worktree, &job.base).map_err(|error| chain(&error))?;
    Ok(GitFacts {
        head: Some(head),
        new_commit: new_commit || earlier,
        astray_of,
        diff: left.diff,
        left_out: left.nested.reason(),
        worktree: standing,
    })
}

/// Uncommitted work is saved before anything else happens to the worktree.
fn keep(desk: &Desk<'_>, worktree: &Worktree, task: &TaskId, author: &Author<'_>) {
    let job = &desk.run.job;
    match leftovers::save(worktree, &job.feature, task, job.attempt, author) {
        Ok(Some(saved)) => tracing::info!(reference = saved.reference, "uncommitted work is saved"),
        Ok(None) => {}
        Err(error) => tracing::warn!(error = chain(&error), "uncommitted work stays in the worktree"),
    }
}
