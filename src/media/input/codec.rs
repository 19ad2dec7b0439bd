//! Video codecs: which ones are decoded, and what people call the others.

/// Codecs that phones and cameras record and that editing programs export, by `ffmpeg`'s names.
const SUPPORTED: [&str; 8] = [
    "h264", "hevc", "mpeg4", "h263", "vp9", "av1", "prores", "mjpeg",
];

/// Names by which programs and cameras offer a codec.
const NAMES: [(&str, &str); 25] = [
    ("h264", "H.264"),
    ("hevc", "HEVC"),
    ("mpeg4", "MPEG-4"),
    ("h263", "H.263"),
    ("vp8", "VP8"),
    ("vp9", "VP9"),
    ("av1", "AV1"),
    ("prores", "ProRes"),
    ("mjpeg", "Motion JPEG"),
    ("vvc", "VVC (H.266)"),
    ("evc", "EVC"),
    ("mpeg1video", "MPEG-1"),
    ("mpeg2video", "MPEG-2"),
    ("vc1", "VC-1"),
    ("wmv3", "Windows Media Video"),
    ("theora", "Theora"),
    ("dnxhd", "DNxHD"),
    ("cfhd", "CineForm"),
    ("svq1", "Sorenson Video"),
    ("svq3", "Sorenson Video 3"),
    ("cinepak", "Cinepak"),
    ("rpza", "Apple Video"),
    ("qtrle", "Apple Animation"),
    ("png", "PNG"),
    ("dvvideo", "DV"),
];

/// Names of codecs that `ffmpeg` does not know, by the start of their code in the sample entry.
const BY_TAG: [(&str, &str); 12] = [
    ("vvc", "VVC (H.266)"),
    ("vvi", "VVC (H.266)"),
    ("dvh", "Dolby Vision"),
    ("dvav", "Dolby Vision"),
    ("dva1", "Dolby Vision"),
    ("dav1", "Dolby Vision"),
    ("dvc", "Dolby Vision"),
    ("aprn", "ProRes RAW"),
    ("aprh", "ProRes RAW"),
    ("apv1", "APV"),
    ("evc1", "EVC"),
    ("lhv1", "Layered HEVC"),
];

/// The codec of a video stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// `ffmpeg`'s name; empty if it knows none.
    name: String,
    /// Code of the sample entry (<https://mp4ra.org/registered-types/sampleentries>).
    tag: String,
}

impl Codec {
    pub fn new(name: Option<&str>, tag: Option<&str>) -> Self {
        let name = name.filter(|name| *name != "unknown").unwrap_or_default();
        Self {
            name: name.to_owned(),
            tag: tag.unwrap_or_default().to_owned(),
        }
    }

    pub fn is_supported(&self) -> bool {
        SUPPORTED.contains(&self.name.as_str())
    }

    /// Returns the name for a sentence, at worst the code of the sample entry; empty if that is no
    /// text either.
    pub fn label(&self) -> String {
        let known = NAMES.iter().find(|(name, _)| *name == self.name);
        let by_tag = || BY_TAG.iter().find(|(tag, _)| self.tag.starts_with(tag));
        if let Some((_, label)) = known.or_else(by_tag) {
            return (*label).to_owned();
        }
        let is_text = |name: &&str| {
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric())
        };
        let own = [self.name.as_str(), self.tag.as_str()];
        own.into_iter().find(is_text).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_have_the_names_that_people_know() {
        for (name, tag, label) in [
            (Some("vvc"), "vvc1", "VVC (H.266)"),
            (None, "vvi1", "VVC (H.266)"),
            (Some("unknown"), "dvh1", "Dolby Vision"),
            (None, "aprn", "ProRes RAW"),
            (Some("mpeg2video"), "m2v1", "MPEG-2"),
            (Some("flic"), "flic", "flic"),
            (None, "zzzz", "zzzz"),
            (None, "[0][0][0][0]", ""),
        ] {
            let codec = Codec::new(name, Some(tag));
            assert_eq!(codec.label(), label);
            assert!(!codec.is_supported());
        }
        assert!(Codec::new(Some("hevc"), Some("hvc1")).is_supported());
    }
}
