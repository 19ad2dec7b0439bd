"""Computes the cost of a deployment from the templates and the list prices below, and prints the tables of
docs/deploy.md. A test compares them."""

import json
import re

from stacks import STACKS, template

HOURS = 730

# List prices of us-east-1 in USD, per hour unless stated otherwise; those of CloudFront are of South America.
PRICES = {
    "t3.small": 0.0208, "c7i-flex.large": 0.08479, "m7i-flex.large": 0.09576, "db.t3.micro": 0.018,
    "credit": 0.05,  # vCPU-hour of a T3 above its baseline
    "load balancer": 0.0225, "LCU": 0.008, "address": 0.005,
    "disk": 0.08 / HOURS, "database disk": 0.115 / HOURS,  # GB
    "secret": 0.40 / HOURS, "alarm": 0.10 / HOURS, "metric": 0.30 / HOURS,
    "metric request": 0.01 / 1000,
    "S3 month": 0.023, "logs": 0.50, "S3 egress": 0.09, "CDN egress": 0.110,  # GB
    "S3 write": 0.005 / 1000, "S3 read": 0.0004 / 1000, "SQS": 0.40 / 1e6,
    "CDN request": 0.0220 / 10_000, "CDN function": 0.10 / 1e6,
}

# Assumptions per video: the CPU time is measured (docs/scaling.md), the rest is typical of phones.
CPU_SECONDS = 40
ORIGINAL_GB, CLIP_GB = 0.060, 0.010
LOG_GB, WRITES, READS, SQS_CALLS = 8e-6, 12, 6, 12
# Requests of a view: a page, its files and pictures, parts of the clip. The function sees one of two.
VIEWS, REQUESTS_PER_VIEW = 20, 12

CORES, BASELINE = 2, 0.2
# One LCU hour has room for so much traffic (GB), the dimension that uploads use most.
GB_PER_LCU = 1


def count(kind):
    """Counts the unconditional resources of a type in all stacks but the CDN."""
    return sum(each["Type"] == kind and not each.get("Condition")
               for stack in STACKS if stack != "cdn" for each in template(stack)["Resources"].values())


def disk(stack):
    data = template(stack)["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    return data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]


def instance(stack):
    kind = template(stack)["Parameters"]["InstanceType"]["Default"]
    # The instance reports its memory and disk every minute.
    return PRICES[kind] + PRICES["address"] + disk(stack) * PRICES["disk"] + 60 * PRICES["metric request"]


def reported(stack):
    """Returns the metrics that the instances of a group send."""
    data = template(stack)["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    return set(re.findall(r"MetricName=(\w+),Value", json.dumps(data["UserData"])))


def billed_alarms():
    """Counts alarms as CloudWatch bills them: an alarm of metric math for each of its metrics. A policy of target
    tracking has two alarms of its own."""
    found = count("AWS::CloudWatch::Alarm")
    for stack in ("api", "workers"):
        for each in template(stack)["Resources"].values():
            if each["Type"] == "AWS::AutoScaling::ScalingPolicy":
                rule = each["Properties"]["TargetTrackingConfiguration"]
                metrics = rule.get("CustomizedMetricSpecification", {}).get("Metrics", [])
                found += 2 * max(1, sum("MetricStat" in metric for metric in metrics))
    return found


def hourly():
    """Returns USD per hour by purpose: idle, highly available and idle, at the maximum size, parked."""
    database = template("rds")["Parameters"]
    storage = database["StorageGiB"]["Default"] * PRICES["database disk"]
    running = PRICES[database["InstanceClass"]["Default"]] + storage
    balancer = PRICES["load balancer"] + 2 * PRICES["address"]
    small = (count("AWS::SecretsManager::Secret") * PRICES["secret"] + billed_alarms() * PRICES["alarm"]
             + (count("AWS::Logs::MetricFilter") + len(reported("api")) + len(reported("workers"))) * PRICES["metric"])
    largest = {stack: template(stack)["Parameters"]["MaxSize"]["Default"] for stack in ("api", "workers")}
    surplus = CORES * (1 - BASELINE) * PRICES["credit"]
    return {
        "instances of the API": (instance("api"), 2 * instance("api"), largest["api"] * instance("api"), 0),
        "workers": (instance("workers"), 2 * instance("workers"), largest["workers"] * instance("workers"), 0),
        "CPU of the workers above the baseline": (0, 0, largest["workers"] * surplus, 0),
        "database, with its standby": (running, 2 * running, running, storage),
        "load balancer, two addresses": (balancer,) * 4,
        "secrets, alarms, metrics": (small,) * 4,
    }


def per_thousand():
    """Returns USD per thousand videos, in addition to the hourly costs: without the CDN, and with it beyond its free
    tier."""
    hours = 1000 * CPU_SECONDS / 3600 / CORES
    views, requests = 1000 * VIEWS, 1000 * VIEWS * REQUESTS_PER_VIEW
    both = {
        f"{hours:.1f} hours of a worker": hours * instance("workers"),
        "its CPU above the baseline": hours * CORES * (1 - BASELINE) * PRICES["credit"],
        "requests and log": 1000 * (WRITES * PRICES["S3 write"] + READS * PRICES["S3 read"] + SQS_CALLS * PRICES["SQS"]
                                    + LOG_GB * PRICES["logs"]),
        "capacity units of the load balancer, for the uploads": 1000 * ORIGINAL_GB / GB_PER_LCU * PRICES["LCU"],
        "first month in S3": 1000 * (ORIGINAL_GB + CLIP_GB) * PRICES["S3 month"],
    }
    rows = {name: (value, value) for name, value in both.items()}
    rows[f"traffic of {VIEWS} views each"] = tuple(views * CLIP_GB * PRICES[f"{way} egress"] for way in ("S3", "CDN"))
    rows[f"{REQUESTS_PER_VIEW} requests of each view"] = (
        0, requests * PRICES["CDN request"] + requests / 2 * PRICES["CDN function"])
    return rows


def types():
    """Returns for types of a worker: USD per hour idle, per hour with both processors busy, for the CPU of a thousand
    videos, and the load above which the type is cheaper than a t3.small."""
    hours = 1000 * CPU_SECONDS / 3600 / CORES
    small = PRICES["t3.small"]
    full = small + CORES * (1 - BASELINE) * PRICES["credit"]
    yield "t3.small", small, full, hours * full, None
    for name in ("c7i-flex.large", "m7i-flex.large"):
        price = PRICES[name]
        yield name, price, price, hours * price, BASELINE + (price - small) / CORES / PRICES["credit"]


def table(head, rows, digits, total_digits):
    yield f"| {head} |"
    yield "|" + "---|" * (head.count("|") + 1)
    for name, values in rows.items():
        yield f"| {name} | " + " | ".join(f"{value:.{digits}f}" for value in values) + " |"
    totals = [sum(column) for column in zip(*rows.values())]
    yield "| **total** | " + " | ".join(f"**{total:.{total_digits}f}**" for total in totals) + " |"


def tables():
    rows = hourly()
    yield from table("USD an hour | idle | `--high-availability`, idle | at the maximum size | parked", rows, 4, 3)
    yield "| per month | " + " | ".join(f"{sum(column) * HOURS:.0f}" for column in zip(*rows.values())) + " |"
    yield ""
    yield from table("USD for 1,000 videos | `--no-cdn` | CDN, beyond its free tier", per_thousand(), 2, 2)
    yield ""
    yield "| worker | USD an hour, idle | USD an hour, busy | USD for the CPU of 1,000 videos | cheaper than t3.small |"
    yield "|---|---|---|---|---|"
    for name, idle, busy, videos, load in types():
        cheaper = "" if load is None else f"above {load:.0%} load"
        yield f"| {name} | {idle:.4f} | {busy:.4f} | {videos:.2f} | {cheaper} |"


if __name__ == "__main__":
    print("\n".join(tables()))
