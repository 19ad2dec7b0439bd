"""IAM."""

import json

from . import deletes, kind, split


@kind("AWS::IAM::ManagedPolicy", deletes("iam", "delete_policy", PolicyArn="ID"))
def managed_policy(aws, properties, name):
    rest, document = split(properties, "PolicyDocument")
    made = aws.call("iam", "create_policy", PolicyName=name, PolicyDocument=json.dumps(document), **rest)
    return made["Policy"]["Arn"], {}


def delete_role(aws, name, properties, keeps_copy):
    for arn in properties["ManagedPolicyArns"]:
        aws.call("iam", "detach_role_policy", RoleName=name, PolicyArn=arn)
    for policy in properties["Policies"]:
        aws.call("iam", "delete_role_policy", RoleName=name, PolicyName=policy["PolicyName"])
    aws.call("iam", "delete_role", RoleName=name)


@kind("AWS::IAM::Role", delete_role)
def role(aws, properties, name):
    rest, trust, arns, policies = split(properties, "AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies")
    made = aws.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), **rest)["Role"]
    for arn in arns:
        aws.call("iam", "attach_role_policy", RoleName=name, PolicyArn=arn)
    for policy in policies:
        aws.call("iam", "put_role_policy", RoleName=name, PolicyName=policy["PolicyName"],
                 PolicyDocument=json.dumps(policy["PolicyDocument"]))
    return name, {"Arn": made["Arn"]}


def delete_profile(aws, name, properties, keeps_copy):
    for each in properties["Roles"]:
        aws.call("iam", "remove_role_from_instance_profile", InstanceProfileName=name, RoleName=each)
    aws.call("iam", "delete_instance_profile", InstanceProfileName=name)


@kind("AWS::IAM::InstanceProfile", delete_profile)
def profile(aws, properties, name):
    made = aws.call("iam", "create_instance_profile", InstanceProfileName=name)["InstanceProfile"]
    for each in properties["Roles"]:
        aws.call("iam", "add_role_to_instance_profile", InstanceProfileName=name, RoleName=each)
    return name, {"Arn": made["Arn"]}
