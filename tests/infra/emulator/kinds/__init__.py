"""Every type of resource that the templates use, made by the API that AWS would use for it."""

from dataclasses import dataclass
from typing import Callable

KINDS = {}


@dataclass(frozen=True)
class Kind:
    type: str
    # (aws, properties, generated name) -> (what Ref gives, what GetAtt gives)
    create: Callable
    # (aws, physical id, properties, keeps a copy)
    delete: Callable
    # (aws, physical id, properties, generated name); without one a changed resource is replaced
    update: Callable | None = None

    def change(self, aws, physical_id, properties, name):
        if self.update is None:
            raise NotImplementedError(f"{self.type} would be replaced: say how the emulator does that")
        return self.update(aws, physical_id, properties, name)


def kind(type_name, delete=None, update=None, puts=False):
    """Registers a `create`. `puts`: the call that creates also changes."""

    def register(create):
        def again(aws, physical_id, properties, name):
            return create(aws, properties, name)

        KINDS[type_name] = Kind(type_name, create, delete or (lambda *_: None), again if puts else update)
        return create

    return register


def deletes(service, operation, **by):
    """A delete by the physical id (`ID`) or by properties."""

    def delete(aws, physical_id, properties, keeps_copy):
        values = {key: physical_id if value == "ID" else [physical_id] if value == ["ID"] else properties[value]
                  for key, value in by.items()}
        aws.call(service, operation, **values)

    return delete


def split(properties, *names):
    """The properties without some, which another call takes."""
    rest = {key: value for key, value in properties.items() if key not in names}
    return rest, *(properties.get(name) for name in names)


# Names that must be unique in the account, since their service has no regions: (type, name) -> (region, stack's name).
TAKEN: dict[tuple[str, str], tuple[str, str]] = {}


def claim(aws, type_name, name, owner):
    if TAKEN.setdefault((type_name, name), (aws.region, owner)) != (aws.region, owner):
        raise ValueError(f"{type_name} {name} exists already in this account")


def tagged(properties, resource_type):
    rest, tags = split(properties, "Tags")
    return rest | ({"TagSpecifications": [{"ResourceType": resource_type, "Tags": tags}]} if tags else {})


def simple(type_name, create, answer, delete, delete_by, tag=None, service="ec2", attributes=lambda p: {}):
    @kind(type_name, deletes(service, delete, **delete_by))
    def make(aws, properties, name):
        made = aws.call(service, create, **(tagged(properties, tag) if tag else properties))
        for key in answer.split("."):
            made = made[key]
        return made, attributes(properties)


# Each of them registers its kinds.
from . import access, balancing, data, delivery, messages, network  # noqa: E402, F401
