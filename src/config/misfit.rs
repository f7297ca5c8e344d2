//! Values that are right by themselves and do not fit the repository: reported where a person
//! wrote them. What fits, others know; this knows the places.

use super::load::{Layer, merged};
use super::problem::{ConfigErrors, Problem};
use super::tree::{Node, Value};

/// One such value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Section and key.
    pub key: [&'static str; 2],
    /// The text; in a list, the item.
    pub text: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// The problems at their places in the layers, in the order in which they were found.
pub fn misfits(layers: &[Layer], found: &[Misfit]) -> ConfigErrors {
    let root = merged(layers);
    ConfigErrors { problems: found.iter().map(|misfit| placed(&root, misfit)).collect() }
}

fn placed(root: &Node, misfit: &Misfit) -> Problem {
    let node = root.at(&misfit.key).unwrap_or(root);
    let says = |node: &&Node| node.as_text() == Some(misfit.text.as_str());
    let item = match &node.value {
        Value::List(items) => items.iter().find(says),
        _ => None,
    };
    item.unwrap_or(node).problem(&misfit.key.join("."), misfit.message.clone())
}
