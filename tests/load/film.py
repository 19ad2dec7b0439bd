"""What is uploaded: LOAD_FILM, or two moving seconds that ffmpeg draws once."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path


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
