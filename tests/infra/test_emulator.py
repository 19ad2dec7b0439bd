"""Checks that the emulator rejects definitions that AWS would reject."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from stacks import Account

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}


def create(resources, values=None, **sections):
    Account("us-west-2").cloudformation.create_stack(
        StackName=f"s-{uuid.uuid4().hex}", TemplateBody=json.dumps({"Resources": resources} | sections),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in (values or {}).items()])


def with_properties(kind, **properties):
    return {"Thing": {"Type": kind, "Properties": properties}}


@pytest.mark.parametrize("resources, complaint", [
    (with_properties("AWS::ECS::Cluster", ClusterName="c"), "does not know AWS::ECS::Cluster"),
    (with_properties("AWS::SQS::Queue", QueueName="q", Colour="red"), "Colour"),
    (with_properties("AWS::CloudWatch::Alarm", AlarmName="a", Colour="red"), "Colour"),
    (with_properties("AWS::S3::Bucket", BucketName="a-bucket", Colour="red"), "Colour"),
    (with_properties("AWS::CloudWatch::Alarm", AlarmName="a", ComparisonOperator="More"), "More"),
    (with_properties("AWS::SNS::Topic", TopicName={"Ref": "Nothing"}), "Nothing"),
    (with_properties("AWS::SNS::Topic", TopicName={"Fn::ImportValue": "nobody"}), "No export named nobody"),
    (with_properties("AWS::SNS::Topic", TopicName="{{resolve:ssm-secure:x}}"), "ssm-secure"),
    (with_properties("AWS::SNS::Topic", TopicName={"Fn::Cidr": ["10.0.0.0/8", 1]}), "Fn::Cidr"),
    ({"Thing": QUEUE | {"Colour": "red"}}, "Colour"),
    ({"Queue": QUEUE, "Topic": {"Type": "AWS::SNS::Topic", "Properties": {
        "TopicName": {"Fn::GetAtt": ["Queue", "Colour"]}}}}, "no attribute Colour"),
    ({name: {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": other}}}
      for name, other in (("A", "B"), ("B", "A"))}, "Circular"),
    # A group that waits for a signal but launches no instance to send it.
    ({"Thing": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {"MinSize": 0, "MaxSize": 1},
                "CreationPolicy": {"ResourceSignal": {"Count": 1}}}}, "0 SUCCESS signals"),
    (with_properties("AWS::RDS::DBInstance", AllocatedStorage=91, MaxAllocatedStorage=100), "less than 110 %"),
    (with_properties("AWS::WAFv2::WebACL", Scope="CLOUDFRONT"), "us-east-1"),
])
def test_unknown_definitions_fail(resources, complaint):
    with pytest.raises(ClientError, match=complaint):
        create(resources)


@pytest.mark.parametrize("rule, value, complaint", [
    ({}, None, "must have values"),
    ({"AllowedValues": ["a", "b"]}, "c", "constraint"),
    ({"AllowedPattern": "[a-z]+"}, "abc1", "constraint"),
    ({"MinLength": 3}, "ab", "constraint"),
    ({"MaxLength": 3}, "abcd", "constraint"),
    ({"Type": "Number", "MinValue": 3}, "2", "constraint"),
    ({"Type": "Number", "MaxValue": 3}, "4", "constraint"),
    ({"Type": "Number"}, "many", "number"),
    ({"Type": "AWS::EC2::VPC::Id"}, "vpc-1", "does not know the type"),
])
def test_parameter_rules_are_enforced(rule, value, complaint):
    with pytest.raises(ClientError, match=complaint):
        create({"Queue": QUEUE}, {"P": value} if value else {}, Parameters={"P": {"Type": "String"} | rule})


def test_undeclared_parameter_is_rejected():
    with pytest.raises(ClientError, match="do not exist"):
        create({"Queue": QUEUE}, {"P": "x"})


def test_maps_are_looked_up_even_where_they_do_not_apply():
    named = {"Fn::If": ["Never", {"Fn::FindInMap": ["Names", {"Ref": "AWS::Region"}, "Name"]}, "q"]}
    with pytest.raises(ClientError, match="Unable to get mapping for Names::us-west-2::Name"):
        create(with_properties("AWS::SQS::Queue", QueueName=named), Mappings={"Names": {"us-east-1": {"Name": "q"}}},
               Conditions={"Never": {"Fn::Equals": ["a", "b"]}})


def test_broken_rule_is_reported():
    rule = {"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "P"}, "a"]}, "AssertDescription": "P must be a"}]}
    with pytest.raises(ClientError, match="P must be a"):
        create({"Queue": QUEUE}, {"P": "b"}, Parameters={"P": {"Type": "String"}}, Rules={"Rule": rule})


@pytest.mark.parametrize("kind, properties", [
    ("AWS::CloudFront::OriginAccessControl", {"OriginAccessControlConfig": {
        "Name": "twice", "OriginAccessControlOriginType": "s3", "SigningBehavior": "always",
        "SigningProtocol": "sigv4"}}),
    ("AWS::CloudWatch::Dashboard", {"DashboardName": "twice", "DashboardBody": "{}"}),
])
def test_names_without_a_region_are_unique_in_the_account(kind, properties):
    here, there = (Account(region).cloudformation for region in ("us-west-2", "eu-west-1"))
    body = {"TemplateBody": json.dumps({"Resources": with_properties(kind, **properties)})}
    here.create_stack(StackName="first", **body)
    with pytest.raises(ClientError, match="twice exists already"):
        there.create_stack(StackName=kind.replace("::", "-"), **body)
    here.delete_stack(StackName="first")
    there.create_stack(StackName="second", **body)
    there.delete_stack(StackName="second")
