"""SQS, SNS, CloudWatch, logs and secrets."""

import json
import uuid

from ..aws import FORGOTTEN
from . import TAKEN, claim, deletes, kind, simple, split


def queue_attributes(properties):
    rest, _ = split(properties, "QueueName")
    return {key: json.dumps(value) if isinstance(value, dict) else str(value).lower()
            for key, value in rest.items()}


def update_queue(aws, url, properties, name):
    aws.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=queue_attributes(properties))
    answer = aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    arn = answer["Attributes"]["QueueArn"]
    # By its ARN: the addresses of two regions are the same.
    FORGOTTEN[arn] = {"RedriveAllowPolicy": properties.get("RedriveAllowPolicy")}
    return url, {"Arn": arn, "QueueName": properties["QueueName"]}


@kind("AWS::SQS::Queue", deletes("sqs", "delete_queue", QueueUrl="ID"), update_queue)
def queue(aws, properties, name):
    made = aws.call("sqs", "create_queue", QueueName=properties["QueueName"])
    return update_queue(aws, made["QueueUrl"], properties, name)


@kind("AWS::SQS::QueuePolicy", puts=True)
def queue_policy(aws, properties, name):
    for url in properties["Queues"]:
        policy = json.dumps(properties["PolicyDocument"])
        aws.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})
    return name, {}


@kind("AWS::SNS::Topic", deletes("sns", "delete_topic", TopicArn="ID"))
def topic(aws, properties, name):
    rest, name = split(properties, "TopicName")
    made = aws.call("sns", "create_topic", Name=name, **rest)["TopicArn"]
    return made, {"TopicArn": made, "TopicName": name}


@kind("AWS::SNS::TopicPolicy", puts=True)
def topic_policy(aws, properties, name):
    for arn in properties["Topics"]:
        aws.call("sns", "set_topic_attributes", TopicArn=arn, AttributeName="Policy",
                 AttributeValue=json.dumps(properties["PolicyDocument"]))
    return name, {}


simple("AWS::SNS::Subscription", "subscribe", "SubscriptionArn", "unsubscribe", {"SubscriptionArn": "ID"},
       service="sns")


@kind("AWS::CloudWatch::Alarm", deletes("cloudwatch", "delete_alarms", AlarmNames=["ID"]), puts=True)
def alarm(aws, properties, name):
    aws.call("cloudwatch", "put_metric_alarm", **properties)
    return properties["AlarmName"], {}


def delete_dashboard(aws, name, properties, keeps_copy):
    TAKEN.pop(("Dashboard", name))
    aws.call("cloudwatch", "delete_dashboards", DashboardNames=[name])


@kind("AWS::CloudWatch::Dashboard", delete_dashboard, puts=True)
def dashboard(aws, properties, name):
    json.loads(properties["DashboardBody"])
    claim(aws, "Dashboard", properties["DashboardName"], name)
    aws.call("cloudwatch", "put_dashboard", **properties)
    return properties["DashboardName"], {}


@kind("AWS::Logs::LogGroup", deletes("logs", "delete_log_group", logGroupName="ID"))
def log_group(aws, properties, name):
    rest, days = split(properties, "RetentionInDays")
    aws.call("logs", "create_log_group", **rest)
    aws.call("logs", "put_retention_policy", retentionInDays=days, **rest)
    return properties["LogGroupName"], {}


@kind("AWS::Logs::MetricFilter", deletes("logs", "delete_metric_filter", filterName="ID",
                                         logGroupName="LogGroupName"), puts=True)
def metric_filter(aws, properties, name):
    aws.call("logs", "put_metric_filter", filterName=name, **properties)
    return name, {}


def secret_values(aws, properties):
    rest, generate, tags = split(properties, "GenerateSecretString", "Tags")
    if generate:
        options, text, key = split(generate, "SecretStringTemplate", "GenerateStringKey")
        made = aws.call("secretsmanager", "get_random_password", **options)["RandomPassword"]
        rest["SecretString"] = json.dumps(json.loads(text) | {key: made}) if key else made
    return rest, tags


def update_secret(aws, arn, properties, name):
    # A changed GenerateSecretString makes a new value ("AWS::SecretsManager::Secret" in the template reference).
    rest, _tags = secret_values(aws, properties)
    aws.call("secretsmanager", "update_secret", SecretId=arn, **rest)
    return arn, {}


def delete_secret(aws, arn, properties, keeps_copy):
    aws.call("secretsmanager", "delete_secret", SecretId=arn)


@kind("AWS::SecretsManager::Secret", delete_secret, update_secret)
def secret(aws, properties, name):
    rest, tags = secret_values(aws, properties)
    rest |= {"Tags": tags} if tags else {}
    # A deleted secret keeps its name for days, so generated names differ.
    return aws.call("secretsmanager", "create_secret", Name=f"{name}-{uuid.uuid4().hex[:12]}", **rest)["ARN"], {}
