//! Why somebody reports a clip.

/// Why somebody reports a clip. The names are part of the published contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A telephone number, an address or the like can be seen or heard.
    PersonalData,
    /// Somebody appears without permission.
    OtherPerson,
    /// Violence, or something dangerous.
    Violence,
    /// Sexual content.
    Sexual,
    /// It insults people or discriminates against them.
    Hate,
    /// It shows no basketball.
    NotBasketball,
    Other,
}

impl Reason {
    /// Every reason, in the order in which people choose.
    pub const ALL: [Self; 7] = [
        Self::PersonalData,
        Self::OtherPerson,
        Self::Violence,
        Self::Sexual,
        Self::Hate,
        Self::NotBasketball,
        Self::Other,
    ];

    /// Returns the stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::PersonalData => "personal_data",
            Self::OtherPerson => "other_person",
            Self::Violence => "violence",
            Self::Sexual => "sexual",
            Self::Hate => "hate",
            Self::NotBasketball => "not_basketball",
            Self::Other => "other",
        }
    }

    /// Returns the reason with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}
