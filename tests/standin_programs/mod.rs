//! A desk for one agent program: a repository with a worktree, a home of its own, and the
//! configuration that sends it to the stand-in. Nothing of the person's is read, and dropping it
//! ends every process that knows of it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};
use sprint::process::identity::ProcId;
use tempfile::TempDir;

use crate::processes;
use crate::standin::Standin;

/// No program may take longer; codex tries a refused key again for some seconds.
const DEADLINE: Duration = Duration::from_mins(2);

/// The directory with the programs, or nothing, and why.
pub(crate) fn agents() -> Option<PathBuf> {
    let directory = std::env::var_os("SPRINT_TEST_AGENTS").filter(|value| !value.is_empty());
    if directory.is_none() {
        eprintln!("skipped: SPRINT_TEST_AGENTS names no directory with codex and pi");
    }
    directory.map(PathBuf::from)
}

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Codex,
    Pi,
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Each line of the stream.
    pub(crate) fn events(&self) -> Vec<Value> {
        let parsed = self.stdout.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {error}: {line}"))
        });
        parsed.collect()
    }

    /// The session that the first event names.
    pub(crate) fn session(&self) -> Option<String> {
        let first = self.events().into_iter().next()?;
        ["thread_id", "id"].into_iter().find_map(|name| first[name].as_str().map(str::to_owned))
    }
}

/// See the module.
pub(crate) struct Desk {
    program: Program,
    directory: TempDir,
    path: PathBuf,
    env: Vec<(OsString, OsString)>,
    url: String,
}

/// Texts in a recorded request are cut when they are longer.
const TEXT_MAX: usize = 160;

/// What is recorded has these instead of what differs from run to run.
const STABLE_DIRECTORY: &str = "/desk";
const STABLE_URL: &str = "http://127.0.0.1:1";
const STABLE_TIME: &str = "2026-01-01T00:00:00.000Z";
const STABLE_MILLISECONDS: u64 = 1_767_225_600_000;

impl Desk {
    pub(crate) fn codex(agents: &Path, standin: &Standin) -> Self {
        let desk = Self::new(agents, Program::Codex, &standin.url());
        let config = format!(
            "model = \"standin\"\nmodel_provider = \"standin\"\ncheck_for_update_on_startup = false\n\
             [model_providers.standin]\nname = \"standin\"\nbase_url = \"{}/v1\"\nwire_api = \"responses\"\n\
             env_key = \"STANDIN_KEY\"\nstream_idle_timeout_ms = 3000\n\
             request_max_retries = 1\nstream_max_retries = 5\n\
             [sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n\
             [projects.\"{}\"]\ntrust_level = \"trusted\"\n",
            standin.url(),
            desk.at("r").display(),
        );
        fs::write(desk.at("codex/config.toml"), config).unwrap();
        desk
    }

    /// `api` is the protocol by pi's name of it.
    pub(crate) fn pi(agents: &Path, standin: &Standin, api: &str) -> Self {
        let desk = Self::new(agents, Program::Pi, &standin.url());
        // Each provider's library adds another part of the path.
        let version = match api {
            "anthropic-messages" => "",
            "google-generative-ai" => "/v1beta",
            _ => "/v1",
        };
        let config = json!({"providers": {"standin": {
            "baseUrl": format!("{}{version}", standin.url()), "api": api, "apiKey": "STANDIN_KEY",
            "models": [{"id": "standin", "contextWindow": 128_000, "maxTokens": 8000}],
        }}});
        fs::create_dir_all(desk.at("pi")).unwrap();
        fs::write(desk.at("pi/models.json"), config.to_string()).unwrap();
        let settings = json!({"retry": {"enabled": true, "maxRetries": 3, "baseDelayMs": 100}});
        fs::write(desk.at("pi/settings.json"), settings.to_string()).unwrap();
        desk
    }

    fn new(agents: &Path, program: Program, url: &str) -> Self {
        // codex makes its sandbox helper only where CODEX_HOME is not below the temporary directory.
        let directory =
            tempfile::Builder::new().prefix("desk-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["home", "tmp", "codex", "r", "out"] {
            fs::create_dir(at(name)).unwrap();
        }
        let mut path = vec![agents.join("node_modules/.bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let set = |name: &str, value: &Path| (OsString::from(name), value.as_os_str().to_owned());
        let env = vec![
            set("PATH", Path::new(&std::env::join_paths(path).unwrap())),
            set("HOME", &at("home")),
            set("TMPDIR", &at("tmp")),
            set("CODEX_HOME", &at("codex")),
            set("PI_CODING_AGENT_DIR", &at("pi")),
            set("PI_OFFLINE", Path::new("1")),
            set("STANDIN_KEY", Path::new("no-secret")),
            set("GIT_CONFIG_NOSYSTEM", Path::new("1")),
            set("LANG", Path::new("C.UTF-8")),
        ];
        let path = agents.join("node_modules/.bin");
        let desk = Self { program, directory, path, env, url: url.to_owned() };
        let repository = desk.at("r");
        for arguments in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "Ann"],
            &["config", "user.email", "ann@example.invalid"],
            &["commit", "-q", "--allow-empty", "-m", "base"],
            &["worktree", "add", "-q", "../w"],
        ] {
            let output = desk.command("git").current_dir(&repository).args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory that the repository and its worktree share.
    pub(crate) fn git_directory(&self) -> PathBuf {
        self.at("r/.git")
    }

    /// The worktree.
    pub(crate) fn worktree(&self) -> PathBuf {
        self.at("w")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.env.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs the program headless to its end, in a new session.
    pub(crate) fn run(&self, name: &str, prompt: &str) -> Ran {
        self.run_with(name, None, &[], prompt)
    }

    /// As [`Desk::run`], in a session that there was, if any, and with more arguments.
    pub(crate) fn run_with(&self, name: &str, session: Option<&str>, more: &[&str], prompt: &str) -> Ran {
        let mut command = match self.program {
            Program::Codex => {
                let mut command = self.command(self.path.join("codex"));
                command.args(["exec", "--json", "-s", "workspace-write"]).args(more);
                if let Some(session) = session {
                    command.args(["resume", session]);
                }
                command.arg(prompt);
                command
            }
            Program::Pi => {
                let mut command = self.command(self.path.join("pi"));
                command.args(["--provider", "standin", "--model", "standin", "--mode", "json"]).args(more);
                if let Some(session) = session {
                    command.args(["--session", session]);
                }
                command.args(["-p", prompt]);
                command
            }
        };
        let out = |kind: &str| self.at("out").join(format!("{name}.{kind}"));
        command.stdout(File::create(out("out")).unwrap()).stderr(File::create(out("err")).unwrap());
        let mut child = command.current_dir(self.worktree()).spawn().unwrap();
        let identity = ProcId::of(child.id().cast_signed()).unwrap();
        let gone = identity.open().unwrap().is_none_or(|handle| handle.wait(DEADLINE));
        if !gone {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        let text = |kind: &str| fs::read_to_string(out(kind)).unwrap();
        let ran = Ran { code: status.code(), stdout: text("out"), stderr: text("err") };
        assert!(gone, "{name}: it did not end within {DEADLINE:?}: {ran:?}");
        self.record(name, &ran);
        ran
    }
}

impl Desk {
    /// Writes what the program has printed to `src/agents/testdata/streams`, if that is asked for.
    fn record(&self, name: &str, ran: &Ran) {
        if std::env::var_os("SPRINT_RECORD_STREAMS").is_none_or(|value| value != "1") {
            return;
        }
        let directory = match self.program {
            Program::Codex => "codex",
            Program::Pi => "pi",
        };
        let directory =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/agents/testdata/streams").join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{name}.jsonl")), self.stable(&ran.stdout)).unwrap();
    }

    /// The text with stable places, ids and times.
    fn stable(&self, text: &str) -> String {
        let here = self.directory.path().display().to_string();
        let uuid = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
        let time = Regex::new(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
        let milliseconds = Regex::new(r#""timestamp":\d{13}"#).unwrap();
        // What codex tells its model about a command.
        let chunk = Regex::new(r"Chunk ID: [0-9a-f]{6}\\nWall time: [0-9.]+ ").unwrap();
        let mut text = text.replace(&here, STABLE_DIRECTORY).replace(&self.url, STABLE_URL);
        let mut ids: Vec<String> = Vec::new();
        for id in uuid.find_iter(&text).map(|id| id.as_str().to_owned()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        for (number, id) in ids.iter().enumerate() {
            text = text.replace(id, &format!("00000000-0000-7000-8000-{:012}", number + 1));
        }
        let text = time.replace_all(&text, STABLE_TIME);
        let text = chunk.replace_all(&text, r"Chunk ID: 000000\nWall time: 0.0000 ");
        milliseconds.replace_all(&text, format!("\"timestamp\":{STABLE_MILLISECONDS}")).into_owned()
    }

    /// Writes the last request to `tests/standin/requests`, if that is asked for: what a program
    /// sends in the middle of a conversation, long texts cut.
    pub(crate) fn record_request(&self, standin: &Standin, name: &str) {
        if std::env::var_os("SPRINT_RECORD_STREAMS").is_none_or(|value| value != "1") {
            return;
        }
        let request = serde_json::to_string(&standin.requests().pop().unwrap()).unwrap();
        // Stable first: half an id is no longer known for one.
        let mut request: Value = serde_json::from_str(&self.stable(&request)).unwrap();
        cut(&mut request["body"]);
        let text = serde_json::to_string_pretty(&request).unwrap();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin/requests");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{name}.json")), format!("{text}\n")).unwrap();
    }

    /// What the program has left running.
    pub(crate) fn left(&self) -> Vec<String> {
        self.running().into_iter().map(|found| found.command).collect()
    }

    fn running(&self) -> Vec<processes::Found> {
        processes::marked(&[self.directory.path().display().to_string()])
    }
}

/// Cuts what is long: descriptions and instructions, which nothing here reads.
fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT_MAX => {
            *text = text.chars().take(TEXT_MAX / 2).collect::<String>() + "…";
        }
        Value::Array(all) => all.iter_mut().for_each(cut),
        Value::Object(all) => all.values_mut().for_each(cut),
        _ => {}
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // codex may leave an `app-server` that is no child of its own.
        processes::end(&self.running());
    }
}
