"""What the people of both scenarios do: join, and upload LOAD_FILM, or two moving seconds that ffmpeg draws once."""

import os
import subprocess
import tempfile
import uuid
from functools import cache
from pathlib import Path

PASSWORD = "canasta-2026"


def join(client, city):
    """Signs somebody new up, and logs them in unless that is refused; tells which."""
    email = f"{uuid.uuid4()}@example.com"
    client.post("/api/auth/signup", json={
        "first_name": "Ana", "last_name": "Carga", "email": email, "password1": PASSWORD, "password2": PASSWORD,
        "city": city, "country": "Colombia"})
    answer = client.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    if answer.ok:
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.ok


def upload(client):
    """Uploads the film; returns the video's id, or nothing if it is refused."""
    answer = client.post(
        "/api/videos/upload", files={"video_file": ("jugada.mp4", film(), "video/mp4")},
        data={"title": "Mi mejor jugada", "is_public": "true"})
    return answer.json()["task_id"] if answer.ok else None


@cache
def film():
    given = os.environ.get("LOAD_FILM")
    if given:
        return Path(given).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=2",
                        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", path], check=True)
        return path.read_bytes()
