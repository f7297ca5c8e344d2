//! How a program stands, out of ranked sources: what its hooks tell, then what its screen and its
//! title show. Pure: times come with the calls, in monotonic milliseconds.
//!
//! A hook tells exactly, and not everything: none comes when a person interrupts a turn, or while
//! the program tries its service again. So what is seen on the glass (screen and title) counts
//! where it has changed after the last hook and has stayed so for a while.

use regex::Regex;
use serde_json::Value;

use super::protocol::plain;
use super::stopped::Shown;
use super::stream::BadRule;
use crate::config::interactive::{Dialog, ScreenKeys, SignalKeys};
use crate::config::keys;
use crate::config::selector::{Path, When};
use crate::domain::screen::Stand;

/// What contradicts a hook has to stay for so long, in milliseconds.
const SETTLE_MS: u64 = 2_000;
/// The same where the glass has shown it before the hook told: a hook may come late, and a glass may
/// be slow to follow.
const LATE_MS: u64 = 10_000;
/// Without a hook a screen that waits has to stay so for so long: between two steps of a turn
/// programs look as if they waited.
const CALM_MS: u64 = 1_500;
/// Lines at the lower end of the screen in which states are looked for: further up is what models
/// and files say.
const LINES: usize = 16;
/// Characters of what a program asks.
const TEXT_MAX: usize = 300;
/// Characters of one value of a table in it.
const WORD_MAX: usize = 80;

/// How it stands, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// How it stands.
    pub stand: Stand,
    /// `start`, `hook`, `title` or `screen`.
    pub source: &'static str,
    /// What it asks; may be empty.
    pub text: String,
}

/// An adapter's keys about states, read once.
#[derive(Debug, Clone)]
pub struct SignalRules {
    rules: Vec<(Stand, Rule)>,
    stopped: Option<Regex>,
    dialogs: Vec<DialogRule>,
}

#[derive(Debug, Clone)]
struct Rule {
    events: Vec<When>,
    title: Option<Regex>,
    screen: Option<Regex>,
    tool: Path,
    /// The first of them that is there.
    about: Vec<Path>,
    shown: Option<Regex>,
    reads: Option<bool>,
}

/// Lines that a program reads with a terminal that marks where a pasted text begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// Whether it reads one.
    pub now: bool,
    /// How many it has read.
    pub taken: u64,
}

#[derive(Debug, Clone)]
struct DialogRule {
    pattern: Regex,
    what: String,
    answer: Vec<u8>,
}

impl SignalRules {
    /// Reads the keys.
    ///
    /// # Errors
    /// [`BadRule`]: the first that cannot be used.
    pub fn new(keys: &ScreenKeys) -> Result<Self, BadRule> {
        // What a person has to see goes before what looks like work, and that before rest.
        let rules = [
            (Stand::Permission, &keys.blocked),
            (Stand::Question, &keys.question),
            (Stand::Retrying, &keys.retrying),
            (Stand::Busy, &keys.busy),
            (Stand::Idle, &keys.idle),
            (Stand::Ready, &keys.ready),
        ];
        let rule = |(stand, keys): (Stand, &SignalKeys)| Ok((stand, Rule::new(keys)?));
        Ok(Self {
            rules: rules.into_iter().map(rule).collect::<Result<_, BadRule>>()?,
            stopped: pattern(&keys.stopped.screen)?,
            dialogs: keys.dialogs.iter().map(DialogRule::new).collect::<Result<_, _>>()?,
        })
    }

    /// Whether states can be told at all without hooks.
    pub fn reads_glass(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.title.is_some() || rule.screen.is_some()) || self.knows_lines()
    }

    /// Whether a line that the program has read tells anything.
    fn knows_lines(&self) -> bool {
        self.rules.iter().any(|(_, rule)| rule.reads.is_some())
    }

    fn of_event(&self, event: &Value) -> Option<(Stand, String)> {
        let rule = self.rules.iter().find(|(_, rule)| rule.events.iter().any(|when| when.holds(event)))?;
        Some((rule.0, rule.1.told(event)))
    }

    /// What the screen says that a state is about; empty where it says nothing.
    fn shown(&self, stand: Stand, screen: &str) -> String {
        let rule = self.rules.iter().find(|(of, _)| *of == stand);
        rule.map(|(_, rule)| rule.read_off(screen)).unwrap_or_default()
    }

    fn dialog(&self, screen: &str) -> Option<&DialogRule> {
        self.dialogs.iter().find(|dialog| dialog.pattern.is_match(screen))
    }

    /// The screen's word for what only it shows, then the title's, then the screen's for the rest.
    fn of_glass(&self, title: &str, screen: &str, reads: Reads) -> Option<(Stand, &'static str)> {
        let on_screen = |rule: &Rule| rule.is_on(screen, reads);
        let in_title = |rule: &Rule| rule.title.as_ref().is_some_and(|pattern| pattern.is_match(title));
        let particular = |stand: Stand| stand.needs_a_person() || stand == Stand::Retrying;
        let seen = |(stand, _): &(Stand, Rule), source| (*stand, source);
        self.rules
            .iter()
            .find(|(stand, rule)| particular(*stand) && on_screen(rule))
            .map(|rule| seen(rule, "screen"))
            .or_else(|| self.rules.iter().find(|(_, rule)| in_title(rule)).map(|rule| seen(rule, "title")))
            .or_else(|| self.rules.iter().find(|(_, rule)| on_screen(rule)).map(|rule| seen(rule, "screen")))
    }
}

impl Rule {
    fn new(keys: &SignalKeys) -> Result<Self, BadRule> {
        Ok(Self {
            events: keys.events.iter().map(|text| When::parse(text)).collect::<Result<_, _>>()?,
            title: pattern(&keys.title)?,
            screen: pattern(&keys.screen)?,
            tool: Path::parse(&keys.tool)?,
            about: keys
                .wants
                .iter()
                .chain([&keys.text])
                .map(|text| Path::parse(text))
                .collect::<Result<_, _>>()?,
            shown: pattern(&keys.shown)?,
            reads: keys.reads,
        })
    }

    /// Before it has read its first line, a program that reads none has just been started.
    fn is_on(&self, screen: &str, reads: Reads) -> bool {
        let shown = self.screen.as_ref().is_none_or(|pattern| pattern.is_match(screen));
        let line = self.reads.is_none_or(|wanted| wanted == reads.now && (wanted || reads.taken > 0));
        (self.screen.is_some() || self.reads.is_some()) && shown && line
    }

    /// What an event says for the person: the tool, and what it is to do.
    fn told(&self, event: &Value) -> String {
        let about = self.about.iter().filter_map(|path| path.find(event)).map(in_words);
        let about = about.map(|text| short(&text)).find(|text| !text.is_empty());
        joined([short(&self.tool.text(event)), about.unwrap_or_default()])
    }

    fn read_off(&self, screen: &str) -> String {
        let found = self.shown.as_ref().and_then(|pattern| pattern.captures_iter(screen).last());
        let groups = found.iter().flat_map(|found| found.iter().skip(1).flatten());
        joined(groups.map(|group| short(group.as_str())))
    }
}

/// `Bash: rm -rf build`, within the bound.
fn joined(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(": ").chars().take(TEXT_MAX).collect()
}

/// A value as a person reads it: of a table its texts and numbers by their names, never JSON.
fn in_words(value: &Value) -> String {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.chars().take(WORD_MAX).collect::<String>()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let pairs = map.iter().filter_map(|(name, value)| Some(format!("{name} {}", word(value)?)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Value::Array(list) => list.iter().filter_map(word).collect::<Vec<_>>().join(", "),
        other => word(other).unwrap_or_default(),
    }
}

impl DialogRule {
    fn new(keys: &Dialog) -> Result<Self, BadRule> {
        let answer = keys.answer.iter().filter_map(|key| keys::bytes(key)).flatten().collect();
        Ok(Self { pattern: compile(&keys.pattern)?, what: keys.what.clone(), answer })
    }
}

fn pattern(text: &str) -> Result<Option<Regex>, BadRule> {
    if text.is_empty() { Ok(None) } else { compile(text).map(Some) }
}

/// On a screen `^` and `$` are a line's.
fn compile(text: &str) -> Result<Regex, BadRule> {
    regex::RegexBuilder::new(text).multi_line(true).build().map_err(|error| BadRule::Pattern {
        pattern: text.to_owned(),
        reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    })
}

fn short(text: &str) -> String {
    plain(text.replace('\n', " ").as_bytes()).trim().chars().take(TEXT_MAX).collect()
}

/// What one program was seen to do.
#[derive(Debug, Clone)]
pub struct Watch {
    rules: SignalRules,
    hook: Option<(Stand, String, u64)>,
    /// What the glass shows, and since when.
    glass: Option<(Stand, &'static str, u64)>,
    /// What the glass says that the program asks; empty where it says nothing.
    shown: String,
    reads: Reads,
    dialog: Option<Open>,
    /// Whether the glass has shown, since the last hook, what that hook told.
    agreed: bool,
    worked: bool,
    stops: Shown,
}

/// A dialog that is on the screen.
#[derive(Debug, Clone)]
struct Open {
    what: String,
    answer: Vec<u8>,
    answered: bool,
}

impl Watch {
    /// Of a program that starts now.
    pub fn new(rules: SignalRules) -> Self {
        let reads = Reads::default();
        Self {
            rules,
            hook: None,
            glass: None,
            shown: String::new(),
            reads,
            dialog: None,
            agreed: false,
            worked: false,
            stops: Shown::default(),
        }
    }

    /// A hook has told something. Returns the state, if it tells one.
    pub fn hook(&mut self, event: &Value, now: u64) -> Option<Stand> {
        let (stand, mut text) = self.rules.of_event(event)?;
        // A second hook about the same question may say less than the first.
        if let Some((_, said, _)) = self.hook.as_mut().filter(|hook| hook.0 == stand && text.is_empty()) {
            text = std::mem::take(said);
        }
        self.worked |= stand == Stand::Busy;
        self.agreed = false;
        self.hook = Some((stand, text, now));
        Some(stand)
    }

    /// What the terminal tells of the lines that it reads; before [`Watch::glass`]. Returns whether one
    /// was read since, where that tells something: a whole turn may have gone by.
    pub fn lines_read(&mut self, reads: Reads) -> bool {
        let took = self.rules.knows_lines() && reads.taken > self.reads.taken;
        self.worked |= took;
        self.reads = reads;
        took
    }

    /// The glass was drawn anew for another size: that it went on and off has told nothing.
    pub fn drawn_anew(&mut self, reads: Reads) {
        self.reads = Reads { now: self.reads.now, ..reads };
    }

    /// The glass has changed.
    pub fn glass(&mut self, title: &str, lines: &[String], now: u64) {
        let screen = lower(lines);
        self.look_for_dialog(&screen);
        let stopped = self.rules.stopped.as_ref();
        self.stops.look(stopped.map_or(0, |pattern| pattern.find_iter(&screen).count()), now);
        let seen = self.rules.of_glass(title, &screen, self.reads);
        self.shown = self.asked_on(seen.map(|(stand, _)| stand), &screen);
        let same = matches!((&self.glass, seen), (Some((was, _, _)), Some((is, _))) if *was == is);
        if !same {
            self.glass = seen.map(|(stand, source)| (stand, source, now));
        }
        if let Some((stand, _, _)) = self.glass {
            self.worked |= stand == Stand::Busy;
            self.agreed |= self.hook.as_ref().is_some_and(|(told, _, _)| *told == stand);
        }
    }

    /// What a person is asked on the screen, whether a hook or the glass itself tells that it asks.
    fn asked_on(&self, seen: Option<Stand>, screen: &str) -> String {
        let told = self.hook.as_ref().map(|(stand, _, _)| *stand);
        let asks = [seen, told].into_iter().flatten().find(|stand| stand.needs_a_person());
        let text = asks.map(|stand| self.rules.shown(stand, screen)).unwrap_or_default();
        // While it is drawn again, what it has shown still holds.
        if text.is_empty() && asks.is_some() { self.shown.clone() } else { text }
    }

    /// When the screen last came to say that a person has stopped a turn; 0: never.
    pub fn stopped_ms(&self) -> u64 {
        self.stops.at_ms
    }

    fn look_for_dialog(&mut self, screen: &str) {
        let found = self.rules.dialog(screen);
        self.dialog = match (found, self.dialog.take()) {
            (Some(rule), Some(open)) if open.what == rule.what => Some(open),
            (Some(rule), _) => {
                Some(Open { what: rule.what.clone(), answer: rule.answer.clone(), answered: false })
            }
            (None, _) => None,
        };
    }

    /// The keys that answer the dialog on the screen, where the person has configured that; once
    /// for each dialog that comes.
    pub fn answer(&mut self) -> Option<Vec<u8>> {
        let open = self.dialog.as_mut().filter(|open| !open.answered && !open.answer.is_empty())?;
        open.answered = true;
        Some(open.answer.clone())
    }

    /// Whether it has worked since it started.
    pub fn has_worked(&self) -> bool {
        self.worked
    }

    /// How it stands now.
    pub fn sight(&self, now: u64) -> Sight {
        let sight = |stand, source, text: &str| Sight { stand, source, text: text.to_owned() };
        if let Some(open) = &self.dialog {
            return sight(Stand::Dialog, "screen", &open.what);
        }
        match (&self.hook, self.glass) {
            (Some((told, text, _)), _) if !self.is_contradicted(now) => {
                let text = if told.needs_a_person() && text.is_empty() { &self.shown } else { text };
                sight(self.rested(*told), "hook", text)
            }
            (_, Some((stand, source, since))) => {
                if stand.takes_a_prompt() && self.hook.is_none() && now < since + CALM_MS {
                    return if self.worked {
                        sight(Stand::Busy, source, "")
                    } else {
                        sight(Stand::Starting, "start", "")
                    };
                }
                let text = if stand.needs_a_person() { self.shown.as_str() } else { "" };
                sight(self.rested(stand), source, text)
            }
            (_, None) if self.worked => sight(Stand::Busy, "screen", ""),
            (_, None) => sight(Stand::Starting, "start", ""),
        }
    }

    /// What waits after work has ended a turn.
    fn rested(&self, stand: Stand) -> Stand {
        if stand == Stand::Ready && self.worked { Stand::Idle } else { stand }
    }

    /// Whether the glass shows for long enough what the last hook does not know.
    fn is_contradicted(&self, now: u64) -> bool {
        let (Some((told, _, at)), Some((shown, _, since))) = (&self.hook, self.glass) else { return false };
        // Between "asks" and "waits" a title makes no difference: only a question that was seen there
        // and has gone was answered, or given up.
        let gave_up = !(told.needs_a_person() && shown.takes_a_prompt()) || self.agreed;
        now >= settled(*at, since) && self.rested(shown) != self.rested(*told) && gave_up
    }

    /// When the answer may change without anything new; none: not before something comes.
    pub fn due(&self, now: u64) -> Option<u64> {
        let (_, _, since) = self.glass?;
        let due = self.hook.as_ref().map_or(since + CALM_MS, |(_, _, at)| settled(*at, since));
        Some(due).filter(|due| *due > now)
    }
}

/// From when on the glass, which shows the same since then, counts against the hook of that time.
fn settled(hook: u64, since: u64) -> u64 {
    if since > hook { since + SETTLE_MS } else { hook + LATE_MS }
}

/// The lower end of what is on the screen, without its empty lines.
fn lower(lines: &[String]) -> String {
    let full: Vec<&str> = lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()).collect();
    full[full.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
#[path = "signals_recorded.rs"]
mod recorded;
#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules() -> SignalRules {
        let keys = |events: &[&str], title: &str, screen: &str| SignalKeys {
            events: events.iter().map(ToString::to_string).collect(),
            title: title.to_owned(),
            screen: screen.to_owned(),
            reads: None,
            text: "what".to_owned(),
            ..SignalKeys::default()
        };
        SignalRules::new(&ScreenKeys {
            ready: keys(&["is=start"], "^ready", "^> "),
            busy: keys(&["is=prompt", "is=tool"], "^busy", ""),
            blocked: keys(&["is=permission"], "", "Do you want"),
            retrying: keys(&[], "", "Retrying in"),
            idle: keys(&["is=stop"], "", ""),
            dialogs: vec![Dialog {
                pattern: "trust this".to_owned(),
                what: "whether it may trust the folder".to_owned(),
                answer: vec!["Enter".to_owned()],
            }],
            ..ScreenKeys::default()
        })
        .unwrap()
    }

    fn watch() -> Watch {
        Watch::new(rules())
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(ToString::to_string).collect()
    }

    fn stands(watch: &Watch, now: u64) -> (Stand, &'static str) {
        let sight = watch.sight(now);
        (sight.stand, sight.source)
    }

    #[test]
    fn a_turn_by_hooks() {
        let mut watch = watch();
        assert_eq!(stands(&watch, 0), (Stand::Starting, "start"));
        watch.hook(&json!({"is": "start"}), 10);
        assert_eq!(stands(&watch, 10), (Stand::Ready, "hook"));
        watch.hook(&json!({"is": "prompt"}), 20);
        watch.hook(&json!({"is": "other"}), 21);
        assert_eq!(stands(&watch, 21), (Stand::Busy, "hook"));
        watch.hook(&json!({"is": "permission", "what": "rm\n-rf \u{1b}[1m/"}), 30);
        assert_eq!(watch.sight(30).text, "rm -rf /");
        assert_eq!(stands(&watch, 30), (Stand::Permission, "hook"));
        watch.hook(&json!({"is": "stop"}), 40);
        assert_eq!(stands(&watch, 40), (Stand::Idle, "hook"));
    }

    #[test]
    fn without_hooks_the_title_and_the_screen_tell_and_rest_has_to_last() {
        let mut watch = watch();
        watch.glass("ready", &lines("> "), 100);
        assert_eq!(stands(&watch, 100), (Stand::Starting, "start"));
        assert_eq!(watch.due(100), Some(100 + CALM_MS));
        assert_eq!(stands(&watch, 100 + CALM_MS), (Stand::Ready, "title"));
        watch.glass("busy", &lines("> "), 3_000);
        assert_eq!(stands(&watch, 3_000), (Stand::Busy, "title"));
        watch.glass("ready", &lines("> "), 3_100);
        assert_eq!(stands(&watch, 3_200), (Stand::Busy, "title"));
        watch.glass("ready", &lines("Do you want to run this?\n> "), 3_300);
        assert_eq!(stands(&watch, 3_300), (Stand::Permission, "screen"));
        watch.glass("ready", &lines("> "), 3_400);
        assert_eq!(stands(&watch, 3_400 + CALM_MS), (Stand::Idle, "title"));
    }

    #[test]
    fn what_a_hook_does_not_tell_is_seen_after_a_while() {
        let mut watch = watch();
        watch.hook(&json!({"is": "prompt"}), 10);
        watch.glass("busy", &lines(""), 20);
        // Interrupted: no hook comes.
        watch.glass("ready", &lines("> "), 500);
        assert_eq!(stands(&watch, 600), (Stand::Busy, "hook"));
        assert_eq!(stands(&watch, 500 + SETTLE_MS), (Stand::Idle, "title"));
        watch.hook(&json!({"is": "prompt"}), 9_000);
        watch.glass("busy", &lines("Retrying in 3s"), 9_100);
        assert_eq!(stands(&watch, 9_100 + SETTLE_MS), (Stand::Retrying, "screen"));
    }

    #[test]
    fn a_hook_that_comes_after_the_screen_has_changed_does_not_hold_it_for_good() {
        let mut watch = watch();
        watch.glass("busy", &lines(""), 10);
        watch.glass("ready", &lines("> "), 20);
        watch.hook(&json!({"is": "tool"}), 30);
        assert_eq!(watch.due(30), Some(30 + LATE_MS));
        assert_eq!(stands(&watch, 29 + LATE_MS), (Stand::Busy, "hook"));
        assert_eq!(stands(&watch, 30 + LATE_MS), (Stand::Idle, "title"));
    }

    #[test]
    fn a_title_that_knows_no_questions_does_not_answer_one() {
        let mut watch = watch();
        watch.hook(&json!({"is": "tool"}), 10);
        watch.hook(&json!({"is": "permission"}), 20);
        watch.glass("ready", &lines(""), 30);
        assert_eq!(stands(&watch, 90_000), (Stand::Permission, "hook"));
        // Here it was seen, and is gone.
        watch.glass("ready", &lines("Do you want to?"), 91_000);
        watch.glass("ready", &lines("> "), 95_000);
        assert_eq!(stands(&watch, 95_000 + SETTLE_MS), (Stand::Idle, "title"));
    }

    #[test]
    fn a_dialog_goes_before_everything_and_is_answered_once() {
        let mut watch = watch();
        watch.hook(&json!({"is": "start"}), 10);
        watch.glass("ready", &lines("Do you trust this folder?\n> 1. Yes"), 20);
        assert_eq!(stands(&watch, 20), (Stand::Dialog, "screen"));
        assert_eq!(watch.answer().unwrap(), b"\r");
        assert_eq!(watch.answer(), None);
        watch.glass("ready", &lines("> "), 30);
        assert_eq!(stands(&watch, 30), (Stand::Ready, "hook"));
    }

    /// Of a program that prints lines, and reads them with marks around pasted texts.
    fn watch_of_lines() -> Watch {
        let keys =
            |reads, screen: &str| SignalKeys { reads, screen: screen.to_owned(), ..SignalKeys::default() };
        let rules = SignalRules::new(&ScreenKeys {
            ready: keys(Some(true), ""),
            busy: keys(Some(false), ""),
            blocked: keys(Some(true), "May I\\?\\z"),
            ..ScreenKeys::default()
        });
        Watch::new(rules.unwrap())
    }

    fn shows(watch: &mut Watch, now: bool, taken: u64, screen: &str, at: u64) -> (Stand, bool) {
        let took = watch.lines_read(Reads { now, taken });
        watch.glass("", &lines(screen), at);
        (watch.sight(at + CALM_MS).stand, took)
    }

    #[test]
    fn what_was_asked_stays_on_the_screen_and_the_line_that_is_read_tells() {
        let mut watch = watch_of_lines();
        assert_eq!(shows(&mut watch, false, 0, "Welcome", 1), (Stand::Starting, false));
        assert_eq!(shows(&mut watch, true, 0, "Welcome\n> ", 10_000), (Stand::Ready, false));
        assert_eq!(shows(&mut watch, false, 1, "> do it", 20_000), (Stand::Busy, true));
        assert_eq!(shows(&mut watch, true, 1, "> do it\nMay I?", 30_000), (Stand::Permission, false));
        assert_eq!(shows(&mut watch, false, 2, "> do it\nMay I?", 40_000), (Stand::Busy, true));
        assert_eq!(shows(&mut watch, true, 2, "> do it\nMay I?\n> ", 50_000), (Stand::Idle, false));
        // A whole turn between two looks.
        assert_eq!(shows(&mut watch, true, 3, "> again\n> ", 60_000), (Stand::Idle, true));
    }

    #[test]
    fn a_screen_that_is_drawn_anew_has_read_no_line() {
        let mut watch = watch_of_lines();
        assert_eq!(shows(&mut watch, true, 0, "> ", 1), (Stand::Ready, false));
        watch.drawn_anew(Reads { now: false, taken: 1 });
        assert_eq!(shows(&mut watch, true, 1, "> ", 500), (Stand::Ready, false));
    }

    #[test]
    fn what_models_say_further_up_is_not_looked_at() {
        let mut watch = watch();
        let text = format!("Do you want to know?\n{}> ", "a line\n".repeat(LINES));
        watch.glass("busy", &lines(&text), 10);
        assert_eq!(stands(&watch, 10), (Stand::Busy, "title"));
    }
}
