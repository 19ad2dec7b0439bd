//! The `anb` executable.

fn main() {}
