"""The exported page in Chromium: its answers are those of `medzoo.predict`."""

from __future__ import annotations

import base64
import io
import json
import os
import threading
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medzoo
from medzoo.images import read_image, to_uint8
from medzoo.prediction.result import UNFAMILIAR
from medzoo.transforms import prepare_batch
from medzoo.web import Sample, export_web
from tests.web.conftest import noise, upload
from tests.web.image_files import encode, readable, textured, unreadable

pytestmark = pytest.mark.slow

GRAY, COLOUR, COARSE = (
    "simple_cnn.pneumoniamnist",
    "simple_cnn.dermamnist",
    "advanced_cnn.bloodmnist",
)
"""Models of gray and of coloured images, and one whose last map is coarse."""

ASK = """async ([names, content, explain]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const { predict, listModels } = await import("./backend.js");
  const { centralSquare } = await import("./browser/decode.js");
  const { prepare } = await import("./browser/preprocess.js");
  const found = [];
  for (const model of (await listModels()).filter(({ name }) => names.includes(name))) {
    try {
      const file = new Blob([bytes]);
      const input = Array.from(prepare(await centralSquare(file), model.input));
      found.push({ model: model.name, input, ...(await predict(model, file, { explain })) });
    } catch (error) {
      found.push({ model: model.name, error: error.name, message: error.message });
    }
  }
  return found;
}"""


TAKEN_OVER = """() => new Promise((resolve) => {
  const { serviceWorker } = navigator;
  if (serviceWorker.controller) resolve();
  serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
})"""


class Handler(SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on, without a word."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def models():
    return {name: medzoo.create_model(name, pretrained=True) for name in (GRAY, COLOUR, COARSE)}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """An exported page; `MEDZOO_DEMO` may name a folder with onnxruntime-web, to spare npm."""
    folder = tmp_path_factory.mktemp("export") / "page"
    picture = encode(Image.fromarray(textured(80, 60)), "PNG")
    sample = Sample("one.png", picture, "A drawing", COLOUR, "Drawn by a program")
    runtime = os.environ.get("MEDZOO_DEMO")
    try:
        export_web([GRAY, COLOUR, COARSE], folder, samples=[sample], runtime=runtime)
    except ImportError as error:
        pytest.skip(f"needs onnxruntime-web: {error}")
    return folder


@pytest.fixture(scope="session")
def address(folder):
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/"
    http.shutdown()
    http.server_close()


@pytest.fixture
def page(open_page, address):
    page = open_page(address)
    page.wait_for_selector("#model:enabled")
    return page


def ask(page, names, content, explain=False):
    return page.evaluate(ASK, [list(names), base64.b64encode(content).decode(), explain])


def wait_for_answer(page):
    page.locator("#bars .value", has_text="%").first.wait_for()  # bars are first without figures


def made_up():
    seeds = count()
    return lambda height, width: textured(height, width, next(seeds))


def from_data():
    """Pixels of real images, enlarged to odd sizes."""
    root = os.environ.get("MEDZOO_DATA")
    if not root or not Path(root, "bloodmnist.npz").is_file():
        pytest.skip("needs MEDZOO_DATA with the official files")
    sets = ("bloodmnist", "pneumoniamnist", "dermamnist", "octmnist", "breastmnist")
    splits = [medzoo.load_dataset(name, root=root).test for name in sets]
    numbers = count()

    def pixels(height, width):
        number = next(numbers)
        image = splits[number % len(splits)].images[7 * number].permute(1, 2, 0).numpy()
        image = Image.fromarray(image.squeeze()).convert("RGB")
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))

    return pixels


@pytest.mark.parametrize("source", [made_up, from_data])
def test_answers_are_those_of_predict(source, page, models):
    worst, compared = 0.0, 0
    for name, content in readable(source()):
        answers = ask(page, (GRAY, COLOUR), content)
        assert len(answers) == 2, name
        for answer in answers:
            assert "error" not in answer, (name, answer)
            model = models[answer["model"]]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # dark 16-bit images
                expected = medzoo.predict(model, content)
                pixels = to_uint8(read_image(content))
            found = {row["label"]: row["probability"] for row in answer["probabilities"]}
            difference = max(abs(found[label] - p) for label, p in expected.probabilities.items())
            worst, compared = max(worst, difference), compared + 1
            assert difference < 0.01, (name, answer["model"])
            assert answer["labels"] == list(expected.labels), name
            assert answer["oodScore"] == pytest.approx(expected.ood_score, rel=1e-3), name
            said = UNFAMILIAR.format(answer["oodScore"]) in (answer["warning"] or "")
            assert said == answer["unfamiliar"] == expected.unfamiliar, name
            # Not only the answer: every number that goes into the model is the same.
            batch = prepare_batch(pixels[None], model.spec.input).contiguous().flatten()
            np.testing.assert_allclose(answer["input"], batch, atol=1e-5, err_msg=name)
    print(f"{compared} answers, probabilities differ by at most {worst:.1e}")
    assert compared >= 2 * 50


def test_what_cannot_be_read_alike_is_refused(page):
    for name, content, reason in unreadable():
        (answer,) = ask(page, [GRAY], content)
        assert answer.get("error") == "UnreadableImage", name
        assert reason in answer["message"], name


def test_dark_16_bit_images_give_a_warning(page):
    dark = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28) * 5
    (answer,) = ask(page, [GRAY], encode(Image.fromarray(dark), "PNG"))
    assert "12-bit" in answer["warning"]
    (answer,) = ask(page, [GRAY], encode(Image.fromarray(dark * 16), "PNG"))
    assert "12-bit" not in answer["warning"]


def test_an_unfamiliar_image_is_marked(page):
    picture = noise(0)
    page.set_input_files("#choose", [upload("noise.png", picture)])
    wait_for_answer(page)
    score = medzoo.predict(GRAY, picture).ood_score
    assert page.locator("#verdict .warning").inner_text() == UNFAMILIAR.format(score)
    assert page.locator("#list .state").inner_text().startswith("unfamiliar image: ")


def test_altered_canvases_are_noticed(open_page, address):
    """Some browsers add noise to what pages read, so that they cannot be tracked."""
    page = open_page(address)
    page.add_init_script(
        "const read = CanvasRenderingContext2D.prototype.getImageData;"
        "CanvasRenderingContext2D.prototype.getImageData = function (...place) {"
        "const image = read.apply(this, place); image.data[8] ^= 1; return image; };"
    )
    page.reload()
    page.wait_for_selector("#model:enabled")
    image = Image.fromarray(textured(40, 40))
    (answer,) = ask(page, [GRAY], encode(image, "JPEG"))
    assert "changes the pixels" in answer["message"]
    (answer,) = ask(page, [GRAY], encode(image, "PNG"))  # which needs no canvas
    assert "error" not in answer


def test_a_model_that_computes_something_else_is_refused(open_page, address, folder):
    about = json.loads((folder / "models.json").read_text())
    about["models"][0]["check"]["logits"][0] += 0.1
    page = open_page(address.rstrip("/") + "/icon.svg")
    page.route("**/models.json", lambda route: route.fulfill(json=about))
    page.goto(address)
    page.wait_for_selector("#banner:visible")
    assert "does not compute in this browser" in page.locator("#banner").inner_text()


@pytest.mark.parametrize("name", [COLOUR, COARSE])
def test_heat_maps_are_those_of_explain(name, page, models):
    likeness = []
    for seed in range(5):
        content = encode(Image.fromarray(textured(90, 90, seed)), "PNG")
        (answer,) = ask(page, [name], content, explain=True)
        explanation = answer["explanation"]
        assert explanation["method"] == "HiResCAM"
        picture = base64.b64decode(explanation["url"].partition(",")[2])
        heat = np.asarray(Image.open(io.BytesIO(picture)))[..., 3]
        expected = medzoo.explain(models[name], content, explanation["label"]).heatmap
        own = Image.fromarray(expected).resize(heat.shape, Image.Resampling.BILINEAR)
        if heat.any() and expected.any():
            likeness.append(np.corrcoef(heat.ravel(), np.asarray(own).ravel())[0, 1])
    print(f"{name}: correlation with medzoo.explain {np.round(likeness, 4)}")
    assert len(likeness) > 2
    assert min(likeness) > 0.98


def test_a_sample_takes_the_place_of_the_one_before(open_page, address):
    page = open_page(address)
    for _ in range(2):
        page.locator("#sample-list button").first.click()
        wait_for_answer(page)
    assert page.locator("#list li").count() == 1


def test_it_works_without_a_connection(open_page, address):
    page = open_page(address)
    sent = []
    page.on("request", lambda request: sent.append((request.method, request.post_data)))
    page.wait_for_selector("#sample-list button")
    page.click("#sample-list button")
    wait_for_answer(page)
    online = page.locator("#bars").inner_text()
    page.evaluate(TAKEN_OVER)
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#sample-list button")
    page.click("#sample-list button")
    wait_for_answer(page)
    assert page.locator("#bars").inner_text() == online
    assert set(sent) == {("GET", None)}  # nothing was uploaded
