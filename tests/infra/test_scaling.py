"""Simulates the worker group under load, with the values that the templates deployed."""

from dataclasses import replace

import pytest

from scaling import BURST, FILLED, OUT_POINTS, SCENARIOS, deployed, earlier, evaluate, is_alarm, simulate

PHASES = range(0, 60, 15)
FIFTY_FOUR = {60: 54}
LATE = range(4)


@pytest.fixture(scope="module")
def ours(account):
    return deployed(account)


def run(policy, scenario, phase=0):
    return simulate(policy, *SCENARIOS[scenario], phase=phase)


@pytest.mark.parametrize("phase", PHASES)
def test_burst_gets_three_workers_in_six_minutes_and_leaves_one_after_thirty(ours, phase):
    result = run(ours, "burst", phase)
    arrived = min(BURST) / 60
    assert result.minutes_until_ready(3) - arrived <= 6
    assert result.minutes_until_smallest() - arrived <= 30
    assert (result.interrupted, result.flaps()) == (0, 0)
    assert result.backlog[-1] == 0


def test_steady_load_of_one_worker_changes_nothing(ours):
    assert run(ours, "steady").decisions == []


@pytest.mark.parametrize("phase", PHASES)
def test_sawtooth_load_causes_no_flaps(ours, phase):
    result = run(ours, "sawtooth", phase)
    assert max(result.ready) > 1
    assert (result.interrupted, result.flaps()) == (0, 0)
    assert result.backlog[-1] == 0


def test_job_of_fifteen_minutes_is_not_interrupted(ours):
    result = run(ours, "long")
    assert (result.interrupted, result.flaps(), result.backlog[-1]) == (0, 0, 0)
    assert result.minutes_until_smallest() < 5 * 60


def test_long_jobs_are_interrupted_without_protection(ours):
    assert run(replace(ours, protects=False), "long").interrupted > 0


def test_earlier_policy_is_slower_and_interrupts_jobs(ours):
    before, after = run(earlier(ours), "burst"), run(ours, "burst")
    assert before.minutes_until_ready(3) > after.minutes_until_ready(3) + 5
    assert run(earlier(ours), "long").interrupted > 0


def test_shorter_warm_up_does_not_delay_scale_in(ours):
    short = run(replace(ours, warm_up=120), "burst")
    assert short.minutes_until_smallest() <= run(ours, "burst").minutes_until_smallest()
    assert (short.interrupted, short.flaps()) == (0, 0)


def test_hundreds_of_workers_process_3000_videos(ours):
    result = simulate(replace(ours, largest=300), {60: 3000}, 40, 1)
    assert max(result.ready) == 300
    assert result.minutes_until_drained() <= 12
    assert (result.interrupted, result.flaps(), result.ready[-1]) == (0, 0, 1)


# --- late and missing data ---

@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("group_is_late", [False, True])
def test_burst_gets_three_workers_in_six_minutes_and_the_delay_of_the_metrics(ours, phase, late, group_is_late):
    result = simulate(ours, FIFTY_FOUR, 40, 1, phase, late, late if group_is_late else 0)
    assert result.minutes_until_ready(3) - min(FIFTY_FOUR) / 60 <= 6 + late
    assert result.minutes_until_smallest() - min(FIFTY_FOUR) / 60 <= 30
    assert (result.interrupted, result.flaps(), result.backlog[-1], result.ready[-1]) == (0, 0, 0, 1)


def test_filled_expression_never_grows_the_group_when_metrics_are_late(ours):
    filled = replace(ours, expression=FILLED)
    assert simulate(filled, FIFTY_FOUR, 40, 1).minutes_until_ready(3) <= 7
    for late in LATE[1:]:
        for phase in PHASES:
            assert simulate(filled, FIFTY_FOUR, 40, 1, phase, late).decisions == []


@pytest.mark.parametrize("late", LATE)
def test_silent_queue_leaves_one_worker_and_wakes_up(ours, late):
    """SQS sends no metrics of a queue that has been idle for six hours."""
    again = 8 * 3600
    result = simulate(ours, FIFTY_FOUR | {again: 54}, 40, 9, late=late)
    assert set(result.ready[40 * 60:again]) == {1}
    assert [change for _, change in result.decisions] == [2, -2, 2, -2]
    assert result.ready.index(3, again) - again <= (6 + late) * 60


@pytest.mark.parametrize("visible, inflight, workers, backlog", [
    ({5: 40}, {5: 4}, {5: 2}, {5: 22}),
    # No number of running messages, and a group that is empty or not yet known.
    ({5: 40}, {}, {5: 2}, {5: 20}),
    ({5: 40}, {5: 4}, {5: 0}, {5: 44}),
    ({5: 40}, {5: 4}, {4: 2}, {5: 22}),
    # A minute without a number of waiting messages is missing, not empty.
    ({4: 40}, {4: 4}, {4: 2, 5: 2}, {4: 22}),
    ({4: 40}, {4: 4, 5: 4}, {4: 2, 5: 2}, {4: 22}),
    ({}, {}, {4: 2, 5: 2}, {}),
    ({4: 0, 5: 0}, {}, {4: 2, 5: 2}, {4: 0, 5: 0}),
])
def test_backlog_per_worker_of_partial_data(ours, visible, inflight, workers, backlog):
    metrics = {"visible": visible, "inflight": inflight, "workers": workers}
    assert evaluate(ours.expression, metrics, range(6)) == backlog


def test_evaluation_follows_the_guide():
    """The tables of *Using metric math*, CloudWatch User Guide; a dash is a missing value."""
    def series(text):
        return {minute: float(value) for minute, value in enumerate(text.split()) if value != "-"}

    metrics = {"one": series("30 20 0 0"), "other": series("20 - 20 -"),
               "m1": series("1 1 0 0 -"), "m2": series("30 - 0 0 30"), "m3": series("0 0 20 - 20")}
    for expression, expected in {
            "one < other": "0 0 1 0", "one >= 30": "1 0 0 0", "IF(m1, m2, m3)": "30 0 20 - -",
            "IF(m1, 5, m3)": "5 5 20 - -", "IF(m1, m2, 5)": "30 0 5 5 -", "m2 + m3": "30 0 20 0 50",
            "m2 / m3": "- - 0 - 1.5", "FILL(m2, 7)": "30 7 0 0 30", "FILL(m2, REPEAT)": "30 30 0 0 30"}.items():
        assert evaluate(expression, metrics, range(5)) == series(expected), expression


@pytest.mark.parametrize("points, alarm", [
    ("0 - X - X", False), ("0 - - - -", False), ("- - - - -", False), ("0 X X - X", True), ("- - - - X", False),
    ("X - - - -", True), ("- - X X X", True), ("- X X - -", True), ("0 0 X X X", True), ("X X X X 0", False)])
def test_alarm_treats_missing_data_as_the_guide_says(points, alarm):
    """The first six are its table for three of three, *Configuring how CloudWatch alarms treat missing data*."""
    values = [{"0": 0, "X": 1, "-": None}[point] for point in points.split()]
    assert is_alarm(values, lambda value: value > 0, OUT_POINTS) is alarm
