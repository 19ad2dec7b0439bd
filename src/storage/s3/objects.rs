//! Removal of objects with all their versions, and of abandoned multipart uploads. A service that
//! supports neither versions nor a list of uploads reports so, and has none to remove.

use anyhow::{Context as _, bail};
use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    types::{Delete, ObjectIdentifier},
};

use super::Bucket;
use crate::aws::explain;

/// Removes the objects whose names begin with `prefix` and satisfy `should_delete`. Aborts their
/// multipart uploads first, then removes every version.
pub async fn delete(
    bucket: &Bucket,
    prefix: &str,
    should_delete: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let place = || format!("delete {prefix}* from the bucket");
    abort_uploads(bucket, prefix, &should_delete).await?;
    let mut found = match versions(bucket, prefix).await.with_context(place)? {
        Some(found) => found,
        None => objects(bucket, prefix).await.with_context(place)?,
    };
    found.retain(|object| should_delete(object.key()));
    // The maximum of one call.
    for batch in found.chunks(1000) {
        delete_batch(bucket, batch).await.with_context(place)?;
    }
    Ok(())
}

/// Aborts the multipart uploads to objects whose names begin with `prefix` and satisfy
/// `should_abort`.
pub async fn abort_uploads(
    bucket: &Bucket,
    prefix: &str,
    should_abort: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    for (name, id) in uploads(bucket, prefix).await? {
        if should_abort(&name) {
            abort_upload(bucket, &name, &id).await?;
        }
    }
    Ok(())
}

/// Lists the names of the objects that begin with `prefix`.
pub async fn finished(bucket: &Bucket, prefix: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    visit_objects(bucket, prefix, |name| found.push(name.to_owned())).await?;
    Ok(found)
}

/// Visits the names of the objects that begin with `prefix`, and whether each is finished.
pub async fn visit(
    bucket: &Bucket,
    prefix: &str,
    visit: &mut (dyn FnMut(&str, bool) + Send),
) -> anyhow::Result<()> {
    let place = || format!("list {prefix}* in the bucket");
    let found = visit_objects(bucket, prefix, |name| visit(name, true)).await;
    found.with_context(place)?;
    for (name, _) in uploads(bucket, prefix).await? {
        visit(&name, false);
    }
    Ok(())
}

/// Lists names and ids of the multipart uploads to objects whose names begin with `prefix`.
async fn uploads(bucket: &Bucket, prefix: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let list = bucket.inner.client.list_multipart_uploads();
        let listed = list
            .bucket(&bucket.inner.name)
            .prefix(prefix)
            .set_key_marker(key_marker)
            .set_upload_id_marker(id_marker)
            .send()
            .await;
        let listed = match listed {
            Err(error) if is_not_implemented(&error) => return Ok(found),
            listed => listed
                .map_err(explain)
                .with_context(|| format!("list uploads of {prefix}*"))?,
        };
        for upload in listed.uploads() {
            if let (Some(name), Some(id)) = (upload.key(), upload.upload_id()) {
                found.push((name.to_owned(), id.to_owned()));
            }
        }
        if listed.is_truncated != Some(true) {
            return Ok(found);
        }
        key_marker = listed.next_key_marker;
        id_marker = listed.next_upload_id_marker;
    }
}

/// Aborts a multipart upload. Idempotent.
pub async fn abort_upload(bucket: &Bucket, name: &str, id: &str) -> anyhow::Result<()> {
    let abort = bucket.inner.client.abort_multipart_upload();
    let aborted = abort
        .bucket(&bucket.inner.name)
        .key(name)
        .upload_id(id)
        .send()
        .await;
    match aborted {
        Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
        aborted => aborted
            .map(drop)
            .map_err(explain)
            .context("abort an upload"),
    }
}

/// Lists all versions and delete markers. Returns none if the service does not support versions.
async fn versions(bucket: &Bucket, prefix: &str) -> anyhow::Result<Option<Vec<ObjectIdentifier>>> {
    let mut found = Vec::new();
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        let list = bucket.inner.client.list_object_versions();
        let listed = list
            .bucket(&bucket.inner.name)
            .prefix(prefix)
            .set_key_marker(key_marker)
            .set_version_id_marker(version_marker)
            .send()
            .await;
        let listed = match listed {
            Err(error) if is_not_implemented(&error) => return Ok(None),
            listed => listed.map_err(explain)?,
        };
        let versions = listed.versions().iter();
        let versions = versions.map(|version| (version.key(), version.version_id()));
        let markers = listed.delete_markers().iter();
        let markers = markers.map(|marker| (marker.key(), marker.version_id()));
        for (name, version) in versions.chain(markers) {
            found.push(identifier(name, version)?);
        }
        if listed.is_truncated != Some(true) {
            return Ok(Some(found));
        }
        key_marker = listed.next_key_marker;
        version_marker = listed.next_version_id_marker;
    }
}

async fn objects(bucket: &Bucket, prefix: &str) -> anyhow::Result<Vec<ObjectIdentifier>> {
    let names = finished(bucket, prefix).await?;
    let found = names.iter().map(|name| identifier(Some(name), None));
    found.collect()
}

async fn visit_objects(
    bucket: &Bucket,
    prefix: &str,
    mut visit: impl FnMut(&str),
) -> anyhow::Result<()> {
    let list = bucket.inner.client.list_objects_v2();
    let list = list.bucket(&bucket.inner.name).prefix(prefix);
    let mut pages = list.into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.map_err(explain)?.contents() {
            visit(object.key().context("the object has no name")?);
        }
    }
    Ok(())
}

async fn delete_batch(bucket: &Bucket, batch: &[ObjectIdentifier]) -> anyhow::Result<()> {
    let objects = Delete::builder()
        .set_objects(Some(batch.to_vec()))
        .quiet(true)
        .build()?;
    let delete = bucket.inner.client.delete_objects();
    let deleted = delete
        .bucket(&bucket.inner.name)
        .delete(objects)
        .send()
        .await
        .map_err(explain)?;
    // The call succeeds even if single objects failed.
    if let Some(error) = deleted.errors().first() {
        let part = |text: Option<&str>| text.unwrap_or("?").to_owned();
        bail!("{}: {}", part(error.code()), part(error.message()));
    }
    Ok(())
}

fn identifier(name: Option<&str>, version: Option<&str>) -> anyhow::Result<ObjectIdentifier> {
    let identifier = ObjectIdentifier::builder()
        .set_key(name.map(str::to_owned))
        .set_version_id(version.map(str::to_owned));
    identifier.build().context("the object has no name")
}

/// Returns whether the service does not support the call.
pub fn is_not_implemented<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("NotImplemented")
}
