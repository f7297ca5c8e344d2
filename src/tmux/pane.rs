//! Sessions, windows and panes as tmux numbers them, and the parser of our one listing.

use std::fmt;

/// The format of a new session: what [`parse_pane`] reads.
pub const NEW_FORMAT: &str = "#{session_id} #{window_id} #{pane_id} #{pane_pid}";
/// The format of the listing: what [`parse_info`] reads. No field but the last can hold a space;
/// tmux replaces control characters, so a tab would not arrive. `window_activity`, because
/// `session_activity` stands still while nobody is attached.
pub const LIST_FORMAT: &str = "#{session_id} #{window_id} #{pane_id} #{pane_pid} #{pane_dead} #{window_activity} #{session_attached} #{session_name}";

macro_rules! tmux_id {
    ($(#[$doc:meta])* $name:ident, $sigil:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Reads the sigil and the number; anything else is none.
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix($sigil)?;
                let plain = digits.bytes().all(|b| b.is_ascii_digit());
                plain.then(|| digits.parse().ok().map(Self)).flatten()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $sigil, self.0)
            }
        }
    };
}

tmux_id!(
    /// `$1`: unique as long as the server lives.
    SessionId, '$'
);
tmux_id!(
    /// `@1`: unique as long as the server lives.
    WindowId, '@'
);
tmux_id!(
    /// `%1`: unique as long as the server lives.
    PaneId, '%'
);

/// A pane that was just made, with its session and window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane {
    /// Its session.
    pub session: SessionId,
    /// Its window.
    pub window: WindowId,
    /// Itself.
    pub pane: PaneId,
    /// Its first process.
    pub pid: i32,
}

/// A pane as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneInfo {
    /// Where it is and what runs in it.
    pub pane: Pane,
    /// Its process is gone, as tmux believes; a pidfd knows it earlier and surely.
    pub dead: bool,
    /// Seconds since 1970 of the last output in its window.
    pub activity: i64,
    /// Clients that are attached to its session.
    pub attached: u32,
    /// Its session's name.
    pub session_name: String,
}

/// Reads one line of [`NEW_FORMAT`].
pub fn parse_pane(line: &str) -> Option<Pane> {
    let mut fields = line.split(' ');
    let pane = take_pane(&mut fields)?;
    fields.next().is_none().then_some(pane)
}

/// Reads one line of [`LIST_FORMAT`].
pub fn parse_info(line: &str) -> Option<PaneInfo> {
    let mut fields = line.splitn(8, ' ');
    let pane = take_pane(&mut fields)?;
    let dead = match fields.next()? {
        "0" | "" => false,
        "1" => true,
        _ => return None,
    };
    let activity = fields.next()?.parse().ok()?;
    let attached = fields.next()?.parse().ok()?;
    Some(PaneInfo { pane, dead, activity, attached, session_name: fields.next()?.to_owned() })
}

fn take_pane<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<Pane> {
    Some(Pane {
        session: SessionId::parse(fields.next()?)?,
        window: WindowId::parse(fields.next()?)?,
        pane: PaneId::parse(fields.next()?)?,
        pid: fields.next()?.parse().ok().filter(|&pid: &i32| pid > 0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_as_tmux_prints_them() {
        let pane = parse_pane("$1 @2 %3 9867").unwrap();
        assert_eq!(
            (pane.session.to_string(), pane.pane.to_string(), pane.pid),
            ("$1".into(), "%3".into(), 9867)
        );
        let info = parse_info("$1 @2 %3 9867 1 1795259238 2 developer-1").unwrap();
        assert_eq!((info.pane, info.dead, info.attached), (pane, true, 2));
        assert_eq!((info.activity, info.session_name.as_str()), (1_795_259_238, "developer-1"));
        assert_eq!(parse_info("$1 @2 %3 9867 0 0 0 a b  c").unwrap().session_name, "a b  c");
        for bad in [
            "",
            "$1 @2 %3",
            "$1 @2 %3 0",
            "$1 @2 %3 -5",
            "$x @2 %3 1",
            "1 @2 %3 1",
            "$1 @2 %+3 1",
            "$1 @2 %3 1 2",
        ] {
            assert_eq!(parse_pane(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parsers_panic(line in ".*") {
            parse_pane(&line);
            parse_info(&line);
        }
    }
}
