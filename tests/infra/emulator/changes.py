"""Change sets, as `aws cloudformation deploy` uses them: moto's know nothing of imports, outputs and earlier values.
And instance refreshes, which moto has not."""

import uuid
from collections import Counter

from moto.autoscaling import models, responses as autoscaling
from moto.cloudformation import responses as cloudformation
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.ssm import models as ssm

from .template import parse

CHANGE_SETS: dict[str, dict] = {}
# By group, the latest first, as AWS lists them.
REFRESHES: dict[tuple[str, str], list[dict]] = {}
# What an agent is asked in vain: text in a command's script, and how often.
FAILING: Counter[str] = Counter()


def create_change_set(self):
    name, is_update = self._get_param("StackName"), self._get_param("ChangeSetType") == "UPDATE"
    stack = self.cloudformation_backend.get_stack(name) if is_update else None
    template = self._get_param("TemplateBody")
    parameters = {
        each["ParameterKey"]: stack.resource_map.given(each["ParameterKey"]) if each.get("UsePreviousValue")
        else each["ParameterValue"] for each in self._get_param("Parameters", [])}
    is_empty = is_update and parse(template) == stack.template_dict and all(
        stack.resource_map.given(key) == value for key, value in parameters.items())
    made = {"ChangeSetId": f"arn:aws:cloudformation:{self.region}:123456789012:changeSet/{uuid.uuid4()}",
            "ChangeSetName": self._get_param("ChangeSetName"), "StackName": name,
            "Status": "FAILED" if is_empty else "CREATE_COMPLETE",
            "StatusReason": "The submitted information didn't contain changes." if is_empty else None}
    CHANGE_SETS[made["ChangeSetId"]] = made | {"is_update": is_update, "template": template, "given": parameters}
    return ActionResult({"Id": made["ChangeSetId"], "StackId": name})


def describe_change_set(self):
    made = CHANGE_SETS[self._get_param("ChangeSetName")]
    return ActionResult({key: value for key, value in made.items() if key[0].isupper() and value} | {"Parameters": {}, "Changes": []})


def execute_change_set(self):
    made, backend = CHANGE_SETS[self._get_param("ChangeSetName")], self.cloudformation_backend
    if made["is_update"]:
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in made["given"].items()]
        backend.update_stack(made["StackName"], made["template"], None, given, None)
    else:
        backend.create_stack(made["StackName"], made["template"], made["given"])
    return EmptyResult()


def start_instance_refresh(self):
    group = self._get_param("AutoScalingGroupName")
    refreshes = REFRESHES.setdefault((self.region, group), [])
    if refreshes and refreshes[0]["Status"] == "InProgress":
        raise JsonRESTError("InstanceRefreshInProgress", "An Instance Refresh is already in progress")
    refreshes.insert(0, {"InstanceRefreshId": str(uuid.uuid4()), "AutoScalingGroupName": group,
                         "Status": "InProgress", "Preferences": self._get_param("Preferences")})
    return ActionResult({"InstanceRefreshId": refreshes[0]["InstanceRefreshId"]})


def describe_instance_refreshes(self):
    refreshes = REFRESHES.get((self.region, self._get_param("AutoScalingGroupName")), [])
    answer = ActionResult({"InstanceRefreshes": [dict(each) for each in refreshes]})
    for refresh in refreshes:
        if refresh["Status"] == "InProgress":
            refresh["Status"] = "Failed" if waits_in_vain(self, refresh) else "Successful"
    return answer


def waits_in_vain(self, refresh):
    """AWS waits an hour for somebody to remove the protection, then fails (API reference, RefreshPreferences)."""
    group = self.autoscaling_backend.autoscaling_groups[refresh["AutoScalingGroupName"]]
    return (refresh["Preferences"].get("ScaleInProtectedInstances", "Wait") == "Wait"
            and any(each.protected_from_scale_in for each in group.instance_states))


def set_instance_protection(self, group_name, instance_ids, protected_from_scale_in,
                            original=models.AutoScalingBackend.set_instance_protection):
    original(self, group_name, instance_ids, protected_from_scale_in)
    # Protected instances survived a smaller size; moto forgets to terminate them afterwards.
    self.set_desired_capacity(group_name, self.autoscaling_groups[group_name].desired_capacity)


def send_command(self, *arguments, original=ssm.SimpleSystemManagerBackend.send_command, **named):
    command = original(self, *arguments, **named)
    asked = str(named["parameters"])
    if text := next((text for text, left in FAILING.items() if left and text in asked), None):
        FAILING[text] -= 1
        command.status = "Failed"
        for invocation in command.invocations:
            invocation["Status"] = "Failed"
    return command


def install():
    for method in (create_change_set, describe_change_set, execute_change_set):
        setattr(cloudformation.CloudFormationResponse, method.__name__, method)
    for method in (start_instance_refresh, describe_instance_refreshes):
        setattr(autoscaling.AutoScalingResponse, method.__name__, method)
    models.AutoScalingBackend.set_instance_protection = set_instance_protection
    ssm.SimpleSystemManagerBackend.send_command = send_command
