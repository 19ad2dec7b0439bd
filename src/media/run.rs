//! Running `ffmpeg`: its programs and their limits (`tools`, `command`), the job's private folder
//! (`scratch`), the memory that concurrent jobs share (`admission`), and `progress`.

pub mod admission;
pub mod command;
mod proc;
pub mod progress;
pub mod scratch;
pub mod tools;
