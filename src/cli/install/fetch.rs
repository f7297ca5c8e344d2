//! One package from its ecosystem's own client into a directory of its own.
//!
//! Whole or not at all: what has no mark of a finished installation is not linked into `bin`, and the
//! next attempt begins with an empty directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::environment::Environment;
use crate::cli::text::harmless;
use crate::config::Package;
use crate::error::CliError;
use crate::gates::find_program;
use crate::process::run::{Ending, Outcome, Session, Spec, Stdin, run as run_child};

/// Making an environment, or fetching a package, takes no longer.
const WAIT: Duration = Duration::from_mins(10);
/// Compiling one does.
const BUILD_WAIT: Duration = Duration::from_hours(1);
/// A tool says its version within this.
const VERSION_WAIT: Duration = Duration::from_mins(1);
/// Bytes of a client's output that are kept for a message.
const OUTPUT_MAX: usize = 64 * 1024;
/// Lines of it that a message shows.
const SHOWN_MAX: usize = 12;
/// Says that an installation came to its end.
const DONE: &str = "installed";

/// Variables that would send a client elsewhere than it is told.
const ELSEWHERE: &[&str] = &[
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_REQUIRE_VIRTUALENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "UV_PROJECT_ENVIRONMENT",
    "npm_config_prefix",
    "NPM_CONFIG_PREFIX",
    "npm_config_global",
    "NPM_CONFIG_GLOBAL",
    "CARGO_INSTALL_ROOT",
    "CARGO_TARGET_DIR",
];

/// sprint's own tools: `bin` with links, and what they lead to.
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Last in the PATH of gates.
    pub(super) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Where the package in exactly these versions belongs.
    fn home(&self, package: &Package) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        let name: String = package.all().collect::<Vec<_>>().join("+").chars().map(plain).collect();
        self.root.join("kept").join(name)
    }

    /// Whether the program at `path` is one of ours in other versions than `package` asks for.
    pub(super) fn is_older(&self, path: &Path, package: &Package) -> bool {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // The link's own target: an environment's `python` leads out of it.
        let target = path.read_link().map(|target| self.bin().join(target)).unwrap_or_default();
        let holder = target.parent().map(real).unwrap_or_default();
        holder.starts_with(real(&self.root.join("kept"))) && !holder.starts_with(real(&self.home(package)))
    }
}

/// What is to be installed.
pub(super) struct Order<'a> {
    /// The package.
    pub(super) package: &'a Package,
    /// The programs that gates call.
    pub(super) programs: Vec<String>,
    /// Proves that it works, program first.
    pub(super) version: &'a [String],
}

/// Installs it, runs it once, and links its programs into `bin`.
///
/// # Errors
/// The client is missing or fails, or what it installed does not run. Nothing of it is in `bin`.
pub(super) fn install(
    order: &Order<'_>,
    place: &Place,
    env: &Environment,
    cancel: &dyn Fn() -> bool,
) -> Result<(), CliError> {
    let home = place.home(order.package);
    let client = Client { env: environment(env), path: env.get("PATH").unwrap_or_default(), cancel };
    if !home.join(DONE).is_file() {
        empty(&home).map_err(|error| cannot("make", &home, error))?;
        let fetched = client.fetch(order.package, &home).and_then(|()| client.works(order, &home));
        if let Err(error) = fetched {
            // The next attempt would do it too; this one leaves no rubbish.
            if let Err(error) = fs::remove_dir_all(&home) {
                tracing::warn!(home = %home.display(), %error, "half an installation stays, and is not used");
            }
            return Err(error);
        }
        fs::write(home.join(DONE), "").map_err(|error| cannot("write into", &home, error))?;
    }
    let programs = order.package.programs_in(&home);
    for program in &order.programs {
        link(&place.bin(), program, &programs.join(program))
            .map_err(|error| cannot("link into", &place.bin(), error))?;
    }
    Ok(())
}

fn cannot(what: &str, path: &Path, error: io::Error) -> CliError {
    CliError::environment(format!("cannot {what} `{}`", path.display())).because(error)
}

fn empty(home: &Path) -> io::Result<()> {
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(home)
}

/// In one step, over what is there.
fn link(bin: &Path, name: &str, target: &Path) -> io::Result<()> {
    fs::create_dir_all(bin)?;
    let temporary = bin.join(format!(".{name}.{}", std::process::id()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(target, &temporary)?;
    fs::rename(&temporary, bin.join(name))
}

fn environment(env: &Environment) -> Vec<(OsString, OsString)> {
    let stays = |name: &OsString| !ELSEWHERE.iter().any(|other| name == other);
    env.variables.iter().filter(|(name, _)| stays(name)).cloned().collect()
}

struct Client<'a> {
    env: Vec<(OsString, OsString)>,
    path: &'a OsStr,
    cancel: &'a dyn Fn() -> bool,
}

impl Client<'_> {
    fn fetch(&self, package: &Package, home: &Path) -> Result<(), CliError> {
        if !package.pip.is_empty() {
            return if self.has("uv") { self.uv(&package.pip, home) } else { self.pip(&package.pip, home) };
        }
        if !package.npm.is_empty() {
            return self.npm(&package.npm, home);
        }
        package.cargo.iter().try_for_each(|name| self.cargo(name, home))
    }

    fn has(&self, program: &str) -> bool {
        find_program(program, self.path, Path::new("/")).is_some()
    }

    fn uv(&self, packages: &[String], home: &Path) -> Result<(), CliError> {
        let failed = "uv could not install it";
        self.call("uv", words(&["venv", "--quiet", "--no-project"], &[home.into()]), home, WAIT, failed)?;
        let python = home.join("bin/python");
        let mut args = words(&["pip", "install", "--quiet", "--python"], &[python.into()]);
        args.extend(packages.iter().map(OsString::from));
        self.call("uv", args, home, WAIT, failed).map_err(|error| error.hint(NETWORK))
    }

    fn pip(&self, packages: &[String], home: &Path) -> Result<(), CliError> {
        if !self.has("python3") {
            return Err(CliError::environment("python3 is not installed")
                .hint("sudo apt-get install python3 python3-venv, or install uv"));
        }
        let args = words(&["-m", "venv", "--clear"], &[home.into()]);
        self.call("python3", args, home, WAIT, "a virtual environment cannot be made")
            .map_err(|error| error.hint("sudo apt-get install python3-venv"))?;
        let fixed = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"];
        let mut args = words(&fixed, &[]);
        args.extend(packages.iter().map(OsString::from));
        self.call(home.join("bin/python"), args, home, WAIT, "pip could not install it")
            .map_err(|error| error.hint(NETWORK))
    }

    fn npm(&self, packages: &[String], home: &Path) -> Result<(), CliError> {
        if !self.has("npm") {
            return Err(
                CliError::environment("npm is not installed").hint("it comes with https://nodejs.org")
            );
        }
        // Without one of its own it would look for a project above.
        fs::write(home.join("package.json"), "{}\n").map_err(|error| cannot("write into", home, error))?;
        let fixed = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", "--prefix"];
        let mut args = words(&fixed, &[home.into()]);
        args.extend(packages.iter().map(OsString::from));
        self.call("npm", args, home, WAIT, "npm could not install it").map_err(|error| error.hint(NETWORK))
    }

    fn cargo(&self, package: &str, home: &Path) -> Result<(), CliError> {
        if !self.has("cargo") {
            return Err(
                CliError::environment("cargo is not installed").hint("it comes with https://rustup.rs")
            );
        }
        let args = words(&["install", "--quiet", "--locked", "--root"], &[home.into(), package.into()]);
        self.call("cargo", args, home, BUILD_WAIT, "cargo could not build it")
            .map_err(|error| error.hint(NETWORK))
    }

    /// A program that does not start is not installed, whatever its client says.
    fn works(&self, order: &Order<'_>, home: &Path) -> Result<(), CliError> {
        let programs = order.package.programs_in(home);
        if let Some(absent) = order.programs.iter().find(|name| !programs.join(name).is_file()) {
            return Err(CliError::environment(format!("its package has no program `{absent}`")));
        }
        let Some((program, args)) = order.version.split_first() else { return Ok(()) };
        let own = programs.join(program);
        let program = if own.is_file() { own.into_os_string() } else { OsString::from(program) };
        let args = args.iter().map(OsString::from).collect();
        self.call(program, args, home, VERSION_WAIT, "it is installed and does not run")
    }

    fn call(
        &self,
        program: impl Into<OsString>,
        args: Vec<OsString>,
        cwd: &Path,
        timeout: Duration,
        failed: &str,
    ) -> Result<(), CliError> {
        let spec = Spec {
            program: program.into(),
            args,
            // Not the repository, whose own configuration would be the client's.
            cwd: cwd.to_owned(),
            env: self.env.clone(),
            stdin: Stdin::Null,
            timeout,
            output_max: OUTPUT_MAX,
            grace: Duration::from_secs(2),
            session: Session::NewGroup,
            bounds: None,
        };
        let outcome = run_child(&spec, &mut |_, _| {}, self.cancel)
            .map_err(|error| CliError::environment(failed).because(error))?;
        if outcome.success() { Ok(()) } else { Err(unhappy(&outcome, timeout, failed)) }
    }
}

const NETWORK: &str = "is there a network? A mirror is set in the client's own configuration";

fn words(fixed: &[&str], more: &[OsString]) -> Vec<OsString> {
    fixed.iter().map(OsString::from).chain(more.iter().cloned()).collect()
}

fn unhappy(outcome: &Outcome, timeout: Duration, failed: &str) -> CliError {
    let text = [outcome.stdout.as_slice(), &outcome.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<String> = text.lines().map(harmless).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(SHOWN_MAX)..].join("\n  ");
    let how = match outcome.ending {
        Ending::Exit(code) => format!("exit {code}"),
        Ending::Signal(number) => format!("signal {number}"),
        Ending::TimedOut => format!("not done after {} s", timeout.as_secs()),
        Ending::Cancelled => "interrupted".to_owned(),
        Ending::Exceeded(excess) => excess.to_string(),
    };
    let said = if last.is_empty() { String::new() } else { format!("\n  {last}") };
    CliError::environment(format!("{failed} ({how}){said}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A machine with these clients alone, and the directory of sprint's tools.
    struct World {
        dir: tempfile::TempDir,
        place: Place,
    }

    impl World {
        fn new(clients: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let bin = dir.path().join("clients");
            fs::create_dir(&bin).unwrap();
            for (name, body) in clients {
                fs::write(bin.join(name), format!("#!/bin/sh\n{body}\n")).unwrap();
                fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
            let place = Place::new(&dir.path().join("tools"));
            Self { dir, place }
        }

        fn install(&self, package: &Package, cancel: &dyn Fn() -> bool) -> Result<(), CliError> {
            let path = format!("{}:/usr/bin:/bin", self.dir.path().join("clients").display());
            let elsewhere = |name: &&&str| name.starts_with("npm") || name.starts_with("CARGO");
            let mut variables: Vec<(OsString, OsString)> =
                ELSEWHERE.iter().filter(elsewhere).map(|name| (name.into(), "/nowhere".into())).collect();
            variables.push(("PATH".into(), path.into()));
            let env = Environment {
                cwd: self.dir.path().to_owned(),
                variables,
                stdin_is_terminal: false,
                stdout_is_terminal: false,
                columns: None,
            };
            let version = ["tool".to_owned(), "--version".to_owned()];
            let order = Order { package, programs: vec!["tool".into()], version: &version };
            install(&order, &self.place, &env, cancel)
        }

        fn tool(&self) -> PathBuf {
            self.place.bin().join("tool")
        }
    }

    /// A client that puts `tool` where its options say, unless something leads it elsewhere.
    fn client(option: &str, below: &str) -> String {
        format!(
            "[ -z \"$npm_config_prefix$NPM_CONFIG_PREFIX$CARGO_INSTALL_ROOT$CARGO_TARGET_DIR\" ] || exit 9\n\
             echo \"$@\" >> \"$(dirname \"$0\")/calls\"\n\
             while [ \"$1\" != {option} ]; do shift; done\n\
             mkdir -p \"$2/{below}\"\n\
             printf '#!/bin/sh\\necho tool 1\\n' > \"$2/{below}/tool\"; chmod 755 \"$2/{below}/tool\""
        )
    }

    #[test]
    fn npm_and_cargo_put_their_programs_into_the_same_place() {
        let (npm, cargo) = (client("--prefix", "node_modules/.bin"), client("--root", "bin"));
        let of_npm = Package { npm: vec!["tool@1.0.0".into()], ..Package::default() };
        let of_cargo = Package { cargo: vec!["tool@1.0.0".into()], ..Package::default() };
        for (name, body, package) in [("npm", npm, of_npm), ("cargo", cargo, of_cargo)] {
            let world = World::new(&[(name, &body)]);
            world.install(&package, &|| false).unwrap();
            assert!(world.tool().is_file(), "{name}");
            world.install(&package, &|| false).unwrap();
            let calls = fs::read_to_string(world.dir.path().join("clients/calls")).unwrap();
            assert_eq!(calls.lines().count(), 1, "what is whole is not fetched again: {calls}");
            assert!(calls.contains("tool@1.0.0"), "{calls}");
            let newer = Package { npm: vec!["tool@2.0.0".into()], ..Package::default() };
            assert!(world.place.is_older(&world.tool(), &newer));
            assert!(!world.place.is_older(&world.tool(), &package));
        }
    }

    #[test]
    fn uv_is_taken_where_it_is() {
        let uv = "[ \"$1\" = venv ] && exit 0\nwhile [ \"$1\" != --python ]; do shift; done\nhere=$(dirname \"$2\"); mkdir -p \"$here\"\n\
                  printf '#!/bin/sh\\necho tool 1\\n' > \"$here/tool\"; chmod 755 \"$here/tool\"";
        let world = World::new(&[("uv", uv), ("python3", "exit 1")]);
        let package = Package { pip: vec!["tool==1.0.0".into()], ..Package::default() };
        world.install(&package, &|| false).unwrap();
        assert!(world.tool().is_file());
    }

    #[test]
    fn what_is_interrupted_does_not_look_installed_and_is_begun_anew() {
        let half = "while [ \"$1\" != --root ]; do shift; done; mkdir -p \"$2/bin\"\n\
                    printf '#!/bin/sh\\n' > \"$2/bin/tool\"; chmod 755 \"$2/bin/tool\"; exec sleep 1000";
        let world = World::new(&[("cargo", half)]);
        let package = Package { cargo: vec!["tool@1.0.0".into()], ..Package::default() };
        let home = world.place.home(&package);
        let error = world.install(&package, &|| home.join("bin/tool").exists()).unwrap_err();
        assert!(error.message.contains("interrupted"), "{error}");
        assert!(!world.tool().exists() && !home.exists());
        // As a kill of sprint itself would leave it.
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::write(home.join("bin/tool"), "half").unwrap();
        fs::write(
            world.dir.path().join("clients/cargo"),
            format!("#!/bin/sh\n{}\n", client("--root", "bin")),
        )
        .unwrap();
        world.install(&package, &|| false).unwrap();
        assert!(fs::read_to_string(home.join("bin/tool")).unwrap().contains("tool 1"));
    }
}
