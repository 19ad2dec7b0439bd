//! Takes ISO base media files apart and puts them together, truthfully or not.

pub type Kind = [u8; 4];

/// Returns an atom with a truthful size.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "kinds are written as byte strings, which are references"
)]
pub fn atom(kind: &Kind, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, payload].concat()
}

/// Changes what the first atom on a path holds; the sizes around it follow. Offsets into the file
/// do not: what moves must stand at its end.
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

/// Replaces what the first atom on a path holds.
pub fn replace(film: &[u8], path: &[&Kind], payload: &[u8]) -> Vec<u8> {
    edit(film, path, &mut |_| payload.to_vec())
}

/// Overwrites bytes of what the first atom on a path holds.
pub fn poke(film: &[u8], path: &[&Kind], offset: usize, bytes: &[u8]) -> Vec<u8> {
    edit(film, path, &mut |payload| {
        let mut payload = payload.to_vec();
        payload[offset..offset + bytes.len()].copy_from_slice(bytes);
        payload
    })
}

/// Returns the atoms one after the other.
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

/// Returns where each atom of a film starts, those inside others too.
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
