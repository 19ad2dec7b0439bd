//! Why a video is rejected, and how that is explained to the player.

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// Maximum frames per second; phones reach 240.
pub const MAX_RATE: u64 = 250;

/// Why a video is rejected. Rejections are permanent; a retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Rejection {
    TooShort {
        seconds: u64,
        min_seconds: u32,
    },
    TooLong {
        seconds: u64,
        max_seconds: u32,
    },
    /// Lines of the shorter side of the upright picture.
    LowResolution {
        lines: u32,
        min_lines: u32,
    },
    /// Its first bytes are not those of an MP4 or MOV video. The upload reports this, too.
    NotAnMp4,
    NotAVideo,
    Corrupt,
    /// A codec by the name that people know; empty if it has none.
    UnsupportedCodec {
        codec: String,
    },
    TooComplex,
}

impl Rejection {
    /// Returns the stable code, as in the JSON form.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::LowResolution { .. } => "low_resolution",
            Self::NotAnMp4 => "not_an_mp4",
            Self::NotAVideo => "not_a_video",
            Self::Corrupt => "corrupt",
            Self::UnsupportedCodec { .. } => "unsupported_codec",
            Self::TooComplex => "too_complex",
        }
    }

    /// Returns a sentence that explains to the player what is wrong and what to do.
    pub fn message(&self, language: Language) -> String {
        language.select::<fn(&Self) -> String>(Self::spanish, Self::english)(self)
    }

    fn spanish(&self) -> String {
        match self {
            Self::TooShort {
                seconds,
                min_seconds,
            } => {
                format!("El video dura {seconds} s; debe durar al menos {min_seconds} s.")
            }
            Self::TooLong {
                seconds,
                max_seconds,
            } => format!(
                "El video dura {seconds} s; debe durar como máximo {max_seconds} s. Recórtalo y súbelo de nuevo."
            ),
            Self::LowResolution { lines, min_lines } => format!(
                "El video tiene {lines} líneas; debe tener al menos {min_lines}. Grábalo o expórtalo con más resolución."
            ),
            Self::NotAnMp4 => {
                "El archivo no es un video MP4. Expórtalo como MP4 y súbelo de nuevo.".into()
            }
            Self::NotAVideo => {
                "El archivo no contiene un video. Sube un MP4 grabado con tu cámara o celular."
                    .into()
            }
            Self::Corrupt => {
                "El archivo está dañado o incompleto. Expórtalo o súbelo de nuevo.".into()
            }
            Self::UnsupportedCodec { codec } if codec.is_empty() => {
                "El formato de este video no se admite. Expórtalo como MP4 con H.264 o HEVC.".into()
            }
            Self::UnsupportedCodec { codec } => format!(
                "El formato de video «{codec}» no se admite. Expórtalo como MP4 con H.264 o HEVC."
            ),
            Self::TooComplex => format!(
                "El video supera lo que podemos procesar. Usa como máximo resolución 4K y {MAX_RATE} cuadros por segundo, y una sola pista de video."
            ),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::TooShort {
                seconds,
                min_seconds,
            } => {
                format!("The video lasts {seconds} s; it must last at least {min_seconds} s.")
            }
            Self::TooLong {
                seconds,
                max_seconds,
            } => format!(
                "The video lasts {seconds} s; it must last at most {max_seconds} s. Trim it and upload it again."
            ),
            Self::LowResolution { lines, min_lines } => format!(
                "The video has {lines} lines; it must have at least {min_lines}. Record or export it at a higher resolution."
            ),
            Self::NotAnMp4 => {
                "The file is not an MP4 video. Export it as MP4 and upload it again.".into()
            }
            Self::NotAVideo => {
                "The file contains no video. Upload an MP4 recorded with your camera or phone."
                    .into()
            }
            Self::Corrupt => {
                "The file is damaged or incomplete. Export it or upload it again.".into()
            }
            Self::UnsupportedCodec { codec } if codec.is_empty() => {
                "The format of this video is not supported. Export it as MP4 with H.264 or HEVC."
                    .into()
            }
            Self::UnsupportedCodec { codec } => format!(
                "The video format “{codec}” is not supported. Export it as MP4 with H.264 or HEVC."
            ),
            Self::TooComplex => format!(
                "The video is more than we can process. Use at most 4K and {MAX_RATE} frames per second, and a single video track."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_contains_the_code_and_round_trips() {
        let refusal = Rejection::TooShort {
            seconds: 12,
            min_seconds: 20,
        };
        let json = serde_json::to_string(&refusal).unwrap();
        assert_eq!(
            json,
            r#"{"code":"too_short","seconds":12,"min_seconds":20}"#
        );
        assert_eq!(serde_json::from_str::<Rejection>(&json).unwrap(), refusal);
        assert_eq!(
            refusal.message(Language::Spanish),
            "El video dura 12 s; debe durar al menos 20 s."
        );
    }

    #[test]
    fn every_code_equals_its_json_tag() {
        for refusal in [
            Rejection::TooShort {
                seconds: 1,
                min_seconds: 2,
            },
            Rejection::TooLong {
                seconds: 2,
                max_seconds: 1,
            },
            Rejection::LowResolution {
                lines: 1,
                min_lines: 2,
            },
            Rejection::NotAnMp4,
            Rejection::NotAVideo,
            Rejection::Corrupt,
            Rejection::UnsupportedCodec {
                codec: "svq3".into(),
            },
            Rejection::TooComplex,
        ] {
            let json = serde_json::to_value(&refusal).unwrap();
            assert_eq!(json["code"], refusal.code());
            assert!(refusal.message(Language::English).ends_with('.'));
        }
    }
}
