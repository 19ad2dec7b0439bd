"""Calls the emulator's own API. The models of boto3 know every parameter, so an unknown property fails here."""

import os

import boto3
from botocore.config import Config


class Aws:
    """The clients of one region."""

    def __init__(self, region):
        self.region, self.clients = region, {}

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service, region_name=self.region, endpoint_url=os.environ["AWS_ENDPOINT_URL"],
                aws_access_key_id="test", aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))
        return self.clients[service]

    def call(self, service, operation, **parameters):
        client = self.client(service)
        return getattr(client, operation)(**self.shaped(client, operation, parameters))

    def shaped(self, client, operation, parameters):
        name = client.meta.method_to_api_mapping[operation]
        return fit(parameters, client.meta.service_model.operation_model(name).input_shape, operation)

    def check(self, service, operation, **parameters):
        """Validates a call that moto does not have."""
        client = self.client(service)
        name = client.meta.method_to_api_mapping[operation]
        shape = client.meta.service_model.operation_model(name).input_shape
        from botocore.validate import validate_parameters
        validate_parameters(self.shaped(client, operation, parameters), shape)


def fit(value, shape, where):
    """Gives a template's value the type of the API's: templates write numbers as text, text as numbers, the first
    letter large, and CloudFront's lists without their length."""
    match shape.type_name:
        case "structure" if isinstance(value, list) and {"Quantity", "Items"} <= set(shape.members):
            items = [fit(each, shape.members["Items"].member, where) for each in value]
            return {"Quantity": len(items), **({"Items": items} if items else {})}
        case "structure" if isinstance(value, dict):
            fitted = {}
            for key, each in value.items():
                member = key if key in shape.members else key[:1].lower() + key[1:]
                if member not in shape.members:
                    raise ValueError(f"{where}: unknown property {key}")
                fitted[member] = fit(each, shape.members[member], f"{where}.{key}")
            return fitted
        case "list" if isinstance(value, list):
            return [fit(each, shape.member, where) for each in value]
        case "map" if isinstance(value, dict):
            allowed = getattr(shape.key, "enum", None)
            if unknown := allowed and set(value) - set(allowed):
                raise ValueError(f"{where}: unknown {sorted(unknown)}")
            return {key: fit(each, shape.value, where) for key, each in value.items()}
        case "boolean" if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        case "integer" | "long" if isinstance(value, str):
            return int(value)
        case "float" | "double" if isinstance(value, str):
            return float(value)
        case "string":
            if isinstance(value, (bool, int, float)):
                value = str(value).lower() if isinstance(value, bool) else str(value)
            if shape.enum and value not in shape.enum:
                raise ValueError(f"{where}: {value} is none of {shape.enum}")
    return value
