"""An AWS for the tests: moto, with a CloudFormation that fails on what it does not know."""
