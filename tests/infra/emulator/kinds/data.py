"""S3 and RDS."""

import json
import uuid

from botocore.exceptions import ClientError
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from . import deletes, kind, split


def update_bucket(aws, bucket, properties, name):
    rest, _, encryption, owner, blocked, versions, rules, cors, tags = split(
        properties, "BucketName", "BucketEncryption", "OwnershipControls", "PublicAccessBlockConfiguration",
        "VersioningConfiguration", "LifecycleConfiguration", "CorsConfiguration", "Tags")
    if rest:
        raise ValueError(f"unknown property {sorted(rest)}")

    def put(operation, **parameters):
        aws.call("s3", f"put_{operation}", Bucket=bucket, **parameters)

    put("bucket_ownership_controls", OwnershipControls=owner)
    put("public_access_block", PublicAccessBlockConfiguration=blocked)
    if versions:
        put("bucket_versioning", VersioningConfiguration=versions)
    put("bucket_tagging", Tagging={"TagSet": tags})
    put("bucket_encryption", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in encryption["ServerSideEncryptionConfiguration"]]})
    put("bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [lifecycle(rule)
                                                                            for rule in rules["Rules"]]})
    if cors:
        put("bucket_cors", CORSConfiguration={"CORSRules": [cors_rule(rule) for rule in cors["CorsRules"]]})
    else:
        aws.call("s3", "delete_bucket_cors", Bucket=bucket)
    return bucket, {"Arn": f"arn:aws:s3:::{bucket}",
                    "RegionalDomainName": f"{bucket}.s3.{aws.region}.amazonaws.com"}


def lifecycle(rule):
    rest, id_, marker, days = split(rule, "Id", "ExpiredObjectDeleteMarker", "ExpirationInDays")
    expires = {key: value for key, value in (("ExpiredObjectDeleteMarker", marker), ("Days", days)) if value}
    rest |= {"ID": id_, "Filter": {"Prefix": rest.pop("Prefix", "")}}
    return rest | ({"Expiration": expires} if expires else {})


def cors_rule(rule):
    rest, exposed, age = split(rule, "ExposedHeaders", "MaxAge")
    return rest | {"ExposeHeaders": exposed, "MaxAgeSeconds": age}


@kind("AWS::S3::Bucket", deletes("s3", "delete_bucket", Bucket="ID"), update_bucket)
def bucket(aws, properties, name):
    name = properties.get("BucketName", name.lower())
    place = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    aws.call("s3", "create_bucket", Bucket=name, **place)
    return update_bucket(aws, name, properties, name)


# moto forgets the condition of a statement, and would refuse by "only with TLS" every object.
FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL


def update_policy(aws, bucket, properties, name):
    rest, policy = split(properties, "PolicyDocument")
    aws.call("s3", "put_bucket_policy", Policy=json.dumps(policy), **rest)
    return bucket, {}


@kind("AWS::S3::BucketPolicy", deletes("s3", "delete_bucket_policy", Bucket="Bucket"), update_policy)
def bucket_policy(aws, properties, name):
    bucket = properties["Bucket"]
    try:
        aws.call("s3", "get_bucket_policy", Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return update_policy(aws, bucket, properties, name)
    # The message of AWS (cloudformation-coverage-roadmap, issue 1068).
    raise ValueError(f"The bucket policy already exists on bucket {bucket}.")


@kind("AWS::RDS::DBSubnetGroup", deletes("rds", "delete_db_subnet_group", DBSubnetGroupName="ID"))
def db_subnets(aws, properties, name):
    aws.call("rds", "create_db_subnet_group", DBSubnetGroupName=name.lower(), **properties)
    return name.lower(), {}


@kind("AWS::RDS::DBParameterGroup", deletes("rds", "delete_db_parameter_group", DBParameterGroupName="ID"))
def db_parameters(aws, properties, name):
    rest, family, values = split(properties, "Family", "Parameters")
    name = name.lower()
    aws.call("rds", "create_db_parameter_group", DBParameterGroupName=name, DBParameterGroupFamily=family, **rest)
    aws.call("rds", "modify_db_parameter_group", DBParameterGroupName=name, Parameters=[
        {"ParameterName": key, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
        for key, value in values.items()])
    return name, {}


def db_parameters_of(properties):
    rest, groups = split(properties, "VPCSecurityGroups")
    return rest | {"VpcSecurityGroupIds": groups}


def check_db(properties):
    """The storage threshold as *Managing capacity automatically with Amazon RDS storage autoscaling* requires it."""
    allocated, most = int(properties["AllocatedStorage"]), properties.get("MaxAllocatedStorage")
    if most is not None and int(most) < 1.1 * allocated:
        raise ValueError(f"MaxAllocatedStorage {most} is less than 110 % of AllocatedStorage {allocated}")


def described_db(aws, name):
    made = aws.call("rds", "describe_db_instances", DBInstanceIdentifier=name)["DBInstances"][0]
    return name, {f"Endpoint.{key}": str(value) for key, value in made["Endpoint"].items()}


UNCHANGEABLE = ("Engine", "DBName", "MasterUsername", "DBSubnetGroupName", "StorageEncrypted", "Tags",
                "DeleteAutomatedBackups", "EnableCloudwatchLogsExports")


def update_db(aws, name, properties, _):
    check_db(properties)
    (now,) = aws.call("rds", "describe_db_instances", DBInstanceIdentifier=name)["DBInstances"]
    if str(now["StorageEncrypted"]).lower() != properties["StorageEncrypted"]:
        raise ValueError(f"cannot update a stack when a custom-named resource requires replacing: rename {name}")
    rest, *_rest = split(db_parameters_of(properties), *UNCHANGEABLE)
    aws.call("rds", "modify_db_instance", ApplyImmediately=True, **rest)
    return described_db(aws, name)


def delete_db(aws, name, properties, keeps_copy):
    copy = {"FinalDBSnapshotIdentifier": f"{name}-final-{uuid.uuid4().hex}"} if keeps_copy else {"SkipFinalSnapshot": True}
    aws.call("rds", "delete_db_instance", DBInstanceIdentifier=name, **copy)


@kind("AWS::RDS::DBInstance", delete_db, update_db)
def db(aws, properties, name):
    check_db(properties)
    rest, _ = split(db_parameters_of(properties), "DeleteAutomatedBackups")
    aws.call("rds", "create_db_instance", **rest)
    return described_db(aws, properties["DBInstanceIdentifier"])
