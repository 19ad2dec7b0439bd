//! Requirements on every storage, tested through [`Storage`](anb::storage::Storage) and run with
//! each of them, and tests of faults that only one of them can have.

mod deleting;
mod fetching;
mod only_disk;
mod only_s3;
mod place;
mod resuming;
mod scripted;
mod versions;
mod writing;

use crate::support::{Mount, content};

use anb::{ids::VideoId, storage::StorageKey};

/// The part size of S3 uploads (bytes). Larger files are uploaded in several parts.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Turns each case into a test on disk and a test with S3.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        cases!(disk: $($case),+);
        cases!(s3: $($case),+);
    };
    ($place:ident: $($case:ident),+) => {
        mod $place {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::storage::place::TestStorage::$place().await).await;
                }
            )+
        }
    };
}
use cases;

fn keys(video: VideoId) -> [StorageKey; 5] {
    let [clip, poster, light, thumb] = StorageKey::outputs(video, 1);
    [StorageKey::Original(video), clip, poster, light, thumb]
}
