//! Where reports of `sprint gates run` go: found out before any gate runs, written when all have.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc;

use super::{junit, sarif};
use crate::cli::args::GatesRunArgs;
use crate::cli::gates_run::Ran;
use crate::cli::out::Out;
use crate::cli::text::plain;
use crate::error::CliError;

/// A file name in a message has at most so many columns.
const NAME_MAX: usize = 200;

/// The reports that were asked for.
pub(super) struct Sinks {
    sarif: Option<Sink>,
    junit: Option<Sink>,
    readers: sarif::Readers,
}

enum Sink {
    Stdout,
    /// A file, made anew by renaming.
    File(PathBuf),
    /// A pipe or a device, open already.
    Open(PathBuf, File),
}

impl Sinks {
    /// Looks whether each can be written. Nothing is left behind by that.
    ///
    /// # Errors
    /// Two of them want standard output or the same file, or one cannot be written (exit 2).
    pub(super) fn open(args: &GatesRunArgs, cwd: &Path) -> Result<Self, CliError> {
        one_for_stdout(args)?;
        let open = |name: &Option<PathBuf>| name.as_deref().map(|name| Sink::open(name, cwd)).transpose();
        let (sarif, junit) = (open(&args.sarif)?, open(&args.junit)?);
        if let (Some(Sink::File(one)), Some(Sink::File(other))) = (&sarif, &junit)
            && one == other
        {
            return Err(CliError::usage(format!("`--sarif` and `--junit` both name `{}`", shown(one)))
                .hint("name two files"));
        }
        let readers = if args.github { sarif::Readers::GitHub } else { sarif::Readers::Any };
        Ok(Self { sarif, junit, readers })
    }

    /// The files that will be replaced.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.sarif, &self.junit].into_iter().flatten().filter_map(|sink| match sink {
            Sink::File(path) => Some(path.as_path()),
            Sink::Stdout | Sink::Open(..) => None,
        })
    }

    /// Whether standard output is for one of them alone.
    pub(super) fn take_stdout(&self) -> bool {
        matches!(self.sarif, Some(Sink::Stdout)) || matches!(self.junit, Some(Sink::Stdout))
    }

    /// Writes them all.
    ///
    /// # Errors
    /// One cannot be written now (exit 3).
    pub(super) fn write(self, ran: &Ran, out: &mut Out<'_>) -> Result<(), CliError> {
        if let Some(sink) = self.sarif {
            sink.write(&sarif::report(ran, self.readers), out)?;
        }
        if let Some(sink) = self.junit {
            sink.write(&junit::report(ran), out)?;
        }
        Ok(())
    }
}

fn one_for_stdout(args: &GatesRunArgs) -> Result<(), CliError> {
    let dash = |name: &Option<PathBuf>| name.as_deref() == Some(Path::new("-"));
    let wanted = [
        ("--json", args.json),
        ("--github", args.github),
        ("--sarif -", dash(&args.sarif)),
        ("--junit -", dash(&args.junit)),
    ];
    let names: Vec<&str> = wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect();
    match names.as_slice() {
        [one, other, ..] => {
            Err(CliError::usage(format!("`{one}` and `{other}` both write to standard output"))
                .hint("name a file for one of them"))
        }
        _ => Ok(()),
    }
}

fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy(), NAME_MAX)
}

impl Sink {
    fn open(name: &Path, cwd: &Path) -> Result<Self, CliError> {
        if name == Path::new("-") {
            return Ok(Self::Stdout);
        }
        // Through a link, so that the file is replaced and not the link.
        let path = cwd.join(name);
        let path = path.canonicalize().unwrap_or(path);
        let told = |error: io::Error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let cli = CliError::usage(format!("`{}` cannot be written", shown(&path))).because(error);
            if missing { cli.hint("make its directory first") } else { cli }
        };
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Err(told(io::ErrorKind::IsADirectory.into())),
            Ok(meta) if meta.is_file() => {
                OpenOptions::new().write(true).open(&path).and_then(|_| probe(&path)).map_err(told)?;
                Ok(Self::File(path))
            }
            Ok(_) => special(&path).map(|file| Self::Open(path.clone(), file)).map_err(told),
            Err(_) => probe(&path).map(|()| Self::File(path.clone())).map_err(told),
        }
    }

    fn write(self, text: &str, out: &mut Out<'_>) -> Result<(), CliError> {
        let (path, written) = match self {
            Self::Stdout => {
                out.text(text);
                return Ok(());
            }
            Self::File(path) => {
                let written = replace(&path, text);
                (path, written)
            }
            Self::Open(path, mut file) => {
                let written = match file.write_all(text.as_bytes()) {
                    // As with standard output: a reader that went away has what it wanted.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    other => other,
                };
                (path, written)
            }
        };
        written
            .map_err(|error| CliError::environment(format!("cannot write `{}`", shown(&path))).because(error))
    }
}

/// A pipe that nobody reads is an error now, and not a wait without end.
fn special(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()))?;
    Ok(file)
}

fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".sprint-report-{}", uuid::Uuid::new_v4().simple()))
}

/// A file in that directory can be made and renamed.
fn probe(path: &Path) -> io::Result<()> {
    let temporary = beside(path);
    File::create_new(&temporary)?;
    fs::remove_file(&temporary)
}

/// Whole or not at all: whoever reads it meanwhile sees the one before.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = beside(path);
    let write = || {
        let mut file = File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        if let Ok(meta) = fs::metadata(path) {
            fs::set_permissions(&temporary, meta.permissions())?;
        }
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err()
        && let Err(error) = fs::remove_file(&temporary)
    {
        tracing::debug!(%error, "there is no half of a report to remove");
    }
    written
}
