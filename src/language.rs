//! The two languages in which players are spoken to. Everything else is English.

/// The language of a message for a player.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Spanish of Colombia, the language of the contest.
    #[default]
    Spanish,
    /// For who asks for it.
    English,
}
