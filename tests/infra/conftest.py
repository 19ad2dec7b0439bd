"""Provides one emulator for all tests. The commands deploy us-east-1 once; tests with changes use another region."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from emulator.server import emulator  # noqa: E402
from stacks import Account, STACKS, commands, run  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def aws():
    with emulator():
        yield


@pytest.fixture(scope="session")
def account(aws):
    """The account after the commands, and with the CDN."""
    account = Account()
    for stack, block in commands().items():
        run(block)
        if stack in STACKS:
            account.cloudformation.get_waiter("stack_create_complete").wait(StackName=f"anb-production-{stack}")
    account.create("cdn")
    return account


@pytest.fixture(scope="session")
def other(aws):
    """A deployment in another region, for tests that change it. They depend on the order in their file."""
    account = Account("us-west-2")
    for stack in STACKS:
        account.create(stack)
    return account

