//! Which step of a scenario a conversation has come to. Everything is read back from the
//! conversation itself, but how often a fault was met, which no conversation shows.

use std::collections::BTreeMap;

use super::conversation::{Answer, Call, Conversation, Turn, call_id};
use super::scenario::{Kind, Rule, Scenario, Step};
use super::tools;

/// Messages of users whose faults are counted; a scenario has a few.
const COUNTED_MAX: usize = 10_000;

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Answer(Answer),
    Fault(Kind),
    /// The scenario wants what this program cannot do.
    Impossible(String),
}

/// How often each fault was met: rule, step, message.
#[derive(Debug, Default)]
pub(super) struct Met(BTreeMap<(usize, usize, String), u32>);

impl Met {
    /// Whether the fault is still there; counts it.
    fn again(&mut self, rule: usize, step: usize, message: &str, times: Option<u32>) -> bool {
        let Some(times) = times else { return true };
        if self.0.len() > COUNTED_MAX {
            self.0.clear();
        }
        let met = self.0.entry((rule, step, message.to_owned())).or_default();
        *met = met.saturating_add(1);
        *met <= times
    }
}

/// The answer to the conversation.
pub(super) fn next(scenario: &Scenario, conversation: &Conversation, met: &mut Met) -> Next {
    let by_default = || Next::Answer(Answer { text: Some(scenario.default.clone()), ..Answer::default() });
    let Some(place) = place(scenario, conversation) else { return by_default() };
    let mut done = place.done;
    let mut said = Vec::new();
    for (index, step) in place.rule.steps.iter().enumerate() {
        match step {
            Step::Say(text) if done == 0 => said.push(text.as_str()),
            Step::Say(_) => {}
            Step::Fault(fault) => {
                // What was called after the fault shows that it has gone away.
                if done == 0 && met.again(place.index, index, place.message, fault.times) {
                    return Next::Fault(fault.kind.clone());
                }
            }
            Step::Bash(_) | Step::Read(_) | Step::Write { .. } | Step::Call { .. } if done > 0 => done -= 1,
            Step::Bash(_) | Step::Read(_) | Step::Write { .. } | Step::Call { .. } => {
                return match tools::call_for(step, conversation) {
                    Ok((tool, arguments)) => {
                        let call = Call { id: call_id(conversation.calls() + 1), tool, arguments };
                        let text = (!said.is_empty()).then(|| said.join("\n"));
                        Next::Answer(Answer { text, call: Some(call), refused: false })
                    }
                    Err(why) => Next::Impossible(why),
                };
            }
        }
    }
    if said.is_empty() {
        let last = place.rule.steps.iter().rev().find_map(|step| match step {
            Step::Say(text) => Some(text.as_str()),
            _ => None,
        });
        said.push(last.unwrap_or(&scenario.default));
    }
    Next::Answer(Answer { text: Some(said.join("\n")), ..Answer::default() })
}

/// Where a conversation is in a scenario.
struct Place<'a> {
    index: usize,
    rule: &'a Rule,
    message: &'a str,
    /// Calls of ours since the message that have their results.
    done: usize,
}

/// The last message that a rule matches decides: programs add messages of their own.
fn place<'a>(scenario: &'a Scenario, conversation: &'a Conversation) -> Option<Place<'a>> {
    let mut done = 0;
    for turn in conversation.turns.iter().rev() {
        match turn {
            Turn::Result => done += 1,
            Turn::Call => {}
            Turn::User(message) => {
                // Titles and summaries quote the user too, and nothing can be done in them.
                let fits = |rule: &Rule| rule.without_tools == conversation.tools.is_empty();
                let mut rules = scenario.rules.iter().enumerate().filter(|(_, rule)| fits(rule));
                if let Some((index, rule)) = rules.find(|(_, rule)| rule.is_about(message)) {
                    return Some(Place { index, rule, message, done });
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::conversation::Tool;
    use super::super::scenario::{bash, fault_times, http, say};
    use super::*;
    use serde_json::json;

    fn conversation(turns: Vec<Turn>) -> Conversation {
        let schema = json!({"properties": {"command": {"type": "string"}}});
        Conversation { turns, tools: vec![Tool { name: "bash".to_owned(), schema }], ..Default::default() }
    }

    fn user(text: &str) -> Turn {
        Turn::User(text.to_owned())
    }

    fn played(scenario: &Scenario, turns: Vec<Turn>) -> String {
        match next(scenario, &conversation(turns), &mut Met::default()) {
            Next::Answer(Answer { text, call, .. }) => {
                let call = call.map(|call| format!("{} {}", call.id, call.arguments["command"]));
                [text, call].into_iter().flatten().collect::<Vec<_>>().join(" | ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_step_is_read_back_from_the_conversation() {
        let scenario = Scenario::default()
            .rule("T1", [say("I look."), bash("ls"), bash("pwd"), say("Done.")])
            .rule("more", [bash("date"), say("Again.")]);
        let turns = || vec![user("work on T1"), user("<environment>")];
        assert_eq!(played(&scenario, turns()), "I look. | call_standin_1 \"ls\"");
        let after = |mut turns: Vec<Turn>, calls: usize| {
            turns.extend((0..calls).flat_map(|_| [Turn::Call, Turn::Result]));
            turns
        };
        assert_eq!(played(&scenario, after(turns(), 1)), "call_standin_2 \"pwd\"");
        assert_eq!(played(&scenario, after(turns(), 2)), "Done.");
        assert_eq!(played(&scenario, after(turns(), 9)), "Done.");
        let mut resumed = after(turns(), 2);
        resumed.push(user("more"));
        assert_eq!(played(&scenario, resumed), "call_standin_3 \"date\"");
    }

    #[test]
    fn what_no_rule_knows_gets_the_default() {
        assert_eq!(played(&Scenario::default(), vec![user("hello")]), "Nothing to do.");
    }

    #[test]
    fn a_fault_goes_away_and_is_counted_for_each_message() {
        let scenario = Scenario::default().rule("T", [fault_times(http(429), 2), say("Done.")]);
        let mut met = Met::default();
        let mut at = |text: &str| match next(&scenario, &conversation(vec![user(text)]), &mut met) {
            Next::Fault(_) => "fault",
            Next::Answer(_) => "answer",
            Next::Impossible(_) => "impossible",
        };
        assert_eq!(
            [at("T1"), at("T1"), at("T2"), at("T1"), at("T2"), at("T2")],
            ["fault", "fault", "fault", "answer", "fault", "answer"]
        );
    }
}
