//! Texts that come to a live program at its own screen: the real codex against a stand-in for its
//! model, where `SPRINT_TEST_AGENTS` names a directory with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sprint::process::child::{Session, Spec, Stdin};
use sprint::worker::trial::Trial;

use crate::report::Report;
use crate::standin::Standin;
use crate::standin::scenario::Scenario;
use crate::stats::Sample;
use crate::{Outcome, Plan};

/// Texts that one program gets: its conversation grows with each.
const EACH: usize = 10;
const WAIT: Duration = Duration::from_mins(1);

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let count = plan.size(200, 20);
    let codex =
        std::env::var_os("SPRINT_TEST_AGENTS").map(|dir| Path::new(&dir).join("node_modules/.bin/codex"));
    let Some(codex) = codex.filter(|path| path.exists()) else {
        return Err("SPRINT_TEST_AGENTS names no directory with node_modules/.bin/codex".into());
    };
    let standin = Standin::start(Scenario::default());
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    let mut lost = Vec::new();
    while ours.len() + lost.len() < count {
        // Alternating, so that both meet the same machine and the same conversations.
        let place = Place::new(&codex, &standin.url())?;
        let mut trial = place.start()?;
        for turn in 0..EACH {
            if !trial.is_ready(WAIT) {
                return Err("codex does not become ready".into());
            }
            let text = format!("text {turn}\n{}", "0123456789 abcdef\n".repeat(100 * 1024 / 18));
            let result = if turn % 2 == 0 { trial.deliver(&text, WAIT) } else { trial.paste(&text, WAIT) };
            match result {
                Ok(took) if turn % 2 == 0 => ours.push(took.as_secs_f64() * 1000.0),
                Ok(took) => bare.push(took.as_secs_f64() * 1000.0),
                Err(why) if turn % 2 == 0 => lost.push(why),
                Err(_) => {}
            }
        }
    }
    let ratio = ours.median() / bare.median();
    report.figure(
        &format!("a prompt of 100 KB typed into a live codex, accepted (n {})", ours.len() + lost.len()),
        format!("p50 {:.0} ms, p90 {:.0}, {} lost", ours.median(), ours.at(0.9), lost.len()),
        format!("the bare paste and Enter: {:.0} ms (n {})", bare.median(), bare.len()),
        Some(ratio),
        "≤ 1.5 ×, none lost",
        ratio <= 1.5 && lost.is_empty(),
    );
    lost.into_iter().take(1).for_each(|why| report.note(format!("lost: {why}")));
    Ok(())
}

/// A home and a worktree of the program's own.
struct Place {
    directory: tempfile::TempDir,
    codex: PathBuf,
}

impl Place {
    fn new(codex: &Path, url: &str) -> Outcome<Self> {
        // Its sandbox does not work in the temporary directory.
        let own = std::env::current_exe()?;
        let target = own.parent().ok_or("no directory")?;
        let directory = tempfile::Builder::new().prefix("typing-").tempdir_in(target)?;
        for name in ["home", "tree"] {
            std::fs::create_dir(directory.path().join(name))?;
        }
        let config = format!(
            "model = \"standin\"\nmodel_provider = \"standin\"\ncheck_for_update_on_startup = false\n\
             [model_providers.standin]\nname = \"standin\"\nbase_url = \"{url}/v1\"\nwire_api = \"responses\"\n\
             env_key = \"STANDIN_KEY\"\n[projects.{:?}]\ntrust_level = \"trusted\"\n",
            directory.path().join("tree").display().to_string(),
        );
        std::fs::write(directory.path().join("home/config.toml"), config)?;
        Ok(Self { directory, codex: codex.to_owned() })
    }

    fn start(&self) -> Outcome<Trial> {
        let home = self.directory.path().join("home");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let env: Vec<(OsString, OsString)> = [
            ("PATH", path),
            ("HOME", home.clone().into()),
            ("CODEX_HOME", home.into()),
            ("STANDIN_KEY", "no-secret".into()),
            ("TERM", "xterm-256color".into()),
        ]
        .map(|(name, value)| (name.into(), value))
        .to_vec();
        let args = ["--sandbox", "read-only", "-c", "features.daemon_auto_start=false"];
        let spec = Spec {
            program: self.codex.clone().into(),
            args: args.map(OsString::from).to_vec(),
            cwd: self.directory.path().join("tree"),
            env,
            stdin: Stdin::Null,
            timeout: WAIT,
            output_max: 0,
            grace: Duration::from_secs(1),
            session: Session::Terminal,
            bounds: None,
        };
        let config = sprint::config::load(&[]).map_err(|errors| errors.to_string())?;
        let keys = config.agent.get("codex").ok_or("no adapter")?.cli_keys();
        Ok(Trial::start(&spec, &keys)?)
    }
}
