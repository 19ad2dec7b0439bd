//! The tag of outputs that the public may read. The policy of the bucket lets the CDN read no other
//! objects (Amazon S3 User Guide, *Tagging and access control policies*). Reads of tags are
//! strongly consistent (*Amazon S3 data consistency model*).

use anyhow::Context as _;
use aws_sdk_s3::types::{Tag, Tagging};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Bucket,
    objects::{finished, is_not_implemented},
};
use crate::{aws::explain, ids::VideoId, storage::key::attempt_of};

/// Key and value, as in `cloudformation/02-s3-iam.yaml`.
const PUBLIC_TAG: (&str, &str) = ("public", "yes");

/// Maximum number of concurrent calls for one video.
const CONCURRENT: usize = 4;

impl Bucket {
    /// Tags the outputs of one attempt.
    pub async fn tag_outputs(&self, video: VideoId, attempt: i32) -> anyhow::Result<()> {
        self.set_tags(video, |of| (of == Some(attempt)).then_some(true))
            .await
    }

    /// Tags the outputs of `public`, and removes the tags of the video's other outputs.
    pub async fn set_public(&self, video: VideoId, public: Option<i32>) -> anyhow::Result<()> {
        self.set_tags(video, |of| Some(of.is_some() && of == public))
            .await
    }

    /// Sets or removes the tag of each output of a video, as `is_public` says of its attempt, or
    /// leaves it for none. Does nothing if the service does not support tags.
    async fn set_tags(
        &self,
        video: VideoId,
        is_public: impl Fn(Option<i32>) -> Option<bool>,
    ) -> anyhow::Result<()> {
        let outputs = self.outputs(video);
        let place = || format!("tag {outputs}* in the bucket");
        let found = finished(self, &outputs).await.with_context(place)?;
        let set = |object: String| {
            let is_public = is_public(object.strip_prefix(&outputs).and_then(attempt_of));
            async move {
                match is_public {
                    Some(true) => self.tag(&object).await,
                    Some(false) => self.untag(&object).await,
                    None => Ok(()),
                }
            }
        };
        let calls = stream::iter(found).map(set).buffer_unordered(CONCURRENT);
        calls.try_collect::<()>().await.with_context(place)
    }

    async fn tag(&self, object: &str) -> anyhow::Result<()> {
        let (key, value) = PUBLIC_TAG;
        let tags = Tagging::builder().tag_set(Tag::builder().key(key).value(value).build()?);
        let put = self.inner.client.put_object_tagging();
        let put = put.bucket(&self.inner.name).key(object);
        match put.tagging(tags.build()?).send().await {
            Err(error) if is_not_implemented(&error) => Ok(()),
            tagged => tagged.map(drop).map_err(explain),
        }
    }

    async fn untag(&self, object: &str) -> anyhow::Result<()> {
        let delete = self.inner.client.delete_object_tagging();
        let delete = delete.bucket(&self.inner.name).key(object);
        match delete.send().await {
            Err(error) if is_not_implemented(&error) => Ok(()),
            untagged => untagged.map(drop).map_err(explain),
        }
    }
}
