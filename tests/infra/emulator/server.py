"""Starts the emulator in this process, on a port of its own."""

import logging
import os
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

from . import changes, engine


@contextmanager
def emulator():
    engine.install()
    changes.install()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test",
                   "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
                   "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    try:
        yield
    finally:
        server.stop()
