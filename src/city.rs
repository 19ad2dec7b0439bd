//! Normalizes city names for comparison in filters, without case, accents and punctuation.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Returns the words of `name` in lower case without accents, joined by one space:
/// `Bogotá D.C.` becomes `bogota d c`.
pub fn fold(name: &str) -> String {
    let plain = name.nfkd().filter(|&letter| !is_combining_mark(letter));
    let lower: String = plain.flat_map(char::to_lowercase).collect();
    let words = lower.split(|letter: char| !letter.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_city_are_equal() {
        for (name, folded) in [
            ("Bogotá D.C.", "bogota d c"),
            ("BOGOTA,  d.c", "bogota d c"),
            ("Medellín", "medellin"),
            ("Itagüí", "itagui"),
            ("Peñol", "penol"),
            (" - ", ""),
        ] {
            assert_eq!(fold(name), folded);
        }
    }
}
