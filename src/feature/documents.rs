//! The documents beside the three that are read: they are offered to a prompt by path alone.

/// A document that may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// A file, relative to the feature directory.
    FeatureFile(&'static str),
    /// A directory, relative to the feature directory.
    FeatureDirectory(&'static str),
    /// A file, relative to the root of the repository.
    RepositoryFile(&'static str),
}

/// All of them, in the order in which a prompt names them.
pub const COMPANIONS: [Companion; 5] = [
    Companion::FeatureFile("research.md"),
    Companion::FeatureFile("data-model.md"),
    Companion::FeatureDirectory("contracts"),
    Companion::FeatureFile("quickstart.md"),
    Companion::RepositoryFile(".specify/memory/constitution.md"),
];
