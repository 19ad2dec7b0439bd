"""Runs the AWS CLI without its start-up time of a second: a server keeps it loaded and forks for each call, and an
`aws` command passes calls to the server. `deploy` makes hundreds of calls."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress

CLIENT = """#!{python} -SE
import array, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendmsg([("\\0".join([os.getcwd(), *sys.argv[1:]])).encode()],
                   [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    sys.exit(server.recv(1)[0])
"""


# The services that `deploy` calls. Their models are loaded once, before forking.
SERVICES = ("sts", "cloudformation", "autoscaling", "cloudwatch", "ec2", "rds", "s3", "s3api", "secretsmanager",
            "service-quotas", "ssm")
MODELS = ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2")


def serve(address):
    from awscli.clidriver import create_clidriver
    from botocore.exceptions import UnknownServiceError

    driver = create_clidriver()
    loader = driver.session.get_component("data_loader")
    driver.session.get_available_services()
    loader.load_data("endpoints")
    for service in SERVICES:
        for model in MODELS:
            with suppress(UnknownServiceError):
                loader.load_service_model(service, model)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            call, _ = listener.accept()
            if os.fork() == 0:
                answer(call, driver)
            call.close()


def answer(call, driver):
    text, files, _, _ = socket.recv_fds(call, 1 << 20, 3)
    folder, *words = text.decode().split("\0")
    for target, file in enumerate(files):
        os.dup2(file, target)
    os.chdir(folder)
    code = 255
    try:
        code = driver.main(words)
        sys.stdout.flush()
    finally:
        call.send(bytes([code or 0]))
        os._exit(0)


@contextmanager
def aws(folder):
    """Provides an `aws` command in a folder, and stops its server afterwards."""
    address = str(folder / "socket")
    server = subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        client = folder / "aws"
        client.write_text(CLIENT.format(python=sys.executable, address=address))
        client.chmod(0o755)
        yield
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    serve(sys.argv[1])
