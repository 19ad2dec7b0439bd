//! Normalization of user input and detection of invisible characters.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeEmoji as _, UnicodeGeneralCategory as _};

/// Maximum combining marks per letter. Hebrew with points and accents needs four; more overlap the
/// adjacent lines.
const MAX_MARKS: usize = 4;

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

/// The first character of regional flags such as Scotland's (UTS #51 §C.1.1).
const BLACK_FLAG: char = '\u{1f3f4}';

/// Returns `text` in composed form (NFC, UAX #15), without leading and trailing whitespace and
/// invisible characters.
pub fn normal(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.trim_matches(is_blank).to_owned()
}

/// Returns a text of several lines as one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether all of a normalized line is visible. It may not contain control characters, line
/// separators, invisible or bidirectional controls (UTR #36 §2.10.5) or stacks of combining marks.
/// Joiners are allowed where they change the shape of a word or an emoji, since Persian, Indic
/// scripts and emoji families need them (UAX #31 §2.3, RFC 5892 appendix A).
pub fn is_readable(text: &str) -> bool {
    let mut before = None;
    let mut marks = 0;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        marks = if is_mark(letter) { marks + 1 } else { 0 };
        let is_allowed = match letter {
            ZWNJ | ZWJ => before.is_some_and(|before| joins(before, letter, letters.peek())),
            // Variation selectors, which change the appearance of the preceding character.
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
                before.is_some_and(|before| !is_invisible(before) && !is_selector(before))
            }
            '\u{e0020}'..='\u{e007f}' => {
                before.is_some_and(|before| before == BLACK_FLAG || is_tag(before))
            }
            _ if is_mark(letter) => before.is_some() && marks <= MAX_MARKS && !is_invisible(letter),
            _ => !is_invisible(letter),
        };
        if !is_allowed {
            return false;
        }
        before = Some(letter);
    }
    true
}

/// Returns whether a joiner has an effect between two characters.
fn joins(before: char, joiner: char, after: Option<&char>) -> bool {
    let after = after.copied();
    let is_picture = |letter: char| letter.is_emoji_char() && !letter.is_ascii();
    if joiner == ZWJ && (is_picture(before) || is_selector(before)) {
        return after.is_some_and(is_picture);
    }
    // After a virama, a joiner may also end a word, as in Malayalam.
    let is_virama = is_mark(before) && shapes_words(before);
    is_virama || (shapes_words(before) && after.is_some_and(shapes_words))
}

/// Returns whether adjacent letters of the character's script change shape. Covers Arabic to N'Ko,
/// Devanagari to Sinhala, Tibetan and Myanmar, Khmer and Mongolian, and Arabic presentation forms.
fn shapes_words(letter: char) -> bool {
    matches!(letter,
        '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}'
        | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

fn is_mark(letter: char) -> bool {
    !is_selector(letter)
        && matches!(
            letter.general_category(),
            GeneralCategory::NonspacingMark
                | GeneralCategory::EnclosingMark
                | GeneralCategory::SpacingMark
        )
}

fn is_selector(letter: char) -> bool {
    matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_tag(letter: char) -> bool {
    matches!(letter, '\u{e0020}'..='\u{e007f}')
}

/// Returns whether a character is invisible at the start or end of a text.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '\u{ad}' | '\u{200b}' | ZWNJ | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{feff}'
        )
}

/// Returns whether a character is a control, has no glyph, or is for private use.
fn is_invisible(letter: char) -> bool {
    let has_no_glyph = matches!(
        letter,
        // Grapheme joiner, fillers, vowels and selectors without a glyph, blank Braille pattern.
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'
            ..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
    );
    has_no_glyph
        || matches!(
            letter.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Surrogate
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_titles_in_many_scripts_are_readable() {
        for text in [
            "José Ángel Muñoz-Núñez",
            "Nguyễn Thị Ánh Tuyết",
            "Seán O’Brien",
            "Þórður Bjarnason",
            "Adébáyọ̀ Ọlátúnjí",
            "Łukasz Żółć",
            "Αλέξανδρος Παπαδόπουλος",
            "Ольга Щёголева",
            "محمد الأمين",
            "فاطِمَة الزَّهْرَاء",
            // Persian, with a non-joiner inside a word.
            "می\u{200c}خواهم بازی کنم",
            "יוסף כהן",
            "בְּרֵאשִׁ֖ית",
            "लक्ष्मी शर्मा",
            "क्\u{200d}ष अभ्यास",
            "শ্রীকৃষ্ণ চট্টোপাধ্যায়",
            "தமிழ்ச்செல்வன்",
            "ශ්\u{200d}රී ලංකා",
            // Malayalam, with a joiner at the end of a word, as before Unicode 5.1.
            "അവന്\u{200d}",
            "สมชาย น้ำผึ้ง",
            "བསྒྲུབས་པ།",
            "မြန်မာ ကျော်",
            "ភាសាខ្មែរ",
            "李小龍",
            "葛\u{e0100}飾区",
            "김철수",
            "さくら ももこ",
            "አበበ ቢቂላ",
            "🏀 ¡Triple desde media cancha! 🔥",
            "Mi familia 👨\u{200d}👩\u{200d}👧\u{200d}👦 y yo",
            "❤\u{fe0f}\u{200d}🔥 👩🏽\u{200d}⚕\u{fe0f} 🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3} 🇨🇴 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        ] {
            let normal = normal(text);
            assert!(is_readable(&normal), "{text}");
            assert_eq!(super::normal(&normal), normal, "{text}");
        }
    }

    #[test]
    fn invisible_characters_are_rejected() {
        for text in [
            "a\0b",
            "a\tb",
            "a\nb",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{200b}b",
            "a\u{200e}b",
            "a\u{202e}b",
            "\u{202e}ab",
            "a\u{2066}b\u{2069}",
            "a\u{61c}b",
            "a\u{2060}b",
            "a\u{2063}b",
            "a\u{ad}b",
            "a\u{feff}b",
            "a\u{fff9}b",
            "a\u{200c}b",
            "a\u{200d}b",
            "\u{200d}अ",
            "می\u{200c}\u{200c}خ",
            "م\u{200c}a",
            "👨\u{200d}a",
            "a\u{e0061}b",
            "a\u{fe0f}\u{fe0f}",
            "\u{fe0f}a",
            "a\u{3164}b",
            "a\u{115f}b",
            "a\u{2800}b",
            "a\u{34f}b",
            "a\u{e000}b",
            "\u{301}a",
            "Z\u{336}\u{337}\u{338}\u{334}\u{335}algo",
        ] {
            assert!(!is_readable(&normal(text)), "{text:?}");
        }
    }

    #[test]
    fn visually_identical_texts_are_equal() {
        assert_eq!(normal(" \u{200b}Jose\u{301}\u{feff} "), "José");
        assert_eq!(normal("\u{200e}ana@example.com\u{200b}"), "ana@example.com");
        assert_eq!(normal("\u{3000}\u{a0}"), "");
    }
}
