//! Which events of a stream are meant, and where in them something is: the little language of
//! adapter files. `type=item.completed item.type!=error` are conditions that must all hold, `^=` asks
//! how a text begins (`!^=`: how it does not), a path alone holds where something is there that is not empty. In a path a number is a place in a
//! list, and `-1` its last one. Pure.

use serde_json::Value;

/// Conditions on an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    path: Path,
    holds: Holds,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Holds {
    Is(String),
    IsNot(String),
    Begins(String),
    BeginsNot(String),
    IsThere,
}

/// A place in an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<String>);

/// Why a text of an adapter file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` is no condition; write `path=value`, `path!=value`, `path^=value` or a path alone, such as `type=result`"
)]
pub struct BadSelector {
    /// The part that is wrong.
    pub word: String,
}

impl When {
    /// Reads conditions, with spaces between them; none at all never hold.
    ///
    /// # Errors
    /// [`BadSelector`].
    pub fn parse(text: &str) -> Result<Self, BadSelector> {
        let conditions = text.split_whitespace().map(|word| {
            let (path, holds) = if let Some((path, value)) = word.split_once("!^=") {
                (path, Holds::BeginsNot(value.to_owned()))
            } else if let Some((path, value)) = word.split_once("!=") {
                (path, Holds::IsNot(value.to_owned()))
            } else if let Some((path, value)) = word.split_once("^=") {
                (path, Holds::Begins(value.to_owned()))
            } else if let Some((path, value)) = word.split_once('=') {
                (path, Holds::Is(value.to_owned()))
            } else {
                (word, Holds::IsThere)
            };
            let path = Path::parse(path).ok().filter(|path| !path.0.is_empty());
            let path = path.ok_or_else(|| BadSelector { word: word.to_owned() })?;
            Ok(Condition { path, holds })
        });
        conditions.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are no conditions.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of them hold.
    pub fn holds(&self, event: &Value) -> bool {
        !self.is_empty() && self.0.iter().all(|condition| condition.holds(event))
    }
}

impl Condition {
    fn holds(&self, event: &Value) -> bool {
        let found = self.path.find(event);
        match &self.holds {
            Holds::Is(value) => found.is_some_and(|found| text_of(found) == *value),
            Holds::IsNot(value) => found.is_none_or(|found| text_of(found) != *value),
            Holds::Begins(value) => found.is_some_and(|found| text_of(found).starts_with(value)),
            Holds::BeginsNot(value) => found.is_none_or(|found| !text_of(found).starts_with(value)),
            Holds::IsThere => found.is_some_and(|found| !is_empty(found)),
        }
    }
}

impl Path {
    /// Reads `a.b.0`; the empty path is the event itself.
    ///
    /// # Errors
    /// [`BadSelector`].
    pub fn parse(text: &str) -> Result<Self, BadSelector> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let fine =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if parts.iter().all(|part| fine(part)) {
            Ok(Self(parts))
        } else {
            Err(BadSelector { word: text.to_owned() })
        }
    }

    /// What is there; nothing for the empty path.
    pub fn find<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        if self.0.is_empty() {
            return None;
        }
        self.0.iter().try_fold(event, |value, part| match value {
            Value::Object(map) => map.get(part),
            Value::Array(list) if part == "-1" => list.last(),
            Value::Array(list) => list.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// What is there as text; empty where nothing is.
    pub fn text(&self, event: &Value) -> String {
        self.find(event).filter(|found| !found.is_null()).map(text_of).unwrap_or_default()
    }

    /// What is there as a whole number; none for what is negative or no number.
    pub fn count(&self, event: &Value) -> Option<u64> {
        self.find(event)?.as_u64()
    }

    /// What is there as a number of money.
    pub fn money(&self, event: &Value) -> Option<f64> {
        self.find(event)?.as_f64().filter(|money| money.is_finite() && *money >= 0.0)
    }
}

/// A text as it is, everything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn holds(when: &str, event: &Value) -> bool {
        When::parse(when).unwrap().holds(event)
    }

    #[test]
    fn conditions_are_all_to_hold() {
        let event = json!({"type": "result", "ok": true, "denied": [], "list": [{"n": 7}]});
        for when in [
            "type=result",
            "type=result ok=true",
            "ok",
            "type!=x",
            "type^=res",
            "type!^=x",
            "gone!=1",
            "list.0.n=7",
            "list.-1.n=7",
        ] {
            assert!(holds(when, &event), "{when}");
        }
        for when in
            ["", "type=x", "type=result ok=false", "denied", "gone", "list.1.n", "type.deeper=1", "type!^=re"]
        {
            assert!(!holds(when, &event), "{when}");
        }
    }

    #[test]
    fn places_and_numbers() {
        let event = json!({"usage": {"in": 12, "cost": 0.5, "bad": -1}, "say": "hi", "tool": {"a": 1}});
        let path = |text: &str| Path::parse(text).unwrap();
        assert_eq!(path("usage.in").count(&event), Some(12));
        assert_eq!(path("usage.bad").count(&event), None);
        assert_eq!((path("usage.cost").money(&event), path("usage.bad").money(&event)), (Some(0.5), None));
        assert_eq!((path("say").text(&event), path("tool").text(&event)), ("hi".into(), "{\"a\":1}".into()));
        assert_eq!((path("").find(&event), path("no").text(&event)), (None, String::new()));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["a..b=1", "=1", "a b!c", ".", "a.=x"] {
            assert!(When::parse(text).is_err(), "{text}");
        }
        assert!(Path::parse("a b").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(when in "\\PC{0,30}", text in "\\PC{0,30}") {
            if let Ok(when) = When::parse(&when) {
                let _ = when.holds(&json!({ "type": text, "n": [1, {"a": null}] }));
            }
        }
    }
}
