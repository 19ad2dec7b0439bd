"""Evaluates the policy of the bucket: the CDN reads the clips that the program has tagged, and nothing else."""

import fnmatch
import json
import re

import pytest

from stacks import ROOT, template

DISTRIBUTION = "arn:aws:cloudfront::123456789012:distribution/E2EXAMPLE"
VIDEO = "processed/0198c0de-7b1e-7000-8000-3f2a9c5d1e00"

OPERATORS = {"StringEquals": str.__eq__, "ArnLike": fnmatch.fnmatchcase, "Bool": str.__eq__}


def listed(value):
    return value if isinstance(value, list) else [value]


def applies(statement, request):
    """Whether a statement applies to a request. A key that the request lacks satisfies no operator used here."""
    principals = statement["Principal"]
    if principals != "*" and request["principal"] not in listed(principals["Service"]):
        return False
    for kind in ("Action", "Resource"):
        if not any(fnmatch.fnmatchcase(request[kind.lower()], pattern) for pattern in listed(statement[kind])):
            return False
    for operator, conditions in statement.get("Condition", {}).items():
        for key, values in conditions.items():
            actual = request["keys"].get(key)
            if actual is None or not any(OPERATORS[operator](actual, value) for value in listed(values)):
                return False
    return True


def is_allowed(policy, request):
    """As IAM decides for a service of AWS: an explicit deny wins, and without an allow the request is refused."""
    effects = {statement["Effect"] for statement in policy["Statement"] if applies(statement, request)}
    return effects == {"Allow"}


def policy_of(account):
    return json.loads(account.s3.get_bucket_policy(Bucket=account.bucket())["Policy"])


def read(account, name, tags=None, **changes):
    """A read by the CDN. S3 adds the tags of the object to the keys of the request."""
    keys = {"aws:SecureTransport": "true", "aws:SourceArn": DISTRIBUTION}
    keys |= {f"s3:ExistingObjectTag/{key}": value for key, value in (tags or {}).items()}
    return {"principal": "cloudfront.amazonaws.com", "action": "s3:GetObject", "keys": keys,
            "resource": f"arn:aws:s3:::{account.bucket()}/{name}"} | changes


def public_tag():
    """The tag that the program sets."""
    source = (ROOT / "src/storage/s3/tags.rs").read_text()
    key, value = re.search(r'PUBLIC_TAG: \(&str, &str\) = \("(\w+)", "(\w+)"\);', source).groups()
    return {key: value}


@pytest.mark.parametrize("file", ["1.mp4", "12-l.mp4", "1.jpg", "1-s.jpg"])
def test_cdn_reads_an_output_only_while_it_is_tagged(account, file):
    policy, name = policy_of(account), f"{VIDEO}/{file}"
    assert is_allowed(policy, read(account, name, public_tag()))
    (key,) = public_tag()
    for tags in ({}, {key: "no"}, {key: ""}, {"other": "yes"}):
        assert not is_allowed(policy, read(account, name, tags)), tags


def test_cdn_reads_nothing_else_even_if_it_is_tagged(account):
    for name in (f"uploads/{VIDEO}.mp4", "deployments/0.1.0/anb-image.tar.zst", "processed"):
        assert not is_allowed(policy_of(account), read(account, name, public_tag())), name


def test_policy_lets_only_the_cdn_of_this_account_read_public_clips(account):
    request = read(account, f"{VIDEO}/1.mp4", public_tag())
    other = request["keys"] | {"aws:SourceArn": "arn:aws:cloudfront::210987654321:distribution/E2EXAMPLE"}
    plain = request["keys"] | {"aws:SecureTransport": "false"}
    for change in ({"principal": "ec2.amazonaws.com"}, {"action": "s3:PutObjectTagging"},
                   {"action": "s3:GetObjectVersion"}, {"keys": other}, {"keys": plain}):
        assert not is_allowed(policy_of(account), request | change), change


def test_edges_notice_within_a_minute_that_a_clip_is_not_public(account):
    caching = template("cdn")["Resources"]["ClipCaching"]["Properties"]["CachePolicyConfig"]
    source = (ROOT / "src/videos/tagging.rs").read_text()
    seconds = {name: int(value) for name, value in
               re.findall(r"const (\w+): Duration = Duration::from_secs\((\d+)\);", source)}
    # The worst case: a process is killed when it has just claimed the video.
    assert seconds["TIMEOUT"] < seconds["LEASE"]
    assert seconds["LEASE"] + seconds["INTERVAL"] + seconds["TIMEOUT"] + caching["MaxTTL"] <= 60
    assert caching["DefaultTTL"] == caching["MaxTTL"]
    errors = template("cdn")["Resources"]["Distribution"]["Properties"]["DistributionConfig"]["CustomErrorResponses"]
    assert {"ErrorCode": 403, "ErrorCachingMinTTL": 0} in errors
