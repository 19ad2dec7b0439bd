//! The storage marker below each prefix.

use anyhow::Context as _;
use aws_sdk_s3::{
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_object::PutObjectError,
};
use uuid::Uuid;

use super::Bucket;
use crate::{aws::explain, storage::MARKER_NAME};

impl Bucket {
    pub async fn markers(&self) -> anyhow::Result<Vec<(String, Option<Uuid>)>> {
        let mut markers = Vec::new();
        for name in self.mark_names() {
            let marker = self.read_marker(&name).await?;
            markers.push((format!("s3://{}/{name}", self.inner.name), marker));
        }
        Ok(markers)
    }

    pub async fn write_markers(&self, id: Uuid) -> anyhow::Result<()> {
        for name in self.mark_names() {
            if self.read_marker(&name).await?.is_some() {
                continue;
            }
            let mut put = self.put_mark(&name, id, true).await;
            // Not every S3-compatible service supports conditional writes.
            if code(&put) == Some("NotImplemented") {
                put = self.put_mark(&name, id, false).await;
            }
            // Another process wrote a marker first. The caller checks its id.
            if !matches!(
                code(&put),
                Some("PreconditionFailed" | "ConditionalRequestConflict")
            ) {
                put.map_err(explain)
                    .with_context(|| format!("write {name} to the bucket"))?;
            }
        }
        Ok(())
    }

    async fn put_mark(
        &self,
        name: &str,
        id: Uuid,
        only_if_new: bool,
    ) -> Result<(), SdkError<PutObjectError>> {
        let put = self.inner.client.put_object();
        put.bucket(&self.inner.name)
            .key(name)
            .set_if_none_match(only_if_new.then(|| "*".to_owned()))
            .content_type("text/plain")
            .body(id.to_string().into_bytes().into())
            .send()
            .await
            .map(drop)
    }

    fn mark_names(&self) -> [String; 2] {
        [&self.inner.uploads, &self.inner.processed].map(|prefix| format!("{prefix}/{MARKER_NAME}"))
    }

    async fn read_marker(&self, name: &str) -> anyhow::Result<Option<Uuid>> {
        let place = || format!("read {name} in the bucket");
        let get = self.inner.client.get_object();
        let got = match get.bucket(&self.inner.name).key(name).send().await {
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            got => got.map_err(explain).with_context(place)?,
        };
        let bytes = got.body.collect().await.with_context(place)?.to_vec();
        let text = String::from_utf8(bytes).with_context(place)?;
        Ok(Some(Uuid::try_parse(text.trim()).with_context(place)?))
    }
}

fn code(put: &Result<(), SdkError<PutObjectError>>) -> Option<&str> {
    put.as_ref().err()?.code()
}
