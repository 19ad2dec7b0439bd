"""Scenario 2: 50 videos at once. Each uploader waits until the clip is there; how long that took since the upload was
answered is the row JOB. The run ends with the last one; a video that fails, or takes longer than LOAD_PATIENCE
seconds, is a failure.
"""

import os
import time

import gevent
from locust import HttpUser, events, task
from locust.exception import StopUser
from player import join, upload

PATIENCE = float(os.environ.get("LOAD_PATIENCE", "1800"))
VIDEOS = int(os.environ.get("LOAD_VIDEOS", "50"))

ready, done = [], []


@events.init_command_line_parser.add_listener
def at_once(parser):
    parser.set_defaults(num_users=VIDEOS, spawn_rate=float(VIDEOS))


class Uploader(HttpUser):
    def on_start(self):
        is_in = join(self.client, "Cali")
        ready.append(self)
        if not is_in:
            self.leave()
        while len(ready) < VIDEOS:
            gevent.sleep(0.05)

    @task
    def upload_and_wait(self):
        video = upload(self.client)
        if video:
            self.wait_for(video)
        self.leave()

    def leave(self):
        done.append(self)
        if len(done) == VIDEOS:
            # The statistics of the last second are not written yet.
            gevent.spawn_later(2, self.environment.runner.quit)
        raise StopUser

    def wait_for(self, video):
        started, status = time.perf_counter(), "uploaded"
        while status in ("uploaded", "processing") and time.perf_counter() - started < PATIENCE:
            gevent.sleep(1)
            status = self.client.get(f"/api/videos/{video}", name="/api/videos/{id}").json()["status"]
        self.environment.events.request.fire(
            request_type="JOB", name="processed", response_length=0, context={},
            response_time=(time.perf_counter() - started) * 1000,
            exception=None if status == "processed" else RuntimeError(status))
