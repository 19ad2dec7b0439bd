"""Simulates the worker group under load, with the values that the templates deployed."""

from dataclasses import replace

import pytest

from scaling import BURST, SCENARIOS, deployed, earlier, simulate

PHASES = range(0, 60, 15)


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
