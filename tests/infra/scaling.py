"""Simulates the worker group second by second, without randomness.

Its model of AWS: metrics are published once a minute and visible a minute later. A target tracking policy grows the
group after three datapoints above its target and shrinks it after fifteen below nine tenths of it, proportionally. It
does not shrink the group while an instance warms up. An instance takes time to launch and then to boot.
"""

import math
import re
from dataclasses import dataclass, field, replace

LAUNCH, BOOT = 45, 60
PUBLISHED_AFTER = 60
OUT_POINTS, IN_POINTS, MARGIN = 3, 15, 0.9
CORES = 2


@dataclass(frozen=True)
class Policy:
    """The scaling policy of a group."""

    target: float
    warm_up: int
    smallest: int
    largest: int
    slots: int
    boot: int = BOOT
    # Whether the metric is waiting and running jobs per worker, and whether busy workers are protected.
    per_worker: bool = True
    protects: bool = True


def deployed(account):
    """Reads the policy that the templates deployed."""
    from test_user_data import settings

    policy, group = account.policy("worker"), account.group("worker")
    tracking = policy["TargetTrackingConfiguration"]
    metrics = {each["Id"]: each for each in tracking["CustomizedMetricSpecification"]["Metrics"]}
    (expression,) = [each["Expression"] for each in metrics.values() if each["ReturnData"]]
    return Policy(
        target=tracking["TargetValue"], warm_up=policy["EstimatedInstanceWarmup"], smallest=group["MinSize"],
        largest=group["MaxSize"], slots=int(settings(account, "worker")["WORKER_CONCURRENCY"]),
        per_worker=bool(re.fullmatch(r"\(FILL\(visible,0\)\+FILL\(inflight,0\)\)/IF\(.*workers.*\)", expression)),
        protects=settings(account, "worker").get("EC2_LIFECYCLE") == "on")


def earlier(policy):
    """Returns the earlier policy: the raw visible count, images built at boot, no protection of busy workers."""
    return replace(policy, boot=8 * 60, per_worker=False, protects=False)


@dataclass
class Worker:
    in_service: int
    ready: int
    # Remaining CPU seconds of each running job.
    running: list = field(default_factory=list)


@dataclass
class Run:
    """The course of a simulation: values for each second, and the decisions."""

    backlog: list = field(default_factory=list)
    ready: list = field(default_factory=list)
    desired: list = field(default_factory=list)
    decisions: list = field(default_factory=list)
    interrupted: int = 0
    worker_seconds: int = 0

    def minutes_until_ready(self, count):
        return self.ready.index(count) / 60 if count in self.ready else math.inf

    def minutes_until_drained(self):
        busy = [second for second, backlog in enumerate(self.backlog) if backlog]
        return (busy[-1] + 1) / 60 if busy else 0

    def minutes_until_smallest(self):
        large = [second for second, ready in enumerate(self.ready) if ready > 1]
        if not large:
            return 0
        return math.inf if large[-1] == len(self.ready) - 1 else (large[-1] + 1) / 60

    def flaps(self, within=600):
        """Counts decisions that reverse the previous one within ten minutes."""
        pairs = zip(self.decisions, self.decisions[1:])
        return sum((one[1] > 0) != (other[1] > 0) and other[0] - one[0] < within for one, other in pairs)


def simulate(policy, arrivals, job_seconds, hours, phase=0):
    """Simulates `arrivals` (second -> videos) of `job_seconds` each. `phase` is the second of a minute at which metrics
    are taken."""
    result, waiting = Run(), []
    workers = [Worker(-10**6, -10**6) for _ in range(policy.smallest)]
    desired, points, published = policy.smallest, [], []
    for now in range(hours * 3600):
        waiting += [job_seconds] * arrivals.get(now, 0)
        for worker in workers:
            work(worker, waiting, policy, now)
        backlog = len(waiting) + sum(len(worker.running) for worker in workers)
        in_service = sum(worker.in_service <= now for worker in workers)
        if now % 60 == phase % 60:
            value = backlog / max(in_service, 1) if policy.per_worker else len(waiting)
            published.append((now + PUBLISHED_AFTER, value))
        if published and published[0][0] <= now:
            points.append(published.pop(0)[1])
            wanted = decide(policy, points, desired, workers, now)
            if wanted != desired:
                result.decisions.append((now, wanted - desired))
                desired = wanted
        while len(workers) < desired:
            workers.append(Worker(now + LAUNCH, now + LAUNCH + policy.boot))
        result.interrupted += shrink(policy, workers, desired, waiting)
        result.backlog.append(backlog)
        result.ready.append(sum(worker.ready <= now for worker in workers))
        result.desired.append(desired)
        result.worker_seconds += len(workers)
    return result


def work(worker, waiting, policy, now):
    """Simulates one second of a worker: it fills its slots, and its running jobs share its processors."""
    if worker.ready > now:
        return
    while waiting and len(worker.running) < policy.slots:
        worker.running.append(waiting.pop(0))
    share = min(1, CORES / max(len(worker.running), 1))
    worker.running = [left - share for left in worker.running if left > share]


def decide(policy, points, desired, workers, now):
    """Returns the capacity that the policy requests for these datapoints."""
    last_out, last_in = points[-OUT_POINTS:], points[-IN_POINTS:]
    counted = desired if policy.per_worker else max(desired, 1)
    if len(last_out) == OUT_POINTS and min(last_out) > policy.target:
        return max(desired, min(policy.largest, math.ceil(counted * points[-1] / policy.target)))
    warms_up = any(worker.in_service + policy.warm_up > now for worker in workers)
    if len(last_in) == IN_POINTS and max(last_in) < policy.target * MARGIN and not warms_up:
        return min(desired, max(policy.smallest, math.ceil(desired * points[-1] / policy.target)))
    return desired


def shrink(policy, workers, desired, waiting):
    """Terminates excess workers, and returns the number of interrupted jobs. A protected worker stays until it is
    idle."""
    interrupted = 0
    for worker in list(workers):
        if len(workers) <= desired:
            break
        if policy.protects and worker.running:
            continue
        workers.remove(worker)
        interrupted += len(worker.running)
        waiting += worker.running
    return interrupted


BURST = {60: 50}
STEADY = {second: 1 for second in range(60, 4 * 3600, 25)}
SAWTOOTH = {60 + 2400 * tooth + 20 * video: 2 for tooth in range(4) for video in range(30)}

# Name -> arrivals, CPU seconds of each video, hours.
SCENARIOS = {
    "burst": (BURST, 40, 1),
    "steady": (STEADY, 40, 4),
    "sawtooth": (SAWTOOTH, 40, 4),
    "long": (BURST, 900, 5),
}
