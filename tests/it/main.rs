
mod confine;
