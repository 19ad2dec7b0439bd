//! Films with a few corrupted bytes, mostly in the atoms. The same seed yields the same film.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::atoms::starts;

/// Boundary values that parsers often mishandle.
const NUMBERS: [u32; 12] = [
    0,
    1,
    7,
    8,
    0xff,
    0xffff,
    0x0001_0000,
    0x00ff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
];

/// Returns `film` with one to twelve faults.
pub fn mutate(film: &[u8], seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut film = film.to_vec();
    for _ in 0..random.random_range(1..=12) {
        fault(&mut film, &mut random);
    }
    film
}

fn fault(film: &mut Vec<u8>, random: &mut StdRng) {
    let starts = starts(film);
    // Skip the `ftyp` atom: a film without it never reaches a worker.
    let Some(&start) = starts.get(random.random_range(0..starts.len().max(1)).max(1)) else {
        return;
    };
    let size = u32::from_be_bytes(film[start..start + 4].try_into().unwrap());
    let end = start + usize::try_from(size).unwrap();
    let place = random.random_range(start..end);
    let number = NUMBERS[random.random_range(0..NUMBERS.len())];
    match random.random_range(0..16) {
        0..5 => film[place] ^= 1 << random.random_range(0..8),
        5..9 if end - start >= 12 => {
            let place = random.random_range(start + 8..=end - 4);
            film[place..place + 4].copy_from_slice(&number.to_be_bytes());
        }
        9 | 10 => film[start..start + 4].copy_from_slice(&number.to_be_bytes()),
        11 => {
            let other = starts[random.random_range(0..starts.len())];
            film.copy_within(other + 4..other + 8, start + 4);
        }
        12 => drop(film.drain(start..end)),
        13 => {
            let copy = film[start..end].to_vec();
            film.splice(end..end, copy);
        }
        14 => {
            let junk: [u8; 16] = random.random();
            film.splice(place..place, junk);
        }
        _ if place > 64 && random.random_range(0..4) == 0 => film.truncate(place),
        _ => film[place] = random.random(),
    }
}
