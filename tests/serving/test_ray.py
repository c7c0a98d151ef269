"""The application on a local Ray: two replicas, one of which is ended while requests come in."""

import shutil
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import medzoo
from medzoo.serving.ray import deployment
from tests.serving.conftest import encoded, picture

ray = pytest.importorskip("ray", reason="needs medzoo[ray]")
serve = pytest.importorskip("ray.serve", reason="needs medzoo[ray]")

pytestmark = pytest.mark.slow

MODEL = "simple_cnn.pneumoniamnist"
PATIENCE = 200  # seconds


@pytest.fixture(scope="module")
def address():
    """A small Ray on this machine alone, which serves the model twice."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short, as the paths of sockets must be
    with socket.socket() as free, pytest.MonkeyPatch.context() as patch:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it leaves a token in the home folder
        try:
            ray.init(
                num_cpus=2,
                object_store_memory=80 << 20,
                include_dashboard=False,
                log_to_driver=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
            )
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            service = deployment([MODEL], num_replicas=2).options(health_check_period_s=1)
            serve.run(service.bind())
            yield f"http://127.0.0.1:{port}"
        finally:
            serve.shutdown()
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def running():
    """The names of the replicas' actors; none while one of them is not ready."""
    states = serve.status().applications["default"].deployments["medzoo"].replica_states
    names = (actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True))
    found = {name for name in names if name.startswith("SERVE_REPLICA::")}
    return found if states == {"RUNNING": len(found)} else set()


def test_an_ended_replica_is_replaced_and_no_answer_is_wrong(address):
    model = medzoo.create_model(MODEL, pretrained=True)
    contents = [encoded(picture(seed)) for seed in range(8)]
    expected = [medzoo.predict(model, content).probabilities for content in contents]
    before = running()
    assert len(before) == 2
    is_over = False

    def ask(worker):
        """Send requests until told to stop; return their statuses, after comparing the answers."""
        statuses = []
        with httpx.Client(base_url=address, timeout=60) as client:
            while not is_over:
                index = (worker + len(statuses)) % len(contents)
                files = {"images": ("a.png", contents[index])}
                answer = client.post(f"/v1/models/{MODEL}/predict", files=files)
                statuses.append(answer.status_code)
                time.sleep(0.02)  # leaves processors to the replica that is to come
                if answer.status_code == 200:
                    (found,) = answer.json()["predictions"]
                    given = {p["label"]: p["probability"] for p in found["probabilities"]}
                    assert given == pytest.approx(expected[index], abs=1e-5)
        return statuses

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, worker) for worker in range(4)]
        try:
            time.sleep(2)
            killed = min(before)
            ray.kill(ray.get_actor(killed, namespace="serve"), no_restart=True)
            end = time.monotonic() + PATIENCE
            while len(running()) < 2 or killed in running():
                assert time.monotonic() < end, "the replica was not replaced"
                time.sleep(0.5)
            time.sleep(2)
        finally:
            is_over = True
    statuses = [status for one in asking for status in one.result()]
    assert statuses.count(200) > 50
    assert set(statuses) <= {200, 500, 503}
    assert len(statuses) - statuses.count(200) <= 8, "only what was running there can fail"
    for one in asking:
        assert one.result()[-1] == 200
