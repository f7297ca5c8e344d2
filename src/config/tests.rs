//! The configuration as a whole: layers, messages, and that schema, defaults and types agree.

use super::*;

fn file(text: &str) -> Result<Config, ConfigErrors> {
    load(&[Layer::toml("sprint.toml", text)])
}

/// The messages for a file, one a line.
fn problems(text: &str) -> String {
    let errors = file(text).expect_err("the file is wrong");
    errors.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_word_for_a_shell_is_no_argument() {
    let said = problems("[gate.x]\nstage = \"InTests\"\ncommand = [\"true\", \"&&\", \"false\"]\n");
    assert!(said.contains("has the word `&&`, which only a shell understands"), "{said}");
}

#[test]
fn the_built_in_layer_is_a_whole_configuration() {
    let config = load(&[]).unwrap();
    let mut json = serde_json::to_value(&config).unwrap();
    json["gate"] = "see the presets".into();
    insta::assert_json_snapshot!("defaults", json);
    let gates: Vec<&str> = config.gate.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(gates, presets::preset_names().collect::<Vec<_>>());
    assert_eq!(config.max_in_flight(), 6);
}

#[test]
fn a_frozen_configuration_is_read_back_the_same() {
    let config =
        file("[gates]\npresets = [\"ruff\"]\n[agent.mine]\nextends = \"command\"\ncommand = [\"x\"]")
            .unwrap();
    let back: Config = serde_json::from_str(&config.to_json()).unwrap();
    assert_eq!(back, config);
    assert_eq!(back.fingerprint(), config.fingerprint());
    assert_ne!(load(&[]).unwrap().fingerprint(), config.fingerprint());
}

#[test]
fn layers_lie_over_each_other() {
    let layers = [
        Layer::toml(
            "config.toml",
            "[agents]\nmax_developers = 5\nmax_testers = 5\n[timeouts]\nhung = \"1m\"",
        ),
        Layer::toml(
            "sprint.toml",
            "[agents]\nmax_developers = 6\n[gate.ruff]\ntimeout = \"90s\"\nmode = \"absolute\"",
        ),
        Layer::environment([
            ("SPRINT_CONFIG__agents__max_developers".to_owned(), "7".to_owned()),
            ("SPRINT_CONFIG__general__log_level".to_owned(), "debug".to_owned()),
            ("SPRINT_CONFIG__gates__presets".to_owned(), "[\"ruff\"]".to_owned()),
            ("SPRINT_CONFIGURATION".to_owned(), "not ours".to_owned()),
        ]),
        Layer::flags(vec![
            ("roles.developer.agent".to_owned(), "scripted".to_owned()),
            ("timeouts.hung".to_owned(), "2m".to_owned()),
        ]),
    ];
    let config = load(&layers).unwrap();
    assert_eq!((config.agents.max_developers, config.agents.max_testers), (7, 5));
    assert_eq!(config.timeouts.hung.as_secs(), 120);
    assert_eq!(config.general.log_level, "debug");
    assert_eq!(config.gates.presets, Presets::List(vec!["ruff".to_owned()]));
    let ruff = &config.gate[0];
    assert_eq!((ruff.timeout.as_secs(), ruff.mode, ruff.parser.as_str()), (90, Mode::Strict, "ruff"));
    assert_eq!(config.agent(Role::Developer).unwrap().unwrap().kind, AdapterKind::Scripted);
}

#[test]
fn every_mistake_of_a_file_is_reported_with_its_line() {
    insta::assert_snapshot!(problems(include_str!("testdata/many-mistakes.toml")));
}

#[test]
fn a_broken_file_names_its_lines() {
    insta::assert_snapshot!(problems("[general]\nroot = \nlog_level = \"info\"\n[agents\n"));
}

#[test]
fn variables_and_flags_are_named() {
    let layers = [
        Layer::environment([
            ("SPRINT_CONFIG__agents__max_developer".to_owned(), "7".to_owned()),
            ("SPRINT_CONFIG__agents__max_testers".to_owned(), "many".to_owned()),
        ]),
        Layer::flags(vec![("roles.developer.agent".to_owned(), "scriptd".to_owned())]),
    ];
    insta::assert_snapshot!(load(&layers).unwrap_err());
}

#[test]
fn the_examples_of_the_documentation_are_accepted() {
    let config = file(include_str!("testdata/example.toml")).unwrap();
    assert_eq!(config.agent["mine"].command, ["./my-agent.sh", "{task.id}"]);
    assert_eq!(config.agent["mine"].env["KEY"], "value");
}

#[test]
fn an_adapter_takes_over_what_it_extends() {
    let config = file(
        "[agent.a]\nkind = \"command\"\ncommand = [\"x\", \"{prompt}\"]\nstall = \"7m\"\nenv = { A = \"1\", B = \"1\" }\n\
         [agent.b]\nextends = \"a\"\nargs = [\"--fast\"]\nretry = \"continue\"\nenv = { B = \"2\" }\n\
         [roles.developer]\nagent = \"b\"\nmodel = \"m\"\n",
    )
    .unwrap();
    let adapter = config.agent(Role::Developer).unwrap().unwrap();
    assert_eq!(adapter.command, ["x", "{prompt}", "--fast"]);
    assert_eq!((adapter.retry, adapter.stall.as_secs(), adapter.model.as_str()), (Retry::Continue, 420, "m"));
    assert_eq!(
        adapter.env.into_iter().collect::<Vec<_>>(),
        [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())]
    );
    assert_eq!(config.agent(Role::Reviewer), Ok(None));
}

#[test]
fn a_model_is_dropped_with_its_agent() {
    let low = Layer::toml(
        "sprint.toml",
        "[roles.developer]\nagent = \"scripted\"\nmodel = \"old\"\neffort = \"low\"",
    );
    let other = Layer::flags(vec![("roles.developer.agent".to_owned(), "claude".to_owned())]);
    let same = Layer::flags(vec![("roles.developer.agent".to_owned(), "scripted".to_owned())]);
    let dropped = load(&[low.clone(), other]).unwrap().roles.developer;
    assert_eq!((dropped.model.as_str(), dropped.effort.as_str()), ("", ""));
    assert_eq!(load(&[low, same]).unwrap().roles.developer.model, "old");
}

#[test]
fn work_without_a_worker_is_refused_at_start() {
    let config = file("[roles.developer]\nagent = \"none\"").unwrap();
    assert_eq!(config.agent(Role::Developer), Err(AgentError::NobodyWorks { role: Role::Developer }));
    let config = file("[roles.developer]\nagent = \"command\"").unwrap();
    assert!(matches!(config.agent(Role::Developer), Err(AgentError::NoCommand { .. })));
}

#[test]
fn a_pipeline_of_ones_own() {
    let config = file(
        "[[pipeline.stage]]\nname = \"Do\"\nkind = \"work\"\n\
         [[pipeline.stage]]\nname = \"Look\"\nkind = \"check\"\nrole = \"tester\"\ntimeout = \"3m\"\n\
         [[pipeline.stage]]\nname = \"Land\"\nkind = \"land\"\non_fail = \"Do\"\n\
         [gates]\npresets = [\"ruff\"]\n[gate.ruff]\nstage = \"Look\"\n",
    )
    .unwrap();
    assert_eq!(config.pipeline.len(), 3);
    let look = config.stage("Look").unwrap();
    assert_eq!((look.role, look.timeout.as_secs()), (Role::Tester, 180));
    assert_eq!(look.on_fail, Target::Stage(crate::domain::ids::StageName::parse("Do").unwrap()));
    assert_eq!(config.stage("Land").unwrap().on_pass, Target::Done);
}

#[test]
fn pipelines_that_lead_nowhere_are_refused() {
    let stage = |name: &str, kind: &str, more: &str| {
        format!("[[pipeline.stage]]\nname = \"{name}\"\nkind = \"{kind}\"\n{more}\n")
    };
    let off = "[gates]\npresets = []\n";
    let cases = [
        ("none", "[pipeline]\nstage = []\n".to_owned()),
        ("no landing", stage("Do", "work", "")),
        (
            "circle",
            stage("Do", "work", "") + &stage("Look", "check", "on_pass = \"Do\"") + &stage("L", "land", ""),
        ),
        ("work is skipped", stage("L", "land", "on_pass = \"Done\"") + &stage("Do", "work", "")),
        ("never done", stage("Do", "work", "") + &stage("L", "land", "on_pass = \"hold\"")),
        ("two of a name", stage("Do", "work", "") + &stage("Do", "check", "") + &stage("L", "land", "")),
        ("reserved", stage("Done", "work", "") + &stage("L", "land", "")),
        (
            "unbuilt",
            stage("Do", "work", "proof = \"file\"\nmembers = 2")
                + &stage("W", "wait", "")
                + &stage("L", "land", ""),
        ),
        (
            "wrong proof",
            stage("Do", "work", "") + &stage("C", "check", "proof = \"commit\"") + &stage("L", "land", ""),
        ),
        (
            "unknown target",
            stage("Do", "work", "on_fail = \"Parked\"") + &stage("L", "land", "on_error = \"holt\""),
        ),
        ("nothing in it", "[[pipeline.stage]]\n".to_owned()),
    ];
    let all: Vec<String> =
        cases.iter().map(|(what, text)| format!("{what}:\n{}", problems(&format!("{off}{text}")))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn presets_need_their_stages() {
    insta::assert_snapshot!(problems(
        "[[pipeline.stage]]\nname = \"Do\"\nkind = \"work\"\n[[pipeline.stage]]\nname = \"L\"\nkind = \"land\"\n"
    ));
}

#[test]
fn hostile_texts_are_shown_escaped_and_short() {
    let key = format!("[general]\n\"{}\\u001b[31m\\n#(x)\" = 1\n", "é".repeat(200));
    let text = problems(&key);
    assert!(!text.contains('\u{1b}') && text.lines().count() == 1 && text.chars().count() < 300, "{text}");
    let agent = problems("[roles.developer]\nagent = \"$(touch x)\\n\"\n");
    insta::assert_snapshot!(agent);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_makes_load_panic(text in "(\\PC|\n|\\[|\\]|=|\"|\\.){0,120}") {
            drop(file(&text));
        }

        #[test]
        fn no_value_makes_a_named_section_panic(
            section in 0_usize..4,
            key in "(kind|extends|command|args|env|commit|retry|stall|home|stage|enabled|required|at_merge|parser|mode|timeout|weight|paths|pattern|clean|output|name|role|prompt|proof|writes|members|attempts|on_pass|on_fail|on_skip|on_error|tool|preset)",
            value in "(true|-?[0-9]{1,12}|\\[-?[0-9]{1,3}\\]|\"[a-zA-Z{} ./*-]{0,8}\"|\"5m\"|\"InTests\"|\"regex\"|\"none\"|\"Done\"|\"L\"|\\[\\]|\\[\"[a-z]?\"\\]|\\{\\}|\\{ a = 1 \\}|\\{ a = \"b\" \\})",
        ) {
            let gate = if key == "command" || key == "stage" { "[gate.x]\n" } else { "[gate.x]\nstage = \"InTests\"\ncommand = [\"x\"]\n" };
            let text = match section {
                0 => format!("{gate}{key} = {value}\n"),
                1 => format!("[agent.x]\n{key} = {value}\n"),
                2 => format!("[gate.ruff]\n{key} = {value}\n"),
                _ => format!("[gates]\npresets = []\n[[pipeline.stage]]\nname = \"W\"\nkind = \"work\"\n[[pipeline.stage]]\nname = \"L\"\nkind = \"land\"\n{}{key} = {value}\n",
                    if key == "name" || key == "kind" { "[[pipeline.stage]]\n" } else { "" }),
            };
            if let Ok(config) = file(&text) {
                let back: Config = serde_json::from_str(&config.to_json()).unwrap();
                prop_assert_eq!(back, config);
            }
        }

        #[test]
        fn no_value_makes_a_key_panic(
            key in proptest::sample::select(schema::dotted_keys()),
            value in "(true|-?[0-9]{1,20}|[0-9]\\.[0-9]|\"[a-z{} ./*-]{0,12}\"|\\[\\]|\\[\"[a-z]?\"\\]|\\{\\}|\\{ a = 1 \\})",
        ) {
            // Whatever the schema accepts must fit the types, or `load` would panic.
            drop(file(&format!("{key} = {value}\n")));
            drop(load(&[Layer::flags(vec![(key, value)])]));
        }
    }
}

#[test]
fn the_default_file_names_every_key() {
    for key in schema::dotted_keys() {
        let name = key.rsplit('.').next().unwrap();
        let named = DEFAULT_TOML.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ', '[']);
            line.starts_with(name)
                || line.contains(&format!(".{name}]"))
                || line.contains(&format!(". {name}:"))
        });
        assert!(named || name == "max", "{key} is not in config/default.toml");
    }
}

#[test]
fn the_default_file_is_a_file_like_any_other() {
    assert_eq!(file(DEFAULT_TOML).unwrap(), load(&[]).unwrap());
}

#[test]
fn depth_does_not_exhaust_the_stack() {
    for text in [
        format!("{} = 1", vec!["a"; 50_000].join(".")),
        format!("a = {}1{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("[{}]", vec!["a"; 50_000].join(".")),
    ] {
        assert!(file(&text).is_err());
    }
    let flag = vec!["a"; 50_000].join(".");
    assert!(load(&[Layer::flags(vec![(flag, "1".to_owned())])]).is_err());
}

#[test]
fn a_label_names_another_agent_for_the_roles_that_it_is_about() {
    let config = file(
        "[agent.a]\nkind = \"command\"\ncommand = [\"x\"]\nmodels = { developer = \"of-a\" }\n\
         [agent.b]\nextends = \"a\"\nmodels = { developer = \"of-b\", reviewer = \"small\" }\n\
         [roles.developer]\nagent = \"a\"\nmodel = \"mine\"\neffort = \"low\"\n\
         [label.hard]\neffort = \"high\"\n[label.docs]\nagent = \"b\"\n\
         [label.Look]\nroles = [\"reviewer\"]\nagent = \"b\"\n",
    )
    .unwrap();
    let of = |role, labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let adapter = config.agent_for(role, &labels).unwrap();
        adapter.map(|adapter| format!("{} {} {}", adapter.name, adapter.model, adapter.effort))
    };
    assert_eq!(of(Role::Developer, &[]).unwrap(), "a mine low");
    assert_eq!(of(Role::Developer, &["Setup", "HARD"]).unwrap(), "a mine high");
    assert_eq!(
        of(Role::Developer, &["docs", "hard"]).unwrap(),
        "b of-b ",
        "the role's words are for its agent"
    );
    assert_eq!(of(Role::Developer, &["look"]).unwrap(), "a mine low");
    assert_eq!(
        (of(Role::Reviewer, &["docs"]), of(Role::Reviewer, &["look"]).unwrap()),
        (None, "b small ".into())
    );
    let names =
        |role| config.agents_of(role).unwrap().into_iter().map(|adapter| adapter.name).collect::<Vec<_>>();
    assert_eq!((names(Role::Reviewer), names(Role::Tester)), (vec!["b".to_owned()], Vec::<String>::new()));
    assert!(file("[roles.developer]\nagent = \"command\"").unwrap().agents_of(Role::Developer).is_err());
    assert!(config.names_agent(Role::Reviewer, "b") && !config.names_agent(Role::Reviewer, "a"));
    let policy = crate::supervisor::freeze::policy(&config);
    let agent = |role, label: &str| policy.agent_of(role, &[label.to_owned()]).map(String::as_str);
    assert_eq!((agent(Role::Developer, "Docs"), agent(Role::Developer, "x")), (Some("b"), Some("a")));
    assert_eq!((agent(Role::Reviewer, "look"), agent(Role::Reviewer, "docs")), (Some("b"), None));
    let works =
        |name: &str| policy.pipeline.stages.iter().any(|stage| stage.name.as_str() == name && stage.has_work);
    assert!(works("InReview"), "a label's agent has something to do there");
}

#[test]
fn a_role_that_says_nothing_takes_the_adapters_model() {
    let config = load(&[Layer::toml("sprint.toml", "[roles.reviewer]\nagent = \"claude\"\n")]).unwrap();
    let model = |role| config.agent(role).unwrap().unwrap().model;
    assert_eq!((model(Role::Developer), model(Role::Reviewer)), ("sonnet".to_owned(), "haiku".to_owned()));
}

#[test]
fn labels_and_efforts_that_would_do_nothing_are_refused() {
    insta::assert_snapshot!(problems(
        "[roles.reviewer]\nagent = \"gemini\"\neffort = \"high\"\n[roles.tester]\nagent = \"codex\"\neffort = \"high\"\n\
         [label.docs]\nagent = \"codx\"\nroles = [\"writer\"]\nmodl = \"x\"\n[label.\"a b\"]\nmodel = \"x\"\n\
         [label.hard]\neffort = \"high\"\nroles = [\"developer\", \"reviewer\"]\n"
    ));
}
