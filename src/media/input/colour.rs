//! How stored samples map to light, from tags that may be missing, reserved or wrong.

/// How stored samples map to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    pub matrix: Matrix,
    pub primaries: Primaries,
    pub transfer: Transfer,
    /// Samples use the full range of 0 to 255, as on some phones.
    pub full_range: bool,
}

/// Luma coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// Samples are red, green and blue.
    Rgb,
    Bt601,
    Bt709,
    Bt2020,
    Unknown,
}

/// The colours of pure red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primaries {
    Bt709,
    Bt2020,
    /// P3 with a white point of D65, as on phones (SMPTE EG 432-1).
    DisplayP3,
    /// P3 of cinemas (SMPTE RP 431-2).
    DciP3,
    /// Missing, or so near to BT.709 that no viewer sees a difference.
    Other,
}

/// Transfer curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Standard dynamic range with any curve.
    Sdr,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
    /// Perceptual quantiser (SMPTE ST 2084).
    Pq,
}

/// Colour tags by `ffmpeg`'s names; none where a tag is missing, unspecified or reserved.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tags {
    matrix: Option<String>,
    primaries: Option<String>,
    transfer: Option<String>,
    range: Option<String>,
    is_rgb: bool,
    is_deep: bool,
}

impl Tags {
    /// Reads the properties of a stream or frame: pixel format, matrix, primaries, transfer, range.
    pub fn new(format: Option<&str>, names: [Option<&str>; 4]) -> Self {
        let known = |name: &&str| !["unknown", "reserved", ""].contains(name);
        let [matrix, primaries, transfer, range] =
            names.map(|name| name.filter(known).map(str::to_owned));
        let format = format.unwrap_or_default();
        Self {
            matrix,
            primaries,
            transfer,
            range,
            is_rgb: ["gbr", "rgb", "bgr", "pal8"]
                .iter()
                .any(|start| format.starts_with(start)),
            is_deep: format.ends_with("le") || format.ends_with("be"),
        }
    }

    /// Returns whether tags elsewhere in the file may say more: those of the container, which a
    /// decoder's report hides, and those of the first picture.
    pub fn are_doubtful(&self) -> bool {
        let is_hdr = self.transfer_curve() != Transfer::Sdr;
        !is_hdr && (self.transfer.is_none() || self.primaries.is_none() || self.is_deep)
    }

    /// Adds what is missing here. Tags that say HDR precede those that do not: HLG may be announced
    /// beside a curve that older players understand (ITU-T H.265, D.3.39), and the container's tags
    /// precede the stream's (ISO/IEC 14496-12 §12.1.5).
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let is_hdr = |tags: &Self| tags.transfer_curve() != Transfer::Sdr;
        let (first, second) = if is_hdr(&other) && !is_hdr(&self) {
            (other, self.clone())
        } else {
            (self.clone(), other)
        };
        Self {
            matrix: first.matrix.or(second.matrix),
            primaries: first.primaries.or(second.primaries),
            transfer: first.transfer.or(second.transfer),
            range: first.range.or(second.range),
            ..self
        }
    }

    pub fn colour(&self) -> Colour {
        let matrix = if self.is_rgb {
            Matrix::Rgb
        } else {
            match self.matrix.as_deref() {
                Some("bt709") => Matrix::Bt709,
                Some("smpte170m" | "bt470bg" | "fcc") => Matrix::Bt601,
                // Nobody encodes with constant luminance; encoders only write the tag.
                Some("bt2020nc" | "bt2020c") => Matrix::Bt2020,
                _ => Matrix::Unknown,
            }
        };
        let primaries = match self.primaries.as_deref() {
            Some("bt709") => Primaries::Bt709,
            Some("bt2020") => Primaries::Bt2020,
            Some("smpte432") => Primaries::DisplayP3,
            Some("smpte431") => Primaries::DciP3,
            None if matrix == Matrix::Bt2020 => Primaries::Bt2020,
            _ => Primaries::Other,
        };
        Colour {
            matrix,
            primaries,
            transfer: self.transfer_curve(),
            full_range: self.range.as_deref() == Some("pc"),
        }
    }

    fn transfer_curve(&self) -> Transfer {
        match self.transfer.as_deref() {
            Some("arib-std-b67") => Transfer::Hlg,
            Some("smpte2084") => Transfer::Pq,
            _ => Transfer::Sdr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(matrix: &str, primaries: &str, transfer: &str) -> Tags {
        let names = [matrix, primaries, transfer, "tv"].map(Some);
        Tags::new(Some("yuv420p"), names)
    }

    #[test]
    fn constant_luminance_and_missing_primaries_are_those_of_bt2020() {
        for matrix in ["bt2020nc", "bt2020c"] {
            let colour = tags(matrix, "unknown", "smpte2084").colour();
            assert_eq!(colour.matrix, Matrix::Bt2020);
            assert_eq!(colour.primaries, Primaries::Bt2020);
        }
    }

    #[test]
    fn reserved_tags_are_missing_tags() {
        let colour = tags("reserved", "reserved", "arib-std-b67").colour();
        assert_eq!(colour.matrix, Matrix::Unknown);
        assert_eq!(colour.primaries, Primaries::Other);
        assert_eq!(colour.transfer, Transfer::Hlg);
    }

    #[test]
    fn hdr_is_found_wherever_it_is_said() {
        for inner in ["unknown", "bt2020-10", "bt709"] {
            let both = tags("bt709", "bt709", inner).or(tags("unknown", "bt2020", "arib-std-b67"));
            let colour = both.colour();
            assert_eq!(colour.transfer, Transfer::Hlg, "{inner}");
            assert_eq!(colour.primaries, Primaries::Bt2020, "{inner}");
        }
        let inner = tags("bt709", "bt709", "smpte2084").or(tags("bt709", "bt709", "bt709"));
        assert_eq!(inner.colour().transfer, Transfer::Pq);
    }

    #[test]
    fn phone_films_in_standard_range_are_not_doubtful() {
        assert!(!tags("bt709", "bt709", "bt709").are_doubtful());
        assert!(!tags("reserved", "unknown", "smpte2084").are_doubtful());
        assert!(tags("bt709", "unknown", "bt709").are_doubtful());
        let names = ["bt2020nc", "bt2020", "bt2020-10", "tv"].map(Some);
        assert!(Tags::new(Some("yuv420p10le"), names).are_doubtful());
    }
}
