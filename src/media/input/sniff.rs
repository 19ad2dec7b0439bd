//! Recognises MP4 and MOV *videos* by their first bytes, for the upload and the worker.
//!
//! Pictures and audio share the container (ISO/IEC 14496-12) and are rejected by their major brand.
//! A file that passes is still untrusted; the probe and the rules decide.

/// Number of leading bytes that [`sniff`] needs; a shorter file is passed whole.
pub const SNIFF_BYTES: usize = 4096;

/// The file is not an MP4 or MOV video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is not an MP4 video")]
pub struct NotAnMp4;

/// Checks a file that arrives in chunks, once there are enough bytes.
pub struct Sniffer {
    /// The first bytes; none once they were checked.
    head: Option<Vec<u8>>,
}

impl Sniffer {
    /// Starts after `head`, the first bytes of a file, which are fewer than [`SNIFF_BYTES`].
    pub fn after(head: Vec<u8>) -> Self {
        Self { head: Some(head) }
    }

    /// Continues a file that was checked before.
    pub fn checked() -> Self {
        Self { head: None }
    }

    /// Returns whether the file was checked.
    pub fn is_checked(&self) -> bool {
        self.head.is_none()
    }

    /// Takes the next bytes, and checks the file as soon as there are enough.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), NotAnMp4> {
        let Some(head) = &mut self.head else {
            return Ok(());
        };
        let missing = SNIFF_BYTES.saturating_sub(head.len());
        head.extend(chunk.iter().take(missing));
        if head.len() < SNIFF_BYTES {
            return Ok(());
        }
        self.finish()
    }

    /// Checks a file that ends here, unless it was checked before.
    pub fn finish(&mut self) -> Result<(), NotAnMp4> {
        self.head.take().map_or(Ok(()), |head| sniff(&head))
    }
}

/// Accepts an `ftyp` box with a video brand, or the leading `moov`, `mdat` or `wide` box of an old
/// MOV file; padding boxes may come first.
pub fn sniff(head: &[u8]) -> Result<(), NotAnMp4> {
    let mut rest = head;
    while let Some((size, kind, payload)) = split_box(rest) {
        match &kind {
            b"ftyp" => {
                let length = size.saturating_sub(8).min(payload.len());
                return brands(payload.get(..length).unwrap_or(payload));
            }
            b"moov" | b"mdat" | b"wide" => return Ok(()),
            b"free" | b"skip" if size >= 8 => {
                rest = rest.get(size..).ok_or(NotAnMp4)?;
            }
            _ => return Err(NotAnMp4),
        }
    }
    Err(NotAnMp4)
}

/// Splits off the first box. Returns its size field, its type and all bytes after its header.
fn split_box(bytes: &[u8]) -> Option<(usize, [u8; 4], &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, payload) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
    Some((size, *kind, payload))
}

fn brands(payload: &[u8]) -> Result<(), NotAnMp4> {
    let (major, rest) = payload.split_first_chunk::<4>().ok_or(NotAnMp4)?;
    if is_picture_or_audio(*major) {
        return Err(NotAnMp4);
    }
    // A minor version of four bytes separates the major from the compatible brands.
    let (compatible, _) = rest.get(4..).unwrap_or_default().as_chunks::<4>();
    if is_video(*major) || compatible.iter().copied().any(is_video) {
        Ok(())
    } else {
        Err(NotAnMp4)
    }
}

/// Video brands of <https://mp4ra.org/registered-types/brands>.
fn is_video(brand: [u8; 4]) -> bool {
    matches!(
        &brand,
        b"qt  "
            | [b'i', b's', b'o', b'm' | b'2'..=b'9' | b'a'..=b'c']
            | b"mp41"
            | b"mp42"
            | b"mp71"
            | b"avc1"
            | b"hvc1"
            | b"av01"
            | b"dash"
            | b"MSNV"
            | b"XAVC"
            | b"mmp4"
            | b"F4V "
            | [b'M', b'4', b'V', _]
            | [b'3', b'g', b'p' | b'2' | b'e' | b'r' | b's' | b'g' | b'h', _]
    )
}

fn is_picture_or_audio(brand: [u8; 4]) -> bool {
    matches!(
        &brand,
        b"avif"
            | b"avis"
            | b"avio"
            | b"heic"
            | b"heix"
            | b"heim"
            | b"heis"
            | b"hevc"
            | b"hevx"
            | b"hevm"
            | b"hevs"
            | b"mif1"
            | b"mif2"
            | b"msf1"
            | b"miaf"
            | b"jpeg"
            | b"jpgs"
            | b"j2ki"
            | b"crx "
            | b"M4A "
            | b"M4B "
            | b"M4P "
            | b"F4A "
            | b"F4B "
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ftyp(brands: &[&[u8; 4]]) -> Vec<u8> {
        let (major, compatible) = brands.split_first().unwrap();
        let size = u32::try_from(16 + 4 * compatible.len()).unwrap();
        let mut bytes = [&size.to_be_bytes()[..], b"ftyp", &major[..], &[0, 0, 2, 0]].concat();
        for brand in compatible {
            bytes.extend(*brand);
        }
        bytes.extend(b"\0\0\0\x08free");
        bytes
    }

    #[test]
    fn phone_and_camera_brands_pass() {
        for major in [
            b"isom", b"iso6", b"mp42", b"avc1", b"dash", b"MSNV", b"3gp4", b"3g2a", b"qt  ",
            b"M4V ",
        ] {
            assert_eq!(sniff(&ftyp(&[major])), Ok(()), "{major:?}");
        }
    }

    #[test]
    fn unknown_major_brand_passes_with_a_known_compatible_brand() {
        assert_eq!(sniff(&ftyp(&[b"CAEP", b"isom"])), Ok(()));
        assert_eq!(sniff(&ftyp(&[b"CAEP", b"NONE"])), Err(NotAnMp4));
    }

    #[test]
    fn brands_after_the_end_of_the_box_are_ignored() {
        let mut bytes = ftyp(&[b"CAEP"]);
        bytes.extend(b"isomisom");
        assert_eq!(sniff(&bytes), Err(NotAnMp4));
    }

    #[test]
    fn pictures_and_audio_are_rejected_despite_compatible_video_brands() {
        for major in [
            b"avif", b"heic", b"mif1", b"msf1", b"M4A ", b"F4A ", b"crx ",
        ] {
            assert_eq!(
                sniff(&ftyp(&[major, b"isom", b"mp42"])),
                Err(NotAnMp4),
                "{major:?}"
            );
        }
    }

    #[test]
    fn old_quicktime_file_passes_even_after_padding() {
        assert_eq!(sniff(b"\0\0\0\x08wide\0\0\0\0mdat"), Ok(()));
        assert_eq!(sniff(b"\0\0\0\0mdat"), Ok(()));
        assert_eq!(sniff(b"\0\0\x40\0moov\0\0"), Ok(()));
        assert_eq!(sniff(b"\0\0\0\x0cfree\0\0\0\0\0\0\x40\0moov"), Ok(()));
    }

    #[test]
    fn other_files_are_rejected() {
        for head in [
            &b""[..],
            b"\0\0\0",
            b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
            b"ffconcat version 1.0\n",
            b"RIFF\0\0\0\0AVI LIST",
            b"\x1a\x45\xdf\xa3\0\0\0\0",
            b"\0\0\0\0free\0\0\0\0",
            b"\0\0\xff\xfffree\0\0\0\x08moov",
            b"\0\0\0\x0cftyp",
            b"\0\0\0\x0cjP  \r\n\x87\n",
        ] {
            assert_eq!(sniff(head), Err(NotAnMp4), "{head:?}");
        }
    }
}
