"""Stand-ins for a cluster on this machine: an object store, and two nodes of Ray."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def s3_server():
    """Address of a server that behaves as S3 does."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """URL of an empty bucket; programs that start here reach it, too."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    if fs.exists("bucket"):
        fs.rm("bucket", recursive=True)
    fs.mkdir("bucket")
    yield "s3://bucket"
    s3fs.S3FileSystem.clear_instance_cache()


DETECTOR = '''
import ctypes
import os
import signal
import time

from lightly_marlin.faces import DlibDetector


class Odd(DlibDetector):
    """Dlib's, which dies of black images and sticks at white ones."""

    def detect(self, images, *, expected=False):
        time.sleep(float(os.environ.get("DETECTOR_SECONDS", 0)))
        brightness = images.mean()
        if brightness < 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if brightness > 253:
            # In C, and without ever giving Python a turn.
            ctypes.PyDLL(None).sleep(3600)
        return super().detect(images, expected=expected)
'''


@pytest.fixture
def odd_detector(tmp_path, monkeypatch):
    """Entry of a detector that can be imported everywhere."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "odd_detector.py").write_text(DETECTOR)
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.syspath_prepend(str(folder))
    yield "odd_detector:Odd"
    sys.modules.pop("odd_detector", None)


@pytest.fixture
def ray_nodes(monkeypatch, odd_detector):
    """Two nodes of Ray with a core each, to which this program is connected.

    Yields the cluster and its second node. Ray turns 127.0.0.1 into the outer address
    of a machine; the addresses taken here keep everything on the loopback.
    """
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    for name, value in {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        # The memory of the machine is not the matter of these tests.
        "RAY_memory_monitor_refresh_ms": "0",
    }.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster()
    try:
        for number in (2, 3):
            node = cluster.add_node(
                num_cpus=1,
                node_ip_address=f"127.0.0.{number}",
                object_store_memory=80 * 2**20,
                include_dashboard=False,
            )
        ray.init(
            address=cluster.address,
            _node_ip_address="127.0.0.2",
            log_to_driver=False,
            logging_level="ERROR",
        )
        yield cluster, node
    finally:
        ray.shutdown()
        cluster.shutdown()
