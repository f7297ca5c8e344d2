//! The bytes of control mode → messages. Pure: bytes in, messages out, whatever the chunks.
//!
//! A reply stands between `%begin time number flags` and `%end` or `%error` with the same three
//! words; everything between is data, even a line that looks like a notification.

/// Bytes of one line; more is not a server of ours.
pub const LINE_MAX: usize = 1 << 20;
/// Bytes of one reply.
pub const REPLY_MAX: usize = 16 << 20;

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The answer to a command.
    Reply(Reply),
    /// Something that happened.
    Notice(Notice),
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// To a command of this client; the attach itself and hooks are not.
    pub ours: bool,
    /// Whether it succeeded; if not, the lines are the message.
    pub ok: bool,
    /// Without their line feeds.
    pub lines: Vec<Vec<u8>>,
}

/// Something that happened in the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A session was made or ended.
    SessionsChanged,
    /// A window, named by its id, was closed; of this client's session or another.
    WindowClosed(String),
    /// This client is put out, perhaps with a reason: the connection is over.
    Exit(Option<String>),
    /// A pane's output is held back.
    Pause(String),
    /// Any other, by its name without `%`.
    Other(String),
}

/// Why the bytes are not control mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A line without end.
    #[error("tmux sent a line of more than {LINE_MAX} bytes")]
    LineTooLong,
    /// A reply without end.
    #[error("tmux sent a reply of more than {REPLY_MAX} bytes")]
    ReplyTooLong,
}

/// Reads incrementally.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// `time number flags`, as the end must repeat it.
    key: Vec<u8>,
    lines: Vec<Vec<u8>>,
    bytes: usize,
}

impl Parser {
    /// Takes bytes and appends the messages that are complete now.
    ///
    /// # Errors
    /// A bound is exceeded; the connection is of no use any more.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<Message>) -> Result<(), ControlError> {
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.extend(&bytes[..end])?;
            let line = std::mem::take(&mut self.line);
            out.extend(self.take_line(line)?);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), ControlError> {
        if self.line.len() + bytes.len() > LINE_MAX {
            return Err(ControlError::LineTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, line: Vec<u8>) -> Result<Option<Message>, ControlError> {
        let Some(mut open) = self.open.take() else { return Ok(self.outside(&line)) };
        if let Some(ok) = ends(&line, &open.key) {
            let ours = open.key.rsplit(|&b| b == b' ').next() == Some(b"1");
            return Ok(Some(Message::Reply(Reply { ours, ok, lines: open.lines })));
        }
        open.bytes += line.len() + 1;
        if open.bytes > REPLY_MAX {
            return Err(ControlError::ReplyTooLong);
        }
        open.lines.push(line);
        self.open = Some(open);
        Ok(None)
    }

    fn outside(&mut self, line: &[u8]) -> Option<Message> {
        if let Some(key) = line.strip_prefix(b"%begin ") {
            self.open = Some(Open { key: key.to_vec(), lines: Vec::new(), bytes: 0 });
            return None;
        }
        // What does not begin with % outside of a reply says nothing to us.
        let text = String::from_utf8_lossy(line.strip_prefix(b"%")?).into_owned();
        let (name, rest) = text.split_once(' ').unwrap_or((&text, ""));
        Some(Message::Notice(notice(name, rest)))
    }
}

/// Whether `line` ends the reply with `key`, and how.
fn ends(line: &[u8], key: &[u8]) -> Option<bool> {
    match (line.strip_prefix(b"%end "), line.strip_prefix(b"%error ")) {
        (Some(end), _) if end == key => Some(true),
        (_, Some(end)) if end == key => Some(false),
        _ => None,
    }
}

fn notice(name: &str, rest: &str) -> Notice {
    match name {
        "sessions-changed" => Notice::SessionsChanged,
        "window-close" | "unlinked-window-close" => Notice::WindowClosed(rest.to_owned()),
        "exit" => Notice::Exit((!rest.is_empty()).then(|| rest.to_owned())),
        "pause" => Notice::Pause(rest.to_owned()),
        _ => Notice::Other(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Recorded from tmux 3.3a: attach, sessions made and killed, errors, a buffer with `%end`.
    const RECORDED: &[u8] = include_bytes!("../../tests/fixtures/tmux/control-3.3a.bytes");

    fn parse(chunks: &[&[u8]]) -> Vec<Message> {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.feed(chunk, &mut out).unwrap();
        }
        out
    }

    fn render(messages: &[Message]) -> String {
        let show = |message: &Message| match message {
            Message::Notice(notice) => format!("{notice:?}"),
            Message::Reply(reply) => {
                let lines: Vec<_> = reply.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
                format!("ours={} ok={} {lines:?}", reply.ours, reply.ok)
            }
        };
        messages.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_recorded_connection() {
        insta::assert_snapshot!(render(&parse(&[RECORDED])));
    }

    #[test]
    fn an_end_with_other_words_is_data_and_an_exit_may_have_a_reason() {
        let bytes = b"%begin 5 6 1\n%end 5 6 0\n%error 5 7 1\n%exit\n\n%error 5 6 1\n%exit too far behind\nnoise\n%pause %1\n";
        let shown = render(&parse(&[bytes]));
        insta::assert_snapshot!(shown, @r#"
        ours=true ok=false ["%end 5 6 0", "%error 5 7 1", "%exit", ""]
        Exit(Some("too far behind"))
        Pause("%1")
        "#);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        let long = vec![b'x'; LINE_MAX + 1];
        assert_eq!(parser.feed(&long, &mut out), Err(ControlError::LineTooLong));
        let mut parser = Parser::default();
        parser.feed(b"%begin 1 1 1\n", &mut out).unwrap();
        let mut line = vec![b'x'; LINE_MAX];
        line.push(b'\n');
        let refused = (0..20).find_map(|_| parser.feed(&line, &mut out).err());
        assert_eq!(refused, Some(ControlError::ReplyTooLong));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(cuts in proptest::collection::vec(0..RECORDED.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.extend([0, RECORDED.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &RECORDED[w[0]..w[1]]).collect();
            prop_assert_eq!(parse(&chunks), parse(&[RECORDED]));
        }

        #[test]
        fn nothing_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            parse(&[&bytes]);
        }
    }
}
