//! Commands for the server: built by `tmux_interface`, written as one line of control mode.
//!
//! A line is parsed by tmux's own command language, so every word is quoted here; a value that
//! tmux would expand as a format (directories and file names) is escaped on top. It refuses names
//! that tmux would change.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tmux_interface::{
    CapturePane, DisplayMessage, KillSession, ListPanes, LoadBuffer, NewSession, PasteBuffer, RefreshClient,
    SendKeys, TmuxCommand,
};

use super::pane::{LIST_FORMAT, NEW_FORMAT, PaneId, SessionId};
use crate::domain::ids::WorkerName;

/// Bytes of one command line; an environment of 1 MiB fits, a runaway does not.
pub const COMMAND_MAX: usize = 2 << 20;
/// The size of a pane that nobody looks at.
const SIZE: (usize, usize) = (200, 50);

/// Why a command cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// tmux hands one word to a shell and executes several directly.
    #[error("a pane's command needs at least two words, not {words}")]
    NotDirect {
        /// How many there are.
        words: usize,
    },
    /// tmux writes `_` for `.` in a session's name, and the exact name would not be found.
    #[error("`{name}` cannot be the name of a session: it contains a dot")]
    Name {
        /// The name.
        name: String,
    },
    /// A NUL byte cannot be passed to any program.
    #[error("a word of the tmux command contains a NUL byte")]
    Nul,
    /// Not a name of a variable.
    #[error("`{key}` cannot be the name of an environment variable")]
    Variable {
        /// The name, shown safely.
        key: String,
    },
    /// Longer than [`COMMAND_MAX`].
    #[error("a tmux command of {bytes} bytes is too long, at most {COMMAND_MAX} are possible")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// One command, not yet quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    words: Vec<Vec<u8>>,
}

/// A session with one pane.
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// The session's name and its window's.
    pub name: WorkerName,
    /// Program and arguments, at least two words.
    pub argv: Vec<OsString>,
    /// Added to the server's fixed environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory, absolute. tmux takes another one, silently, if it is missing.
    pub cwd: std::path::PathBuf,
}

/// A key that submits or navigates; text goes through the paste buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The key `Enter` as tmux names it.
    Enter,
    /// The key `Escape`.
    Escape,
    /// These very characters (`"\r"`, `"y"`).
    Literal(String),
}

impl Command {
    fn of(built: &TmuxCommand<'_>) -> Self {
        Self { words: built.to_vec().into_iter().map(|word| word.as_bytes().to_vec()).collect() }
    }

    fn word(mut self, word: &OsStr) -> Self {
        self.words.push(word.as_bytes().to_vec());
        self
    }

    /// A new session with one window and one pane; answers with [`NEW_FORMAT`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn new_session(request: &SpawnRequest) -> Result<Self, CommandError> {
        let SpawnRequest { name, argv, env, cwd } = request;
        if argv.len() < 2 {
            return Err(CommandError::NotDirect { words: argv.len() });
        }
        if name.as_str().contains('.') {
            return Err(CommandError::Name { name: name.to_string() });
        }
        let built = NewSession::new()
            .detached()
            .print()
            .format(NEW_FORMAT)
            .session_name(name.as_str())
            .window_name(name.as_str())
            .width(SIZE.0)
            .height(SIZE.1)
            .build();
        let mut command = Self::of(&built).word("-c".as_ref()).word(&no_format(cwd));
        for (key, value) in env {
            command = command.word("-e".as_ref()).word(&variable(key, value)?);
        }
        Ok(argv.iter().fold(command.word("--".as_ref()), |command, word| command.word(word)))
    }

    /// Ends a session and hangs up its processes.
    pub fn kill_session(session: SessionId) -> Self {
        Self::of(&KillSession::new().target_session(session.to_string()).build())
    }

    /// All panes of the server, each a line of [`LIST_FORMAT`].
    pub fn list_panes() -> Self {
        Self::of(&ListPanes::new().all().format(LIST_FORMAT).build())
    }

    /// The server's pid and version.
    pub fn server_facts() -> Self {
        Self::of(&DisplayMessage::new().print().message("#{pid} #{version}").build())
    }

    /// No output of panes for this client, and no say in the size of windows.
    pub fn quiet_client() -> Self {
        Self::of(&RefreshClient::new().build()).word("-f".as_ref()).word("no-output,ignore-size".as_ref())
    }

    /// Reads a file into a buffer.
    pub fn load_buffer(buffer: &str, file: &Path) -> Self {
        Self::of(&LoadBuffer::new().buffer_name(buffer).build()).word(&no_format(file))
    }

    /// Pastes a buffer and deletes it: bracketed if the program asked for that, line feeds as they
    /// are.
    pub fn paste_buffer(buffer: &str, pane: PaneId) -> Self {
        let paste = PasteBuffer::new().delete().bracket_codes().no_replacement();
        Self::of(&paste.buffer_name(buffer).target_pane(pane.to_string()).build())
    }

    /// One key.
    pub fn send_key(pane: PaneId, key: &Key) -> Self {
        let keys = SendKeys::new().target_pane(pane.to_string());
        match key {
            Key::Enter => Self::of(&keys.key("Enter").build()),
            Key::Escape => Self::of(&keys.key("Escape").build()),
            Key::Literal(text) => {
                Self::of(&keys.disable_lookup().build()).word("--".as_ref()).word(text.as_ref())
            }
        }
    }

    /// What a pane shows now, as text, wrapped lines joined.
    pub fn capture_pane(pane: PaneId) -> Self {
        Self::of(&CapturePane::new().stdout().join().target_pane(pane.to_string()).build())
    }

    /// The line of control mode, with its line feed.
    ///
    /// # Errors
    /// A NUL byte, or too long.
    pub fn line(&self) -> Result<Vec<u8>, CommandError> {
        let mut line = Vec::new();
        for word in &self.words {
            if word.contains(&0) {
                return Err(CommandError::Nul);
            }
            if !line.is_empty() {
                line.push(b' ');
            }
            quote_into(word, &mut line);
        }
        line.push(b'\n');
        if line.len() > COMMAND_MAX { Err(CommandError::TooLong { bytes: line.len() }) } else { Ok(line) }
    }
}

fn variable(key: &OsStr, value: &OsStr) -> Result<OsString, CommandError> {
    if key.is_empty() || key.as_bytes().contains(&b'=') {
        return Err(CommandError::Variable { key: key.to_string_lossy().escape_debug().to_string() });
    }
    let mut entry = key.to_owned();
    entry.push("=");
    entry.push(value);
    Ok(entry)
}

/// Quotes a word for tmux's command language: single quotes hold everything but themselves, line
/// ends, and 0xff, which its reader takes for the end of the line; those are written as octal
/// escapes between double quotes.
fn quote_into(word: &[u8], line: &mut Vec<u8>) {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./:,@+".contains(b);
    if !word.is_empty() && word.iter().all(plain) {
        line.extend_from_slice(word);
        return;
    }
    line.push(b'\'');
    for &byte in word {
        if byte == b'\'' || byte < b' ' || byte == 0x7f || byte == 0xff {
            let octal = [b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)];
            line.extend_from_slice(b"'\"\\");
            line.extend_from_slice(&octal);
            line.extend_from_slice(b"\"'");
        } else {
            line.push(byte);
        }
    }
    line.push(b'\'');
}

/// Escapes what tmux would expand in a value that it takes as a format: `#(cmd)` in a directory's
/// name would be executed. `##` is a `#`, but before a `[` tmux leaves every `#` as it is.
fn no_format(path: &Path) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let bytes = path.as_os_str().as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let run = bytes[index..].iter().take_while(|&&b| b == b'#').count();
        if run == 0 {
            out.push(bytes[index]);
            index += 1;
            continue;
        }
        let times = if bytes.get(index + run) == Some(&b'[') { run } else { run * 2 };
        out.extend(std::iter::repeat_n(b'#', times));
        index += run;
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &Command) -> String {
        String::from_utf8(command.line().unwrap()).unwrap()
    }

    fn request() -> SpawnRequest {
        SpawnRequest {
            name: WorkerName::parse("developer-1").unwrap(),
            argv: vec!["/bin/sprint".into(), "a;b".into(), "it's\n;".into(), "".into()],
            env: vec![("A".into(), "#{pid} $HOME".into())],
            cwd: "/w/#(touch x)/#[b]".into(),
        }
    }

    #[test]
    fn every_word_is_quoted() {
        let pane = PaneId::parse("%4").unwrap();
        let commands = [
            Command::new_session(&request()).unwrap(),
            Command::kill_session(SessionId::parse("$3").unwrap()),
            Command::list_panes(),
            Command::load_buffer("b", Path::new("/a b/#(x)")),
            Command::paste_buffer("b", pane),
            Command::send_key(pane, &Key::Literal("\r".into())),
            Command::send_key(pane, &Key::Enter),
            Command::capture_pane(pane),
            Command::quiet_client(),
            Command::server_facts(),
        ];
        insta::assert_snapshot!(commands.iter().map(text).collect::<String>());
    }

    #[test]
    fn what_tmux_would_misunderstand_is_refused() {
        let one = SpawnRequest { argv: vec!["/bin/sh".into()], ..request() };
        assert_eq!(Command::new_session(&one), Err(CommandError::NotDirect { words: 1 }));
        let dot = SpawnRequest { name: WorkerName::parse("a.b").unwrap(), ..request() };
        assert!(matches!(Command::new_session(&dot), Err(CommandError::Name { .. })));
        let key = SpawnRequest { env: vec![("A=B".into(), "".into())], ..request() };
        assert!(matches!(Command::new_session(&key), Err(CommandError::Variable { .. })));
        let nul = SpawnRequest { argv: vec!["a".into(), "b\0".into()], ..request() };
        assert_eq!(Command::new_session(&nul).unwrap().line(), Err(CommandError::Nul));
        let long = SpawnRequest { argv: vec!["a".into(), "b".repeat(COMMAND_MAX).into()], ..request() };
        assert!(matches!(Command::new_session(&long).unwrap().line(), Err(CommandError::TooLong { .. })));
    }
}
