//! Secrets in what programs and people say, replaced before it is kept, shown or told to a model.
//!
//! Only what is surely one: the forms that their makers gave them, and the values of the person's own
//! variables whose names say so. A hash, an id or an image is left alone. Nothing here reads a file or
//! an environment; what a process knows of its person's secrets it is told by [`know`].

mod forms;
mod known;
mod lines;
#[cfg(test)]
mod tests;

pub use forms::{all, first};
pub use known::{bytes, in_place, know, text};
pub use lines::Lines;
