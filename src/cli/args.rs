//! The command line: every command with its arguments and its help. It parses; it does nothing.

mod gates;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use gates::{GatesBaselineArgs, GatesCacheArgs, GatesCommand, GatesRunArgs};

/// `sprint`.
#[derive(Debug, Parser)]
#[command(
    name = "sprint",
    version,
    about = "Builds a written-down feature with coding agents in tmux: gated, merged one at a time, never red",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    color = clap::ColorChoice::Never,
    after_help = "Begin with `sprint init` in a repository, then `sprint start specs/001-thing`.\n\
                  Exit codes: 0 done, 1 unfinished, 2 usage or configuration, 3 environment, 4 refused, 70 a bug."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented sprint.toml into this repository
    Init(InitArgs),
    /// Install the tools of the gates into sprint's own place
    Install(InstallArgs),
    /// Check this machine, this repository and its sprint, and say what to do about each problem
    Doctor(DoctorArgs),
    /// Run a whole sprint on a sample repository, offline, with a script in place of a model
    Demo(DemoArgs),
    /// Build features: run their tasks, gate them, land them
    Start(StartArgs),
    /// Show the tasks, the workers, the merge queue and what waits for you
    Status(StatusArgs),
    /// Say whether everything works: 0 healthy, 1 degraded, 3 down
    Health(JsonArgs),
    /// Go to the tmux session of a worker; without a name, list them
    Attach(AttachArgs),
    /// Show the supervisor's log, or what a worker or a task printed
    Logs(LogsArgs),
    /// Show what has happened
    Events(EventsArgs),
    /// Answer a task's question; without a task, list the questions
    Answer(AnswerArgs),
    /// Let a waiting task pass
    Approve(TaskArg),
    /// Send a waiting task back
    Reject(RejectArgs),
    /// Assign nothing new
    Pause,
    /// Go on after a pause, or after somebody moved the integration branch
    Resume(ResumeArgs),
    /// Stop the sprint; everything is kept, `sprint start` goes on
    Stop(StopArgs),
    /// List, show, stop, retry or skip tasks
    #[command(subcommand, arg_required_else_help = true)]
    Task(TaskCommand),
    /// Look at a feature's tasks.md
    #[command(subcommand, arg_required_else_help = true)]
    Tasks(TasksCommand),
    /// Show what agents are told
    #[command(subcommand, arg_required_else_help = true)]
    Prompt(PromptCommand),
    /// List, show and check the adapters of agent programs
    #[command(subcommand, arg_required_else_help = true)]
    Agents(AgentsCommand),
    /// Run gates by hand; list them, their tools and what they keep
    #[command(subcommand, arg_required_else_help = true)]
    Gates(GatesCommand),
    /// Show what models have used, in tokens and money, as their programs tell it
    Cost(JsonArgs),
    /// Show the merge queue
    Queue(JsonArgs),
    /// Check what sprint promises against the database, git and the report files
    Verify(JsonArgs),
    /// Copy the sprint's database into a file
    Backup(FileArg),
    /// Put a backup in the database's place; what is there now is kept
    Restore(FileArg),
    /// Print the whole history, one event a line, as JSON
    Export,
    /// Read the configuration again for the running sprint
    Reload,
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page a command into a directory
    Man(ManArgs),
    /// For agents and workers inside sprint's own panes
    #[command(subcommand, arg_required_else_help = true)]
    Agent(AgentCommand),
    /// For hooks of agents' programs inside sprint's own panes: takes what they tell, always exits 0
    Hook(HookArgs),
    /// Serve sprint's tools (Model Context Protocol) on standard input and output, inside a run
    Mcp,
    /// The supervisor; `sprint start` runs it
    #[command(hide = true)]
    Supervise(SuperviseArgs),
}

/// What a program tells.
#[derive(Debug, clap::Args)]
pub struct HookArgs {
    /// The payload is the last of them; without any it is read from standard input
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<std::ffi::OsString>,
}

/// Nothing but the form of the output.
#[derive(Debug, Clone, Copy, Args)]
pub struct DoctorArgs {
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
    /// Mend what can be mended without losing anything
    #[arg(long)]
    pub fix: bool,
    /// With --fix: also what ends or replaces something
    #[arg(long, requires = "fix")]
    pub yes: bool,
}

#[derive(Debug, Args, Clone, Copy, Default)]
pub struct JsonArgs {
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Overwrite a sprint.toml that is there
    #[arg(long)]
    pub force: bool,
}

/// `sprint install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Only the tools of these gates; default: of those that take part in this repository
    #[arg(value_name = "GATE")]
    pub gates: Vec<String>,
    /// Only say what is missing; exit 3 if something that is required is
    #[arg(long)]
    pub check: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to make the sample repository; by default a new directory below ~/.cache/sprint
    pub dir: Option<PathBuf>,
}

/// `sprint start`.
#[derive(Debug, Args, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct StartArgs {
    /// Feature directories, such as specs/001-thing; built in this order
    #[arg(value_name = "FEATURE_DIR", required_unless_present = "all")]
    pub features: Vec<PathBuf>,
    /// Every feature directory below specs/ that has open tasks
    #[arg(long, conflicts_with = "features")]
    pub all: bool,
    /// Return when the supervisor runs, instead of following it
    #[arg(long)]
    pub detach: bool,
    /// Show tasks, order and convoys, check everything, and begin nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The agent of the developers, in place of the configured one
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// The branch, tag or commit to begin on; default: HEAD
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Begin although spec.md has [NEEDS CLARIFICATION] marks
    #[arg(long)]
    pub allow_unclear: bool,
}

/// `sprint status`.
#[derive(Debug, Args, Clone, Copy, Default)]
pub struct StatusArgs {
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
    /// Draw it again whenever something happens
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
}

/// `sprint attach`.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// A role, a worker (developer-2) or a task that is being worked on
    #[arg(value_name = "ROLE|TASK")]
    pub who: Option<String>,
    /// Print the list as JSON
    #[arg(long, conflicts_with = "who")]
    pub json: bool,
}

/// `sprint logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on as more is written
    #[arg(short, long)]
    pub follow: bool,
    /// The last lines to show
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 200)]
    pub lines: usize,
    /// A worker or a task; without it, the supervisor's log
    #[arg(value_name = "WORKER|TASK")]
    pub who: Option<String>,
}

/// A file of the person's.
#[derive(Debug, Args)]
pub struct FileArg {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `sprint events`.
#[derive(Debug, Args, Clone)]
pub struct EventsArgs {
    /// Go on as more happens
    #[arg(short, long)]
    pub follow: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Only those of this task
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// The last ones to show
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub lines: u32,
}

/// `sprint answer`.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The task that asks, such as T003 or 001-thing/T003
    pub task: Option<String>,
    /// Give the answer that the manager's agent proposes
    #[arg(long, requires = "task", conflicts_with_all = ["text", "json"])]
    pub proposed: bool,
    /// The answer; without it, standard input
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    pub text: Vec<String>,
    /// Print the questions as JSON
    #[arg(long, conflicts_with = "task")]
    pub json: bool,
}

/// One task.
#[derive(Debug, Args)]
pub struct TaskArg {
    /// The task, such as T003 or 001-thing/T003
    pub task: String,
}

/// `sprint reject`.
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// The task, such as T003 or 001-thing/T003
    pub task: String,
    /// Why; the next attempt is told
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    pub reason: Vec<String>,
}

/// `sprint resume`.
#[derive(Debug, Args, Clone, Copy)]
pub struct ResumeArgs {
    /// Take over the commits that somebody put on the integration branch
    #[arg(long, conflicts_with = "restore")]
    pub adopt: bool,
    /// Set the integration branch back; those commits are kept under refs/sprint/foreign/
    #[arg(long)]
    pub restore: bool,
}

/// `sprint stop`.
#[derive(Debug, Args, Clone, Copy)]
pub struct StopArgs {
    /// End everything at once instead of letting runs finish
    #[arg(long)]
    pub now: bool,
    /// How long runs may still take, such as 90s or 10m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_limit, conflicts_with = "now")]
    pub limit: std::time::Duration,
}

fn parse_limit(text: &str) -> Result<std::time::Duration, String> {
    crate::config::duration::parse(text).map_err(|error| error.to_string())
}

/// `sprint task …`.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// List the tasks of the feature
    List(JsonArgs),
    /// Show one task: its way, its runs, its gates
    Show(TaskShowArgs),
    /// Show what a task changes
    Diff(TaskDiffArgs),
    /// Stop a task and park it
    Stop(TaskArg),
    /// Try a parked or waiting task again
    Retry(TaskArg),
    /// Leave a task out
    Skip(TaskArg),
}

/// `sprint task show`.
#[derive(Debug, Args)]
pub struct TaskShowArgs {
    /// The task, such as T003 or 001-thing/T003
    pub task: String,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint task diff`.
#[derive(Debug, Args)]
pub struct TaskDiffArgs {
    /// The task, such as T003 or 001-thing/T003
    pub task: String,
    /// Only names and numbers
    #[arg(long)]
    pub stat: bool,
}

/// `sprint tasks …`.
#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// Show what sprint reads from a tasks.md: tasks, order, convoys, warnings
    Lint(LintArgs),
}

/// `sprint tasks lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// The feature directory; default: this directory
    pub dir: Option<PathBuf>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint prompt …`.
#[derive(Debug, Subcommand)]
pub enum PromptCommand {
    /// Show the prompt that a task's agent would be sent now, word for word
    Show(PromptShowArgs),
}

/// `sprint prompt show`.
#[derive(Debug, Args)]
pub struct PromptShowArgs {
    /// The task, such as T003 or 001-thing/T003
    pub task: String,
    /// The stage; default: the one that the task is in
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint agents …`.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// List the adapters and their programs
    List(AgentsListArgs),
    /// Show what an adapter is made of
    Show(AgentsShowArgs),
    /// Look at the programs that are used, or at one: version, sign-in; without a request
    Check(AgentsCheckArgs),
}

/// `sprint agents list`.
#[derive(Debug, Args)]
pub struct AgentsListArgs {
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint agents show`.
#[derive(Debug, Args)]
pub struct AgentsShowArgs {
    /// The adapter
    pub name: String,
    /// Only the command line of a first prompt
    #[arg(long)]
    pub print_command: bool,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint agents check`.
#[derive(Debug, Args)]
pub struct AgentsCheckArgs {
    /// The adapters; without any, those that a role uses
    pub names: Vec<String>,
    /// Print JSON (docs/json.md)
    #[arg(long)]
    pub json: bool,
}

/// `sprint completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Whose
    pub shell: clap_complete::Shell,
}

/// `sprint man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write sprint.1, sprint-start.1, … into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `sprint agent …`: what workers and agents call inside a pane.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Be a worker: the first process of a pane
    #[command(hide = true)]
    Work(WorkArgs),
    /// Say that the task is done
    Done(AgentTextArgs),
    /// Say that the task cannot be done
    Fail(AgentTextArgs),
    /// Ask a person, and end
    Blocked(AgentAskArgs),
    /// Leave a remark in the history
    Comment(AgentAskArgs),
    /// Give a reviewer's verdict
    Verdict(VerdictArgs),
    /// As the manager's agent, propose what to do about a task
    Propose(ProposeArgs),
    /// Play a script in place of a model
    #[command(hide = true)]
    Scripted(ScriptedArgs),
}

/// `sprint agent work`.
#[derive(Debug, Args, Clone)]
pub struct WorkArgs {
    /// The role
    #[arg(long)]
    pub role: String,
    /// The slot, counted from 1
    #[arg(long)]
    pub slot: u32,
    /// The state directory
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The runtime directory
    #[arg(long, value_name = "DIR")]
    pub runtime: Option<PathBuf>,
}

/// A text that may be left out.
#[derive(Debug, Args, Clone)]
pub struct AgentTextArgs {
    /// In a few words
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    pub text: Vec<String>,
}

/// A text.
#[derive(Debug, Args, Clone)]
pub struct AgentAskArgs {
    /// The text
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
    pub text: Vec<String>,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictWord {
    /// It may go on.
    Pass,
    /// It goes back.
    Fail,
}

/// `sprint agent verdict`.
#[derive(Debug, Args, Clone)]
pub struct VerdictArgs {
    /// Whether it may go on
    #[arg(required_unless_present = "json")]
    pub verdict: Option<VerdictWord>,
    /// What was looked at: a file, an acceptance scenario, a command; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub evidence: Vec<String>,
    /// What was found, and what to do about it; may be given several times
    #[arg(long, value_name = "PATH:LINE:SEVERITY:TEXT", value_parser = parse_finding)]
    pub finding: Vec<crate::agents::claim::ClaimedFinding>,
    /// Read all of it from standard input: {"verdict", "message", "evidence", "findings"}
    #[arg(long, conflicts_with_all = ["verdict", "evidence", "finding"])]
    pub json: bool,
    /// Why; what begins with a hyphen comes behind `--`
    pub text: Vec<String>,
}

fn parse_finding(text: &str) -> Result<crate::agents::claim::ClaimedFinding, String> {
    crate::agents::claim::ClaimedFinding::parse(text)
}

/// `sprint agent propose`.
#[derive(Debug, Args, Clone)]
pub struct ProposeArgs {
    /// What to do
    pub action: ActionWord,
    /// The answer, the advice, the reason, or lines for tasks.md
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
    pub text: Vec<String>,
}

/// What the manager may propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ActionWord {
    /// Answer its question.
    Answer,
    /// Make several tasks of it.
    Split,
    /// Try again, with advice.
    Retry,
    /// Leave it out.
    Skip,
}

/// `sprint agent scripted`.
#[derive(Debug, Args, Clone)]
pub struct ScriptedArgs {
    /// The script
    #[arg(long, value_name = "FILE")]
    pub script: PathBuf,
}

/// `sprint supervise`.
#[derive(Debug, Args, Clone)]
pub struct SuperviseArgs {
    /// The root of the checkout
    #[arg(long, value_name = "DIR")]
    pub repository: Option<PathBuf>,
}
