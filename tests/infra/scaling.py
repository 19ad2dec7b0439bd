"""Simulates the worker group second by second, without randomness.

Its model of AWS: each minute has one value of each metric, which is visible `late` minutes after the minute has ended.
A target tracking policy has two alarms on its expression: three minutes above its target grow the group, fifteen below
nine tenths of it shrink the group, proportionally. It does not shrink the group while an instance warms up. An
instance takes time to launch and then to boot. The expression is the deployed text, evaluated by the rules of *Using
metric math* in the CloudWatch User Guide; missing data is treated as *Configuring how CloudWatch alarms treat missing
data* says.
"""

import ast
import math
import operator
from dataclasses import dataclass, field, replace

LAUNCH, BOOT = 45, 60
OUT_POINTS, IN_POINTS, MARGIN = 3, 15, 0.9
# An alarm retrieves more minutes than it evaluates: five for three, in the guide's example.
EXTRA_POINTS = 2
# SQS sends no metrics of a queue that nothing has used for six hours.
SILENT_AFTER = 6 * 3600
CORES = 2
# The expression before it was found to ignore late data.
FILLED = "(FILL(visible,0)+FILL(inflight,0))/IF(FILL(workers,1)>0,FILL(workers,1),1)"


@dataclass(frozen=True)
class Policy:
    """The scaling policy of a group."""

    target: float
    warm_up: int
    smallest: int
    largest: int
    slots: int
    expression: str
    boot: int = BOOT
    # Whether busy workers are protected.
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
        largest=group["MaxSize"], slots=int(settings(account, "worker")["WORKER_CONCURRENCY"]), expression=expression,
        protects=settings(account, "worker").get("EC2_LIFECYCLE") == "on")


def earlier(policy):
    """Returns the earlier policy: the raw visible count, images built at boot, no protection of busy workers."""
    return replace(policy, boot=8 * 60, expression="visible", protects=False)


# --- CloudWatch ---

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Gt: operator.gt,
             ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le}


def evaluate(expression, metrics, minutes):
    """Evaluates metric math for these minutes. A time series is a dict without the minutes that have no value."""

    def value(node):
        match node:
            case ast.Constant(value=number):
                return number
            case ast.Name(id=name):
                return {minute: metrics[name][minute] for minute in minutes if minute in metrics[name]}
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return divide(value(left), value(right))
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                return pairwise(OPERATORS[type(op)], value(left), value(right))
            case ast.Call(func=ast.Name(id="FILL"), args=[series, ast.Name(id="REPEAT")]):
                return repeated(value(series))
            case ast.Call(func=ast.Name(id="FILL"), args=[series, filler]):
                return dict.fromkeys(minutes, value(filler)) | value(series)
            case ast.Call(func=ast.Name(id="IF"), args=[condition, *branches]):
                return chosen(value(condition), *(value(branch) for branch in branches))
        raise ValueError(f"unknown metric math: {ast.unparse(node)}")

    def repeated(series):
        filled, last = {}, None
        for minute in minutes:
            last = series.get(minute, last)
            if last is not None:
                filled[minute] = last
        return filled

    return value(ast.parse(expression, mode="eval").body)


def at(operand, minute, missing=0):
    return operand.get(minute, missing) if isinstance(operand, dict) else operand


def pairwise(function, left, right):
    """Where one of two series has no value, it counts as 0."""
    minutes = {minute for each in (left, right) if isinstance(each, dict) for minute in each}
    return {minute: function(at(left, minute), at(right, minute)) for minute in minutes}


def divide(left, right):
    """Drops a value instead of a division by zero."""
    quotients = pairwise(lambda one, other: one / other if other else None, left, right)
    return {minute: quotient for minute, quotient in quotients.items() if quotient is not None}


def chosen(condition, if_true, if_false=None):
    """Has no value where the condition has none."""
    result = {}
    for minute, holds in condition.items():
        branch = if_true if holds else if_false
        found = at(branch, minute, 0 if holds else None)
        if found is not None:
            result[minute] = found
    return result


def is_alarm(values, is_breaching, count):
    """Decides an alarm of `count` minutes out of `count` that treats missing data as missing. `values` are those of its
    evaluation range, the newest last, with None where there is none."""
    real = [(index, is_breaching(value)) for index, value in enumerate(values) if value is not None]
    if len(real) >= count:
        return all(breaching for _, breaching in real[-count:])
    # Fewer values than it evaluates: an alarm only if the oldest is old enough and none is within the threshold.
    return bool(real) and all(breaching for _, breaching in real) and len(values) - real[0][0] >= count


# --- The group ---

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


def simulate(policy, arrivals, job_seconds, hours, phase=0, late=0, group_late=0):
    """Simulates `arrivals` (second -> videos) of `job_seconds` each. `phase` is the second at which a minute of the
    metrics begins; `late` and `group_late` are the minutes by which those of SQS and of the group come late."""
    result, waiting, used = Run(), [], 0
    workers = [Worker(-10**6, -10**6) for _ in range(policy.smallest)]
    desired, metrics = policy.smallest, {"visible": {}, "inflight": {}, "workers": {}}
    for now in range(hours * 3600):
        waiting += [job_seconds] * arrivals.get(now, 0)
        for worker in workers:
            work(worker, waiting, policy, now)
        running = sum(len(worker.running) for worker in workers)
        backlog = len(waiting) + running
        # The polls of workers count as use, too; without them, the test of a silent queue covers more.
        used = now if backlog else used
        if now % 60 == phase % 60:
            minute = now // 60
            if now - used < SILENT_AFTER:
                metrics["visible"][minute] = len(waiting)
            # Reported only while messages are in flight.
            if running:
                metrics["inflight"][minute] = running
            metrics["workers"][minute] = sum(worker.in_service <= now for worker in workers)
            wanted = decide(policy, visible_at(metrics, minute, late, group_late), minute, desired, workers, now)
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


def visible_at(metrics, minute, late, group_late):
    """The values that CloudWatch has when a minute begins."""
    oldest = minute - IN_POINTS - EXTRA_POINTS
    lateness = {"visible": late, "inflight": late, "workers": group_late}
    return {name: {each: values[each] for each in range(oldest, minute - lateness[name]) if each in values}
            for name, values in metrics.items()}


def work(worker, waiting, policy, now):
    """Simulates one second of a worker: it fills its slots, and its running jobs share its processors."""
    if worker.ready > now:
        return
    while waiting and len(worker.running) < policy.slots:
        worker.running.append(waiting.pop(0))
    share = min(1, CORES / max(len(worker.running), 1))
    worker.running = [left - share for left in worker.running if left > share]


def decide(policy, metrics, minute, desired, workers, now):
    """Returns the capacity that the policy requests when this minute begins."""

    def alarm(count, is_breaching):
        """Evaluates the expression over the range of an alarm. Returns its newest value if the alarm is on."""
        minutes = range(minute - count - EXTRA_POINTS, minute)
        found = evaluate(policy.expression, metrics, minutes)
        if is_alarm([found.get(each) for each in minutes], is_breaching, count):
            return found[max(found)]
        return None

    newest = alarm(OUT_POINTS, lambda value: value > policy.target)
    if newest is not None:
        return max(desired, min(policy.largest, math.ceil(desired * newest / policy.target)))
    warms_up = any(worker.in_service + policy.warm_up > now for worker in workers)
    newest = None if warms_up else alarm(IN_POINTS, lambda value: value < policy.target * MARGIN)
    if newest is not None:
        return min(desired, max(policy.smallest, math.ceil(desired * newest / policy.target)))
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
