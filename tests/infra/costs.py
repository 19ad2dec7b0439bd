"""Computes the cost of a deployment from the templates and the list prices below, and prints the tables of
docs/deploy.md. A test compares them."""

from stacks import STACKS, template

HOURS = 730

# List prices of us-east-1 in USD, per hour unless stated otherwise.
PRICES = {
    "t3.small": 0.0208, "db.t3.micro": 0.018, "load balancer": 0.0225, "address": 0.005,
    "credit": 0.05,  # vCPU-hour of a T3 above its baseline
    "disk": 0.08 / HOURS, "database disk": 0.115 / HOURS,  # GB
    "secret": 0.40 / HOURS, "alarm": 0.10 / HOURS, "metric": 0.30 / HOURS,
    "S3 month": 0.023, "logs": 0.50, "S3 egress": 0.09,  # GB
    "S3 write": 0.005 / 1000, "S3 read": 0.0004 / 1000, "SQS": 0.40 / 1e6,
}

# Assumptions per video: the CPU time is measured (docs/scaling.md), the rest is typical of phones.
CPU_SECONDS = 40
ORIGINAL_GB, CLIP_GB = 0.060, 0.010
LOG_GB, WRITES, READS, SQS_CALLS = 8e-6, 12, 6, 12
VIEWS = 20

CORES, BASELINE = 2, 0.2


def count(kind):
    """Counts the unconditional resources of a type in all stacks but the CDN."""
    return sum(each["Type"] == kind and not each.get("Condition")
               for stack in STACKS if stack != "cdn" for each in template(stack)["Resources"].values())


def disk(stack):
    data = template(stack)["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    return data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]


def instance(stack):
    kind = template(stack)["Parameters"]["InstanceType"]["Default"]
    return PRICES[kind] + PRICES["address"] + disk(stack) * PRICES["disk"]


def hourly():
    """Returns USD per hour by purpose: idle, at the maximum size, parked."""
    database = template("rds")["Parameters"]
    storage = database["StorageGiB"]["Default"] * PRICES["database disk"]
    balancer = PRICES["load balancer"] + 2 * PRICES["address"]
    small = (count("AWS::SecretsManager::Secret") * PRICES["secret"] + count("AWS::CloudWatch::Alarm") * PRICES["alarm"]
             + count("AWS::Logs::MetricFilter") * PRICES["metric"])
    largest = {stack: template(stack)["Parameters"]["MaxSize"]["Default"] for stack in ("api", "workers")}
    surplus = CORES * (1 - BASELINE) * PRICES["credit"]
    return {
        "instances of the API": (instance("api"), largest["api"] * instance("api"), 0),
        "workers": (instance("workers"), largest["workers"] * instance("workers"), 0),
        "CPU of the workers above the baseline": (0, largest["workers"] * surplus, 0),
        "database": (PRICES[database["InstanceClass"]["Default"]] + storage,) * 2 + (storage,),
        "load balancer, two addresses": (balancer,) * 3,
        "secrets, alarms, metrics": (small,) * 3,
    }


def per_thousand():
    """Returns USD per thousand videos, in addition to the hourly costs."""
    hours = 1000 * CPU_SECONDS / 3600 / CORES
    return {
        f"{hours:.1f} hours of a worker": hours * instance("workers"),
        "its CPU above the baseline": hours * CORES * (1 - BASELINE) * PRICES["credit"],
        "requests and log": 1000 * (WRITES * PRICES["S3 write"] + READS * PRICES["S3 read"] + SQS_CALLS * PRICES["SQS"]
                                    + LOG_GB * PRICES["logs"]),
        "first month in S3": 1000 * (ORIGINAL_GB + CLIP_GB) * PRICES["S3 month"],
        f"{VIEWS} views of each, from S3": 1000 * VIEWS * CLIP_GB * PRICES["S3 egress"],
    }


def tables():
    rows = hourly()
    yield "| USD an hour | idle | at the maximum size | parked |"
    yield "|---|---|---|---|"
    for name, values in rows.items():
        yield f"| {name} | " + " | ".join(f"{value:.4f}" for value in values) + " |"
    totals = [sum(column) for column in zip(*rows.values())]
    yield "| **total** | " + " | ".join(f"**{total:.3f}**" for total in totals) + " |"
    yield "| per month | " + " | ".join(f"{total * HOURS:.0f}" for total in totals) + " |"
    yield ""
    yield "| USD for 1,000 videos | |"
    yield "|---|---|"
    videos = per_thousand()
    for name, value in videos.items():
        yield f"| {name} | {value:.2f} |"
    yield f"| **total** | **{sum(videos.values()):.2f}** |"


if __name__ == "__main__":
    print("\n".join(tables()))
