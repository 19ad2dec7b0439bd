"""Reads a template as CloudFormation does: short functions become long ones, a key that is there twice is a mistake."""

import yaml


class Loader(yaml.SafeLoader):
    pass


def function(loader, suffix, node):
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise yaml.YAMLError(f"twice in one place: {twice}")
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", function)
Loader.add_constructor("tag:yaml.org,2002:map", mapping)


def parse(text):
    return yaml.load(text, Loader=Loader)
