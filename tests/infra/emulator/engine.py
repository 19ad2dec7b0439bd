"""CloudFormation's part: parameters, functions, order, create, update, delete. Strict where moto is silent."""

import base64
import json
import re

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError

from . import kinds
from .aws import Aws
from .template import parse

REFERENCE = re.compile(r"\{\{resolve:([^}]*)\}\}")
PLACE = re.compile(r"\$\{(!?)([^}]*)\}")
SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions",
            "Resources", "Outputs"}
RESOURCE = {"Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata", "CreationPolicy",
            "Properties"}

# Which stacks import an export: (region, name) -> ids. One that is in use cannot be deleted.
IMPORTERS: dict[tuple[str, str], set[str]] = {}


def fail(message):
    raise ValidationError(message=message)


class Resource:
    """One resource that exists."""

    def __init__(self, logical_id, kind, properties, made):
        self.logical_resource_id, self.type, self.kind = logical_id, kind.type, kind
        self.cf_resource_type = kind.type
        self.properties, (self.physical_resource_id, self.attributes) = properties, made

    def attribute(self, name):
        if name not in self.attributes:
            fail(f"{self.type} has no attribute {name}")
        return self.attributes[name]


class Resources:
    """Takes the place of moto's resource map."""

    def __init__(self, stack_id, stack_name, parameters, tags, account_id, region_name, template,
                 cross_stack_resources):
        self.stack_id, self.template, self.exports = stack_id, template, cross_stack_resources
        self.input_parameters, self.made, self.aws = parameters, {}, Aws(region_name)
        self.name = stack_name
        self.pseudo = {"AWS::AccountId": account_id, "AWS::Region": region_name, "AWS::StackId": stack_id,
                       "AWS::StackName": stack_name, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}

    # What moto's stack asks for.

    def load(self):
        unknown = set(self.template) - SECTIONS
        for name, resource in self.template["Resources"].items():
            unknown |= set(resource) - RESOURCE
            if resource["Type"] not in kinds.KINDS:
                fail(f"{name}: the emulator does not know {resource['Type']}")
        if unknown:
            fail(f"the emulator does not know {sorted(unknown)}")
        self.resolved_parameters = self.check_parameters()
        self.no_echo_parameter_keys = [
            value for name, value in self.resolved_parameters.items()
            if self.template.get("Parameters", {})[name].get("NoEcho")]
        self.check_rules()
        self.check_maps(self.template)

    def create(self, template):
        for name in self.order():
            self.make(name)
        return True

    def creation_complete(self):
        return True

    def values(self):
        return list(self.made.values())

    def update(self, template, parameters=None):
        before = dict(self.made)
        self.template, self.input_parameters = template, parameters or {}
        self.load()
        changed = 0
        for name in self.order():
            changed += self.change(name) if name in before else self.make(name)
        wanted = set(self.order())
        for name in reversed([name for name in before if name not in wanted]):
            self.remove(name)
            changed += 1
        if not changed:
            fail("No updates are to be performed.")

    def check_unused(self):
        for export in Outputs(self, self.template).exports:
            if IMPORTERS.get((self.aws.region, export.name), set()) - {self.stack_id}:
                fail(f"Export {export.name} cannot be deleted as it is in use")

    def delete(self):
        for name in reversed(list(self.made)):
            self.remove(name)
        for stacks in IMPORTERS.values():
            stacks.discard(self.stack_id)

    # One resource.

    def plan(self, name):
        """Returns a kind and its properties. Dynamic references stay in them, since CloudFormation compares them as
        they are written and reads secrets only for a resource that it changes."""
        definition = self.template["Resources"][name]
        return kinds.KINDS[definition["Type"]], self.resolve(definition.get("Properties", {}))

    def make(self, name):
        kind, properties = self.plan(name)
        if self.template["Resources"][name].get("CreationPolicy") and properties.get("MinSize") in (0, "0"):
            fail(f"{name}: received 0 SUCCESS signals, since the group launches no instance")
        try:
            made = kind.create(self.aws, self.reveal(properties), f"{self.name}-{name}")
        except Exception as error:
            fail(f"{name}: {error}")
        self.made[name] = Resource(name, kind, properties, made)
        return 1

    def change(self, name):
        (kind, properties), old = self.plan(name), self.made[name]
        if kind is old.kind and properties == old.properties:
            return 0
        try:
            made = kind.change(self.aws, old.physical_resource_id, self.reveal(properties), f"{self.name}-{name}")
        except Exception as error:
            fail(f"{name}: {error}")
        self.made[name] = Resource(name, kind, properties, made)
        return 1

    def remove(self, name):
        definition, resource = self.template["Resources"].get(name, {}), self.made.pop(name)
        if definition.get("DeletionPolicy") != "Retain":
            keeps_copy = definition.get("DeletionPolicy") == "Snapshot"
            resource.kind.delete(self.aws, resource.physical_resource_id, resource.properties, keeps_copy)

    def order(self):
        """Names of the resources that exist under the conditions, each after what it refers to."""
        there = {name: resource for name, resource in self.template["Resources"].items()
                 if "Condition" not in resource or self.condition(resource["Condition"])}
        ordered = []

        def visit(name, path):
            if name in path:
                fail(f"Circular dependency: {' -> '.join([*path, name])}")
            if name in ordered:
                return
            depends = there[name].get("DependsOn", [])
            depends = [depends] if isinstance(depends, str) else depends
            for other in [*depends, *self.references(there[name].get("Properties", {}))]:
                if other in there:
                    visit(other, [*path, name])
            ordered.append(name)

        for name in there:
            visit(name, [])
        return ordered

    def references(self, node):
        match node:
            case {"Ref": name}:
                yield name
            case {"Fn::GetAtt": parts}:
                yield parts[0]
            case {"Fn::Sub": text}:
                text, own = text if isinstance(text, list) else (text, {})
                yield from (place.split(".")[0] for literal, place in PLACE.findall(text)
                            if not literal and place not in own)
                yield from self.references(own)
            case {"Fn::If": [condition, yes, no]}:
                yield from self.references(yes if self.condition(condition) else no)
            case dict():
                for value in node.values():
                    yield from self.references(value)
            case list():
                for value in node:
                    yield from self.references(value)

    # Parameters and functions.

    def given(self, name):
        """A parameter as it was passed, or its default."""
        return str(self.input_parameters.get(name, self.template["Parameters"][name].get("Default")))

    def check_parameters(self):
        known = self.template.get("Parameters", {})
        if unknown := set(self.input_parameters) - set(known):
            fail(f"Parameters: {sorted(unknown)} do not exist in the template")
        values = {}
        for name, rule in known.items():
            value = self.input_parameters.get(name, rule.get("Default"))
            if value is None:
                fail(f"Parameters: [{name}] must have values")
            values[name] = self.check_parameter(name, rule, str(value))
        return values

    def check_parameter(self, name, rule, value):
        kind, bounds = rule["Type"], {}
        if kind.startswith("AWS::SSM::Parameter::Value<"):
            return self.aws.call("ssm", "get_parameter", Name=value)["Parameter"]["Value"]
        if kind == "Number":
            if not re.fullmatch(r"-?\d+(\.\d+)?", value):
                fail(f"Parameter {name} must be a number")
            bounds = {"MinValue": float(value), "MaxValue": float(value)}
        elif kind != "String":
            fail(f"Parameter {name}: the emulator does not know the type {kind}")
        bounds |= {"MinLength": len(value), "MaxLength": len(value)}
        allowed = [str(each) for each in rule.get("AllowedValues", [value])]
        fits = value in allowed and re.fullmatch(rule.get("AllowedPattern", "(?s:.*)"), value)
        for bound, actual in bounds.items():
            limit = float(rule.get(bound, actual))
            fits = fits and (actual >= limit if bound.startswith("Min") else actual <= limit)
        if not fits:
            fail(f"Parameter {name} failed to satisfy constraint: {rule.get('ConstraintDescription', rule)}")
        return value

    def check_rules(self):
        for rule in self.template.get("Rules", {}).values():
            if self.condition(rule.get("RuleCondition", {"Fn::Equals": ["", ""]})):
                for each in rule["Assertions"]:
                    if not self.condition(each["Assert"]):
                        fail(f"Template validation error: {each['AssertDescription']}")

    def check_maps(self, node):
        """AWS looks up every map, even in a branch of Fn::If that does not apply (aws-cloudformation-templates#271)."""
        if isinstance(node, dict) and "Fn::FindInMap" in node:
            self.resolve(node)
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            self.check_maps(each)

    def condition(self, node):
        match node:
            case str():
                return self.condition(self.template["Conditions"][node])
            case {"Condition": name}:
                return self.condition(name)
            case {"Fn::Equals": [one, other]}:
                return str(self.resolve(one)) == str(self.resolve(other))
            case {"Fn::Not": [one]}:
                return not self.condition(one)
            case {"Fn::And": all_of}:
                return all(self.condition(each) for each in all_of)
            case {"Fn::Or": any_of}:
                return any(self.condition(each) for each in any_of)
        fail(f"the emulator does not know the condition {node}")

    def ref(self, name):
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.resolved_parameters:
            return self.resolved_parameters[name]
        if name in self.made:
            return self.made[name].physical_resource_id
        fail(f"Unresolved resource dependencies [{name}]")

    def resolve(self, node):
        if isinstance(node, list):
            return [self.resolve(each) for each in node if not self.is_no_value(each)]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self.ref(argument)
            if function.startswith("Fn::"):
                return self.call(function[4:], argument)
        return {key: self.resolve(value) for key, value in node.items() if not self.is_no_value(value)}

    def is_no_value(self, node):
        match node:
            case {"Ref": "AWS::NoValue"}:
                return True
            case {"Fn::If": [condition, yes, no]}:
                return self.is_no_value(yes if self.condition(condition) else no)
        return False

    def call(self, function, argument):
        match function, argument:
            case "If", [condition, yes, no]:
                return self.resolve(yes if self.condition(condition) else no)
            case "GetAtt", [name, *path]:
                if name not in self.made:
                    fail(f"Unresolved resource dependencies [{name}]")
                return self.made[name].attribute(".".join(path))
            case "Sub", _:
                text, own = argument if isinstance(argument, list) else (argument, {})
                own = self.resolve(own)
                return PLACE.sub(lambda place: self.substitute(place, own), text)
            case "ImportValue", _:
                return self.import_value(self.resolve(argument))
            case "Join", [separator, parts]:
                return separator.join(str(part) for part in self.resolve(parts))
            case "Split", [separator, text]:
                return self.resolve(text).split(separator)
            case "Select", [index, items]:
                return self.resolve(items)[int(index)]
            case "GetAZs", region:
                zones = self.aws.call("ec2", "describe_availability_zones")["AvailabilityZones"]
                return [zone["ZoneName"] for zone in zones if zone["RegionName"] == (region or self.aws.region)]
            case "FindInMap", path:
                found = self.template["Mappings"]
                for key in self.resolve(path):
                    if key not in found:
                        fail(f"Template error: Unable to get mapping for {'::'.join(self.resolve(path))}")
                    found = found[key]
                return found
            case "Base64", text:
                return base64.b64encode(self.resolve(text).encode()).decode()
        fail(f"the emulator does not know Fn::{function}")

    def substitute(self, place, own):
        literal, name = place.groups()
        if literal:
            return "${" + name + "}"
        if name in own:
            return str(own[name])
        resource, _, attribute = name.partition(".")
        return str(self.call("GetAtt", [resource, attribute]) if attribute else self.ref(resource))

    def import_value(self, name):
        if name not in self.exports:
            fail(f"No export named {name} found")
        IMPORTERS.setdefault((self.aws.region, name), set()).add(self.stack_id)
        return self.exports[name].value

    def reveal(self, node):
        """Replaces dynamic references by what they refer to at this moment."""
        match node:
            case str():
                return REFERENCE.sub(self.look_up, node)
            case list():
                return [self.reveal(each) for each in node]
            case dict():
                return {key: self.reveal(value) for key, value in node.items()}
        return node

    def look_up(self, reference):
        match reference[1].split(":"):
            case ["secretsmanager", *arn, "SecretString"] | ["secretsmanager", *arn, "SecretString", ""]:
                return self.aws.call("secretsmanager", "get_secret_value", SecretId=":".join(arn))["SecretString"]
            case ["secretsmanager", *arn, "SecretString", key]:
                secret = self.aws.call("secretsmanager", "get_secret_value", SecretId=":".join(arn))
                return json.loads(secret["SecretString"])[key]
            case ["ssm", name]:
                return self.aws.call("ssm", "get_parameter", Name=name)["Parameter"]["Value"]
        fail(f"the emulator does not know the reference {reference[0]}")


class Export:
    """moto asks for exports before anything is made: the value is looked up when somebody wants it."""

    def __init__(self, outputs, name, node):
        self.outputs, self.name, self.node = outputs, name, node
        self.exporting_stack_id = outputs.resources.stack_id

    @property
    def value(self):
        return self.outputs.resources.resolve(self.node)


class Outputs:
    """Takes the place of moto's output map."""

    def __init__(self, resources, template, stack_id=None):
        self.resources, self.outputs = resources, template.get("Outputs", {})

    def there(self):
        return {key: output for key, output in self.outputs.items()
                if "Condition" not in output or self.resources.condition(output["Condition"])}

    def values(self):
        return [parsing.Output(key, str(self.resources.resolve(output["Value"])), output.get("Description", ""))
                for key, output in self.there().items()]

    @property
    def exports(self):
        return [Export(self, self.resources.resolve(output["Export"]["Name"]), output["Value"])
                for output in self.there().values() if "Export" in output]


def delete_stack(backend, name_or_id, delete=models.CloudFormationBackend.delete_stack):
    # moto forgets a stack before it tries to delete it.
    for stack in backend.stacks.values():
        if name_or_id in (stack.name, stack.stack_id):
            stack.resource_map.check_unused()
    delete(backend, name_or_id)


def install():
    models.CloudFormationBackend.delete_stack = delete_stack
    models.ResourceMap, models.OutputMap = Resources, Outputs
    models.Stack.parse_template = staticmethod(parse)
