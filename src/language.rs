//! The languages of messages to players, negotiated per request (RFC 9110 §12.5.4).
//!
//! Every message is written in both languages side by side, next to the code that decides on it,
//! and chosen by [`Language::select`]:
//!
//! | message | place |
//! |---|---|
//! | error of a request | `http/error/code.rs`, one row per code |
//! | error of a field | `validate.rs` |
//! | reason for a rejected video | `media/input/rules.rs` |
//! | reason for a video that failed otherwise | `videos/failure.rs` |
//! | success | the handler, `http::respond::Message` |

/// A language for messages to players. Spanish unless the client asks for English.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// Colombian Spanish.
    #[default]
    Spanish,
    English,
}

impl Language {
    /// Returns the supported language with the highest weight in an `Accept-Language` header, the
    /// first one on a tie, or Spanish if the header names neither.
    pub fn from_accept(header: &str) -> Self {
        let mut best = (0.0, Self::default());
        for range in header.split(',') {
            let (tag, weight) = match range.split_once(';') {
                None => (range, 1.0),
                Some((tag, parameter)) => {
                    let weight = parameter.trim().strip_prefix("q=").map(str::parse::<f32>);
                    (tag, weight.and_then(Result::ok).unwrap_or(0.0))
                }
            };
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let language = match primary.to_ascii_lowercase().as_str() {
                "en" => Self::English,
                "es" | "*" => Self::Spanish,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// Returns the text in this language.
    pub fn select<T>(self, spanish: T, english: T) -> T {
        match self {
            Self::Spanish => spanish,
            Self::English => english,
        }
    }

    /// Returns the tag for `Content-Language`.
    pub fn tag(self) -> &'static str {
        self.select("es-CO", "en")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_language_with_highest_weight_wins() {
        for (header, expected) in [
            ("", Language::Spanish),
            ("fr", Language::Spanish),
            ("en", Language::English),
            ("en-US,en;q=0.9,es;q=0.8", Language::English),
            ("es-CO, en;q=0.5", Language::Spanish),
            ("es;q=0.2, en;q=0.7", Language::English),
            ("en;q=0", Language::Spanish),
            ("en;q=x, es", Language::Spanish),
        ] {
            assert_eq!(Language::from_accept(header), expected, "{header}");
        }
    }
}
