//! Where the programs are, and homes of their own in which they know no provider but the stand-in.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::World;
use crate::standin::Standin;

/// The directory with the program, or nothing, and why.
pub fn programs(agent: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("SPRINT_TEST_AGENTS").filter(|value| !value.is_empty()) else {
        eprintln!("skipped: SPRINT_TEST_AGENTS names no directory with {agent}");
        return None;
    };
    let directory = PathBuf::from(directory);
    let program = match agent {
        "aider" => "aider-venv/bin/aider".to_owned(),
        "mini-swe-agent" => "mini-swe-agent-venv/bin/mini".to_owned(),
        name => format!("node_modules/.bin/{name}"),
    };
    let there = directory.join(&program).exists();
    if !there {
        eprintln!("skipped: there is no {program} in {}", directory.display());
    }
    there.then_some(directory)
}

/// Homes of programs, outside of the temporary directory: codex' sandbox does not work in there.
pub struct Homes(tempfile::TempDir);

impl Homes {
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("agents-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn at(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Sends the world's programs to the stand-in.
    pub fn furnish(&self, world: &mut World, programs: &Path, standin: &Standin) {
        let codex = format!(
            "model = \"standin\"\nmodel_provider = \"standin\"\ncheck_for_update_on_startup = false\n\
             [model_providers.standin]\nname = \"standin\"\nbase_url = \"{}/v1\"\nwire_api = \"responses\"\n\
             env_key = \"STANDIN_KEY\"\nstream_idle_timeout_ms = 20000\nrequest_max_retries = 1\n",
            standin.url(),
        );
        std::fs::write(self.at("codex").join("config.toml"), codex).unwrap();
        let pi = json!({"providers": {"standin": {
            "baseUrl": format!("{}/v1", standin.url()), "api": "openai-completions", "apiKey": "STANDIN_KEY",
            "models": [{"id": "standin", "contextWindow": 128_000, "maxTokens": 8000},
                       {"id": "thinker", "contextWindow": 128_000, "maxTokens": 8000, "reasoning": true}],
        }}});
        std::fs::write(self.at("pi").join("models.json"), pi.to_string()).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = ["node_modules/.bin", "aider-venv/bin", "mini-swe-agent-venv/bin"];
        let own = own.map(|directory| programs.join(directory));
        let path = own.into_iter().chain(std::env::split_paths(&path));
        world.env("PATH", std::env::join_paths(path).unwrap());
        world.env("CODEX_HOME", self.at("codex"));
        world.env("PI_CODING_AGENT_DIR", self.at("pi"));
        world.env("PI_OFFLINE", "1");
        world.env("STANDIN_KEY", "no-secret");
        self.furnish_by_environment(world, standin);
    }

    /// The person's word that the programs may work in the repository.
    pub fn trust(&self, world: &World) {
        let repo = world.repo();
        let codex = self.at("codex").join("config.toml");
        let text = std::fs::read_to_string(&codex).unwrap();
        std::fs::write(
            &codex,
            format!("{text}[projects.\"{}\"]\ntrust_level = \"trusted\"\n", repo.display()),
        )
        .unwrap();
        let claude = json!({"hasCompletedOnboarding": true, "theme": "dark",
            "customApiKeyResponses": {"approved": ["no-secret"], "rejected": []},
            "projects": {repo.to_str().unwrap(): {"hasTrustDialogAccepted": true}}});
        std::fs::write(self.at("home").join(".claude.json"), claude.to_string()).unwrap();
    }

    /// Those that take a provider's address from variables, and settings from the home directory.
    fn furnish_by_environment(&self, world: &mut World, standin: &Standin) {
        let home = self.at("home");
        let settings = |directory: &str, settings: &Value| {
            std::fs::write(self.at(&format!("home/{directory}")).join("settings.json"), settings.to_string())
                .unwrap();
        };
        settings(
            ".gemini",
            &json!({"security": {"auth": {"selectedType": "gemini-api-key"}},
                    "general": {"disableAutoUpdate": true}, "privacy": {"usageStatisticsEnabled": false}}),
        );
        settings(
            ".qwen",
            &json!({"security": {"auth": {"selectedType": "openai"}},
                    "general": {"disableAutoUpdate": true}, "privacy": {"usageStatisticsEnabled": false}}),
        );
        let opencode = json!({"autoupdate": false, "share": "disabled", "provider": {"standin": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": format!("{}/v1", standin.url()), "apiKey": "{env:STANDIN_KEY}"},
            "models": {"standin": {"limit": {"context": 128_000, "output": 8000}},
                       "thinker": {"limit": {"context": 128_000, "output": 8000}, "reasoning": true}},
        }}});
        std::fs::write(home.join("opencode.json"), opencode.to_string()).unwrap();
        world.env("HOME", &home);
        world.env("XDG_DATA_HOME", self.at("home/.data"));
        world.env("XDG_CACHE_HOME", self.at("home/.cache"));
        world.env("OPENCODE_CONFIG", home.join("opencode.json"));
        world.env("OPENCODE_DISABLE_MODELS_FETCH", "1");
        world.env("ANTHROPIC_BASE_URL", standin.url());
        world.env("ANTHROPIC_API_KEY", "no-secret");
        world.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        world.env("GOOGLE_GEMINI_BASE_URL", standin.url());
        world.env("GEMINI_API_KEY", "no-secret");
        world.env("GEMINI_CLI_TRUST_WORKSPACE", "true");
        world.env("OPENAI_BASE_URL", format!("{}/v1", standin.url()));
        world.env("OPENAI_API_BASE", format!("{}/v1", standin.url()));
        world.env("OPENAI_API_KEY", "no-secret");
        world.env("OPENAI_MODEL", "standin");
        world.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        world.env("MSWEA_COST_TRACKING", "ignore_errors");
    }
}

pub fn model(agent: &str) -> &'static str {
    match agent {
        "pi" | "opencode" => "standin/standin",
        "aider" | "mini-swe-agent" => "openai/standin",
        // It routes requests for its other names by asking another model first.
        "gemini" => "gemini-2.5-flash",
        _ => "standin",
    }
}
