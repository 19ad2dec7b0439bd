//! Decides from the probe alone whether a video is accepted, and explains rejections to the player.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probe::{Probe, Video};
use crate::{config::media::RuleSettings, language::Language, media::args::MAX_PIXELS};

/// Codecs that phones and cameras record and that editing programs export.
const CODECS: [&str; 8] = [
    "h264", "hevc", "mpeg4", "h263", "vp9", "av1", "prores", "mjpeg",
];

/// A legitimate video needs a picture and a sound stream; a bomb has thousands of streams.
const MAX_STREAMS: usize = 16;

/// Maximum frames per second; phones reach 240.
const MAX_RATE: u64 = 250;

/// Minimum length of a video, regardless of the rules.
const MIN_SECONDS: u32 = 1;

/// Recorders stop a frame or two early, so 19.95 s counts as 20 s.
const TOLERANCE: Duration = Duration::from_millis(100);

/// Contest rules on the source; zero disables a rule.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub min_seconds: u32,
    pub max_seconds: u32,
    pub min_lines: u32,
}

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
    UnsupportedCodec {
        codec: String,
    },
    TooComplex,
}

impl From<RuleSettings> for Rules {
    fn from(settings: RuleSettings) -> Self {
        Self {
            min_seconds: settings.min_input_duration,
            max_seconds: settings.max_input_duration,
            min_lines: settings.min_input_height,
        }
    }
}

/// Checks a probed file against the rules. Returns the stream to show.
pub fn check(probe: &Probe, rules: Rules) -> Result<&Video, Rejection> {
    let video = probe.video.as_ref().ok_or(Rejection::NotAVideo)?;
    if !CODECS.contains(&video.codec.as_str()) {
        return Err(Rejection::UnsupportedCodec {
            codec: video.codec.clone(),
        });
    }
    if is_too_complex(probe, video) {
        return Err(Rejection::TooComplex);
    }
    if video.width == 0 || video.height == 0 || video.duration.is_zero() {
        return Err(Rejection::Corrupt);
    }
    check_length(video.duration, rules)?;
    if video.short_side() < rules.min_lines {
        return Err(Rejection::LowResolution {
            lines: video.short_side(),
            min_lines: rules.min_lines,
        });
    }
    Ok(video)
}

fn is_too_complex(probe: &Probe, video: &Video) -> bool {
    let pixels = u64::from(video.width) * u64::from(video.height);
    let allowed = MAX_RATE * u64::from(video.rate.denominator);
    probe.streams > MAX_STREAMS
        || pixels > u64::from(MAX_PIXELS)
        || u64::from(video.rate.numerator) > allowed
}

fn check_length(duration: Duration, rules: Rules) -> Result<(), Rejection> {
    let min_seconds = rules.min_seconds.max(MIN_SECONDS);
    let min = Duration::from_secs(min_seconds.into());
    let max = Duration::from_secs(rules.max_seconds.into());
    if duration + TOLERANCE < min {
        return Err(Rejection::TooShort {
            seconds: duration.as_secs(),
            min_seconds,
        });
    }
    if !max.is_zero() && duration.saturating_sub(TOLERANCE) > max {
        return Err(Rejection::TooLong {
            // Rounded up, because "60 s, at most 60 s" would be confusing.
            seconds: duration.as_secs() + u64::from(duration.subsec_nanos() > 0),
            max_seconds: rules.max_seconds,
        });
    }
    Ok(())
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
            Self::UnsupportedCodec { codec } => {
                format!(
                    "El formato de video «{codec}» no se admite. Expórtalo como MP4 con H.264 o HEVC."
                )
            }
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
            Self::UnsupportedCodec { codec } => {
                format!(
                    "The video format “{codec}” is not supported. Export it as MP4 with H.264 or HEVC."
                )
            }
            Self::TooComplex => format!(
                "The video is more than we can process. Use at most 4K and {MAX_RATE} frames per second, and a single video track."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_RULES: Rules = Rules {
        min_seconds: 0,
        max_seconds: 0,
        min_lines: 0,
    };
    const CONTEST: Rules = Rules {
        min_seconds: 20,
        max_seconds: 60,
        min_lines: 1080,
    };

    fn portrait() -> Probe {
        Probe::parse(include_bytes!("../testdata/portrait.json")).unwrap()
    }

    fn with(change: impl FnOnce(&mut Video)) -> Probe {
        let mut probe = portrait();
        change(probe.video.as_mut().unwrap());
        probe
    }

    fn lasting(millis: u64) -> Probe {
        with(|video| video.duration = Duration::from_millis(millis))
    }

    #[test]
    fn valid_video_passes_without_rules() {
        assert!(check(&portrait(), NO_RULES).is_ok());
    }

    #[test]
    fn length_rules_have_a_tolerance_of_two_frames() {
        for millis in [19_900, 20_000, 60_000, 60_100] {
            assert!(check(&lasting(millis), CONTEST).is_ok(), "{millis}");
        }
        assert_eq!(
            check(&lasting(12_400), CONTEST),
            Err(Rejection::TooShort {
                seconds: 12,
                min_seconds: 20
            })
        );
        for millis in [60_200, 61_000] {
            assert_eq!(
                check(&lasting(millis), CONTEST),
                Err(Rejection::TooLong {
                    seconds: 61,
                    max_seconds: 60
                })
            );
        }
    }

    #[test]
    fn single_frame_is_too_short_even_without_rules() {
        assert_eq!(
            check(&lasting(33), NO_RULES),
            Err(Rejection::TooShort {
                seconds: 0,
                min_seconds: 1
            })
        );
    }

    #[test]
    fn rotated_picture_counts_its_shorter_side() {
        let mut probe = lasting(30_000);
        assert!(check(&probe, CONTEST).is_ok());
        probe.video.as_mut().unwrap().height = 720;
        assert_eq!(
            check(&probe, CONTEST),
            Err(Rejection::LowResolution {
                lines: 720,
                min_lines: 1080
            })
        );
    }

    #[test]
    fn song_with_cover_art_is_not_a_video() {
        let probe = Probe::parse(include_bytes!("../testdata/song.json")).unwrap();
        assert_eq!(check(&probe, NO_RULES), Err(Rejection::NotAVideo));
    }

    #[test]
    fn unsupported_codec_is_named() {
        let probe = with(|video| video.codec = "svq3".into());
        assert_eq!(
            check(&probe, NO_RULES),
            Err(Rejection::UnsupportedCodec {
                codec: "svq3".into()
            })
        );
    }

    #[test]
    fn bombs_are_too_complex() {
        let mut many_streams = portrait();
        many_streams.streams = 17;
        for probe in [
            many_streams,
            with(|video| video.width = 8640),
            with(|video| video.rate.numerator = 251),
        ] {
            assert_eq!(check(&probe, NO_RULES), Err(Rejection::TooComplex));
        }
    }

    #[test]
    fn video_without_size_or_length_is_corrupt() {
        for probe in [lasting(0), with(|video| video.width = 0)] {
            assert_eq!(check(&probe, NO_RULES), Err(Rejection::Corrupt));
        }
    }

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
