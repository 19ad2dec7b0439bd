//! Parses and builds ISO base media files, with correct or false contents.

pub type Kind = [u8; 4];

/// Returns an atom with the correct size.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "kinds are written as byte strings, which are references"
)]
pub fn atom(kind: &Kind, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, payload].concat()
}

/// Changes the payload of the first atom on a path and adjusts the sizes of its parents. File
/// offsets are not adjusted, so the data that they refer to must not move.
pub fn edit(atoms: &[u8], path: &[&Kind], change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (wanted, rest) = path.split_first().unwrap();
    let mut edited = Vec::new();
    let mut is_found = false;
    for (kind, payload) in split(atoms) {
        if kind != **wanted || is_found {
            edited.extend(atom(&kind, payload));
            continue;
        }
        is_found = true;
        let payload = match rest {
            [] => change(payload),
            _ => edit(payload, rest, change),
        };
        edited.extend(atom(&kind, &payload));
    }
    assert!(is_found, "no {}", String::from_utf8_lossy(*wanted));
    edited
}

/// Replaces the payload of the first atom on a path.
pub fn replace(film: &[u8], path: &[&Kind], payload: &[u8]) -> Vec<u8> {
    edit(film, path, &mut |_| payload.to_vec())
}

/// Overwrites bytes in the payload of the first atom on a path.
pub fn poke(film: &[u8], path: &[&Kind], offset: usize, bytes: &[u8]) -> Vec<u8> {
    edit(film, path, &mut |payload| {
        let mut payload = payload.to_vec();
        payload[offset..offset + bytes.len()].copy_from_slice(bytes);
        payload
    })
}

/// Returns kind and payload of each top-level atom, in order.
fn split(mut atoms: &[u8]) -> Vec<(Kind, &[u8])> {
    let mut found = Vec::new();
    while let Some((size, rest)) = atoms.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap();
        let (kind, _) = rest.split_first_chunk::<4>().unwrap();
        found.push((*kind, &atoms[8..size]));
        atoms = &atoms[size..];
    }
    found
}

/// Returns the offset of each atom of a film, including nested ones.
pub fn starts(film: &[u8]) -> Vec<usize> {
    const FULL: [&Kind; 10] = [
        b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"moof", b"traf",
    ];
    let mut found = Vec::new();
    let mut at = 0;
    while at + 8 <= film.len() {
        let size = u32::from_be_bytes(film[at..at + 4].try_into().unwrap());
        let end = at + usize::try_from(size).unwrap();
        if size < 8 || end > film.len() {
            break;
        }
        found.push(at);
        let kind: &Kind = film[at + 4..at + 8].try_into().unwrap();
        if FULL.contains(&kind) {
            let inner = starts(&film[at + 8..end]);
            found.extend(inner.iter().map(|start| at + 8 + start));
        }
        at = end;
    }
    found
}
