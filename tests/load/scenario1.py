"""Scenario 1: 10, then 50, then 100 people at once sign up, log in, upload, list, vote and look at the ranking.

A refused or broken request is a failure; nothing is retried. LOAD_STAGE is how long a stage takes (s).
"""

import os
import random

from locust import HttpUser, LoadTestShape, between, task
from locust.exception import StopUser
from player import join, upload

STAGE = int(os.environ.get("LOAD_STAGE", "60"))
STAGES = (10, 50, 100)
CITIES = ("Bogotá", "Medellín", "Cali", "Barranquilla", "Tunja")


class Stages(LoadTestShape):
    """Each stage begins at once: that is how a crowd comes."""

    def tick(self):
        stage = int(self.get_run_time() // STAGE)
        return (STAGES[stage], STAGES[stage]) if stage < len(STAGES) else None


class Player(HttpUser):
    wait_time = between(0.5, 1.5)

    def on_start(self):
        self.own, self.voted = set(), set()
        if not join(self.client, random.choice(CITIES)):
            raise StopUser
        self.upload()

    @task(1)
    def upload(self):
        video = upload(self.client)
        if video:
            self.own.add(video)

    @task(4)
    def list_own(self):
        self.client.get("/api/videos")

    @task(4)
    def vote(self):
        page = random.randint(1, 3)
        listed = self.client.get(f"/api/public/videos?page={page}", name="/api/public/videos")
        ids = {video["video_id"] for video in listed.json()} if listed.ok else set()
        new = ids - self.own - self.voted
        if new:
            chosen = random.choice(sorted(new))
            self.voted.add(chosen)
            self.client.post(f"/api/public/videos/{chosen}/vote", name="/api/public/videos/{id}/vote")

    @task(8)
    def rank(self):
        city = random.choice(("", *CITIES))
        self.client.get(f"/api/public/rankings?city={city}", name="/api/public/rankings")
