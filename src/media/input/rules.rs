//! Decides from the probe alone whether a video is accepted.

use std::time::Duration;

use super::{
    probe::{Probe, Video},
    rejection::{MAX_RATE, Rejection},
};
use crate::{config::media::RuleSettings, media::args::MAX_PIXELS};

/// Maximum number of video streams. Phones write one or two; a bomb has thousands.
const MAX_FILMS: usize = 16;

/// Maximum number of streams of any kind. Only one is decoded.
const MAX_STREAMS: usize = 100;

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

impl From<RuleSettings> for Rules {
    fn from(settings: RuleSettings) -> Self {
        Self {
            min_seconds: settings.min_input_duration,
            max_seconds: settings.max_input_duration,
            min_lines: settings.min_input_height,
        }
    }
}

/// Returns the stream to show, if it can be decoded within bounds.
pub fn decodable(probe: Probe) -> Result<Video, Rejection> {
    let (films, streams) = (probe.films, probe.streams);
    let video = probe.video.ok_or(Rejection::NotAVideo)?;
    if !video.codec.is_supported() {
        return Err(Rejection::UnsupportedCodec {
            codec: video.codec.label(),
        });
    }
    if films > MAX_FILMS || streams > MAX_STREAMS || is_too_complex(&video) {
        return Err(Rejection::TooComplex);
    }
    if video.width == 0 || video.height == 0 {
        return Err(Rejection::Corrupt);
    }
    Ok(video)
}

/// Checks a stream against the rules of the contest.
pub fn check(video: &Video, rules: Rules) -> Result<(), Rejection> {
    if video.duration.is_zero() {
        return Err(Rejection::Corrupt);
    }
    check_length(video.duration, rules)?;
    if video.short_side() < rules.min_lines {
        return Err(Rejection::LowResolution {
            lines: video.short_side(),
            min_lines: rules.min_lines,
        });
    }
    Ok(())
}

fn is_too_complex(video: &Video) -> bool {
    let pixels = u64::from(video.width) * u64::from(video.height);
    let allowed = MAX_RATE * u64::from(video.rate.denominator);
    pixels > u64::from(MAX_PIXELS) || u64::from(video.rate.numerator) > allowed
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::input::codec::Codec;

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

    /// Judges a probed file as a job does.
    fn judged(probe: &Probe, rules: Rules) -> Result<(), Rejection> {
        check(&decodable(probe.clone())?, rules)
    }

    fn with(change: impl FnOnce(&mut Video)) -> Probe {
        let mut probe = Probe::portrait();
        change(probe.video.as_mut().unwrap());
        probe
    }

    fn lasting(millis: u64) -> Probe {
        with(|video| video.duration = Duration::from_millis(millis))
    }

    #[test]
    fn valid_video_passes_without_rules() {
        assert!(judged(&Probe::portrait(), NO_RULES).is_ok());
    }

    #[test]
    fn length_rules_have_a_tolerance_of_two_frames() {
        for millis in [19_900, 20_000, 60_000, 60_100] {
            assert!(judged(&lasting(millis), CONTEST).is_ok(), "{millis}");
        }
        assert_eq!(
            judged(&lasting(12_400), CONTEST),
            Err(Rejection::TooShort {
                seconds: 12,
                min_seconds: 20
            })
        );
        for millis in [60_200, 61_000] {
            assert_eq!(
                judged(&lasting(millis), CONTEST),
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
            judged(&lasting(33), NO_RULES),
            Err(Rejection::TooShort {
                seconds: 0,
                min_seconds: 1
            })
        );
    }

    #[test]
    fn rotated_picture_counts_its_shorter_side() {
        let mut probe = lasting(30_000);
        assert!(judged(&probe, CONTEST).is_ok());
        probe.video.as_mut().unwrap().height = 720;
        assert_eq!(
            judged(&probe, CONTEST),
            Err(Rejection::LowResolution {
                lines: 720,
                min_lines: 1080
            })
        );
    }

    #[test]
    fn song_with_cover_art_is_not_a_video() {
        let probe = Probe::parse(include_bytes!("../testdata/song.json")).unwrap();
        assert_eq!(judged(&probe, NO_RULES), Err(Rejection::NotAVideo));
    }

    #[test]
    fn unsupported_codec_is_named() {
        let probe = with(|video| video.codec = Codec::new(Some("svq3"), None));
        assert_eq!(
            judged(&probe, NO_RULES),
            Err(Rejection::UnsupportedCodec {
                codec: "Sorenson Video 3".into()
            })
        );
    }

    #[test]
    fn bombs_are_too_complex() {
        for probe in [
            Probe {
                films: 17,
                ..Probe::portrait()
            },
            Probe {
                streams: 101,
                ..Probe::portrait()
            },
            with(|video| video.width = 8640),
            with(|video| video.rate.numerator = 251),
        ] {
            assert_eq!(judged(&probe, NO_RULES), Err(Rejection::TooComplex));
        }
    }

    #[test]
    fn video_without_size_or_length_is_corrupt() {
        for probe in [lasting(0), with(|video| video.width = 0)] {
            assert_eq!(judged(&probe, NO_RULES), Err(Rejection::Corrupt));
        }
    }
}
