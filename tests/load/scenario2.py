"""Scenario 2: 50 videos at once. Each uploader waits until the clip is there; how long that took since the upload was
answered is the row JOB. The run ends with the last one; a video that fails, or takes longer than LOAD_PATIENCE
seconds, is a failure.
"""

import os
import time
import uuid

import gevent
from film import film
from locust import HttpUser, events, task
from locust.exception import StopUser

PATIENCE = float(os.environ.get("LOAD_PATIENCE", "1800"))
PASSWORD = "canasta-2026"
VIDEOS = int(os.environ.get("LOAD_VIDEOS", "50"))

ready, done = [], []


@events.init_command_line_parser.add_listener
def at_once(parser):
    parser.set_defaults(num_users=VIDEOS, spawn_rate=float(VIDEOS))


class Uploader(HttpUser):
    def on_start(self):
        email = f"{uuid.uuid4()}@example.com"
        self.client.post("/api/auth/signup", json={
            "first_name": "Luis", "last_name": "Carga", "email": email, "password1": PASSWORD, "password2": PASSWORD,
            "city": "Cali", "country": "Colombia"})
        answer = self.client.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        ready.append(self)
        if not answer.ok:
            self.leave()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        while len(ready) < VIDEOS:
            gevent.sleep(0.05)

    @task
    def upload_and_wait(self):
        answer = self.client.post(
            "/api/videos/upload", files={"video_file": ("jugada.mp4", film(), "video/mp4")},
            data={"title": "Mi mejor jugada", "is_public": "true"})
        if answer.ok:
            self.wait_for(answer.json()["task_id"])
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
