"""Uploads a file with tuspy, and prints the result as JSON:
python client.py FILE NAME ENDPOINT TOKEN CHUNK_BYTES
Without CHUNK_BYTES the file is sent in one request.
"""

import json
import sys
import time

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

CREATIONS = 20
RETRIES = 200
RETRY_DELAY_S = 0.5


def create(uploader):
    """Creates the upload. tuspy repeats only requests with bytes."""
    for _ in range(CREATIONS):
        try:
            return uploader.set_url(uploader.create_url())
        except TusCommunicationError:
            time.sleep(RETRY_DELAY_S)
    sys.exit("the upload was not created")


def main(file, name, endpoint, token, chunk_bytes=None):
    started = time.monotonic()
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    chunk = {"chunk_size": int(chunk_bytes)} if chunk_bytes else {}
    metadata = {"title": "Mi mejor jugada", "is_public": "true", "filename": name}
    uploader = client.uploader(
        file, metadata=metadata, retries=RETRIES, retry_delay=RETRY_DELAY_S, **chunk
    )
    create(uploader)
    uploader.upload()
    seconds = time.monotonic() - started
    print(json.dumps({"url": uploader.url, "seconds": seconds}))


main(*sys.argv[1:])
