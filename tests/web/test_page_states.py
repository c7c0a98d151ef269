"""What the page does when a server is slow, busy, closed or odd: against a stand-in for it."""

import json
import re

import pytest

from medzoo.web import page_files
from tests.web.conftest import bars, drop, png, states, until, upload
from tests.web.stand_in import StandIn, description

pytestmark = pytest.mark.slow
expect = pytest.importorskip("playwright.sync_api", reason="needs Playwright").expect


def choose(page, *files):
    page.set_input_files("#choose", list(files))


def answered(page, count=1):
    expect(page.locator("#list .state", has_text="%")).to_have_count(count)


def test_a_late_answer_of_the_previous_model_does_not_replace_the_present_one(open_page, stand_in):
    late = stand_in.hold("lesions")
    page = open_page(stand_in.address)
    choose(page, upload("x.png", png(0.0)))
    until(page, lambda: stand_in.seen)
    page.select_option("#model", "unmeasured")
    answered(page)
    late.set()
    page.wait_for_timeout(300)  # by now, the first answer would be there
    assert [label for label, _ in bars(page)] == ["no", "yes"]
    assert [name for name, _ in stand_in.seen] == ["lesions", "unmeasured"]


def test_a_prediction_set_is_shown_below_the_answer(open_page, stand_in):
    page = open_page(stand_in.address)
    choose(page, upload("x.png", png(0.0)))
    answered(page)
    first, second = (label for label, _ in bars(page)[:2])
    expect(page.locator("#verdict .set")).to_have_text(f"90 % set: {first}; {second}")
    page.select_option("#model", "unmeasured")  # a model that gives none
    answered(page)
    expect(page.locator("#verdict .set")).to_have_count(0)


def test_a_backend_that_cannot_stop_does_not_replace_the_present_answer_either(open_page, stand_in):
    page = open_page(stand_in.address)
    late = """
    export const place = "here";
    const asked = [];
    globalThis.answer = (number) => asked[number]();
    export const listModels = async () => (await (await fetch("v1/models")).json()).models;
    export const predict = (model) => new Promise((resolve) => asked.push(() => resolve({
      milliseconds: null, labels: [], explanation: null,
      probabilities: model.classes.map((label, i) => ({ label, probability: i ? 0 : 1 })),
    })));
    """
    page.route(
        "**/backend.js", lambda route: route.fulfill(body=late, content_type="text/javascript")
    )
    page.reload()
    choose(page, upload("x.png", png()))
    page.select_option("#model", "unmeasured")
    page.select_option("#model", "lesions")
    page.wait_for_timeout(100)
    page.evaluate("answer(2)")
    answered(page)
    shown = bars(page)
    page.evaluate("answer(0); answer(1)")
    page.wait_for_timeout(100)
    assert bars(page) == shown
    assert shown[0] == ("melanoma", "100.0 %")


def test_many_images_each_get_their_own_answer(open_page, stand_in):
    brightness = [i / 19 for i in range(20)]
    files = [upload(f"{i}.png", png(value)) for i, value in enumerate(brightness)]
    stand_in.delay |= {f"{i}.png": 0.3 for i in range(0, 20, 3)}  # later ones overtake
    page = open_page(stand_in.address)
    choose(page, *files)
    answered(page, 20)
    classes = stand_in.models[0]["classes"]
    best = [classes[round(value * (len(classes) - 1))] for value in brightness]
    assert [state.split(",")[0] for state in states(page)] == best


def test_the_shown_image_stays_the_chosen_one_while_others_answer(open_page, stand_in):
    slow = stand_in.hold("slow.png")
    page = open_page(stand_in.address)
    choose(page, upload("slow.png", png(0.0)), upload("fast.png", png(1.0)))
    page.get_by_role("button", name="fast.png").first.click()
    answered(page)
    slow.set()
    answered(page, 2)
    assert bars(page)[0][0] == "b"
    expect(page.locator("[aria-current=true] .file")).to_have_text("fast.png")


def test_removed_images_are_not_asked_about(open_page, stand_in):
    on_their_way = []
    page = open_page(stand_in.address)
    page.route("**/predict?*", lambda route: on_their_way.append(route))
    choose(page, *(upload(f"{i}.png", png()) for i in range(12)))
    until(page, lambda: len(on_their_way) == 4)
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#list li")).to_have_count(0)
    for route in list(on_their_way):
        route.abort()
    page.wait_for_timeout(300)
    assert len(on_their_way) == 4  # no other has followed
    expect(page.locator("#choose")).to_be_focused()
    expect(page.locator("#verdict")).to_contain_text("Add an image")


def test_a_token_is_asked_for_and_used(open_page, stand_in):
    stand_in.token = "secret"
    page = open_page(stand_in.address)
    field = page.get_by_label("This server asks for a token")
    expect(field).to_be_focused()
    field.fill("guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="does not accept")).to_be_visible()
    field.fill("secret")
    page.get_by_role("button", name="Continue").click()
    expect(field).to_be_hidden()
    choose(page, upload("x.png", png()))
    answered(page)
    stored = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "secret" not in stored + page.url


def test_a_token_that_is_changed_meanwhile_is_asked_for_again(open_page, stand_in):
    page = open_page(stand_in.address)
    expect(page.locator("#model")).to_have_value("lesions")
    stand_in.token = "new"
    choose(page, upload("x.png", png()), upload("y.png", png()))
    page.get_by_label("This server asks for a token").fill("new")
    page.keyboard.press("Enter")
    answered(page, 2)


def test_a_refusal_whose_text_arrives_after_the_token_is_asked_for_again_too(open_page, stand_in):
    page = open_page(stand_in.address)
    expect(page.locator("#model")).to_have_value("lesions")
    page.evaluate("""() => {
        let refusals = 0;
        const json = Response.prototype.json;
        Response.prototype.json = async function () {
          if (this.status === 401 && (refusals += 1) === 2)
            await new Promise((arrived) => globalThis.arrived = arrived);
          return json.call(this);
        };
    }""")
    stand_in.token = "new"
    choose(page, upload("x.png", png()), upload("y.png", png()))
    page.get_by_label("This server asks for a token").fill("new")
    page.wait_for_function("() => Boolean(globalThis.arrived)")
    page.keyboard.press("Enter")
    answered(page, 1)
    page.evaluate("() => globalThis.arrived()")
    answered(page, 2)


def test_who_was_refused_before_the_token_was_given_is_answered_too(open_page, stand_in):
    page = open_page(stand_in.address)
    expect(page.locator("#model")).to_have_value("lesions")
    stand_in.token = "new"
    late = []
    page.route("**/predict?*", lambda route: late.append(route), times=1)
    choose(page, upload("x.png", png()), upload("y.png", png()))
    field = page.get_by_label("This server asks for a token")
    field.fill("new")
    page.keyboard.press("Enter")
    answered(page)
    late[0].continue_()  # without the token
    answered(page, 2)
    expect(field).to_be_hidden()


def test_a_full_queue_is_waited_for(open_page, stand_in):
    stand_in.refusals = 2
    page = open_page(stand_in.address)
    choose(page, upload("x.png", png()))
    answered(page)
    assert len(stand_in.seen) == 3


def test_a_queue_that_stays_full_is_said_and_can_be_tried_again(open_page, stand_in):
    stand_in.refusals = 4
    page = open_page(stand_in.address)
    choose(page, upload("x.png", png()))
    expect(page.locator("#verdict")).to_contain_text("the queue is full")
    page.get_by_role("button", name="Try again").click()
    answered(page)


def test_a_server_that_is_gone_is_said(open_page, stand_in):
    page = open_page(stand_in.address)
    expect(page.locator("#model")).to_have_value("lesions")
    page.route("**/predict?*", lambda route: route.abort())
    choose(page, upload("x.png", png()))
    expect(page.locator("#list .state")).to_contain_text("The server does not answer")
    page.unroute("**/predict?*")
    page.get_by_role("button", name="Try again").click()
    answered(page)


def test_an_answer_that_is_no_document_is_said(open_page, stand_in):
    page = open_page(stand_in.address)
    page.route("**/predict?*", lambda route: route.fulfill(status=502, body="<h1>Bad</h1>"))
    choose(page, upload("x.png", png()))
    expect(page.locator("#list .state")).to_contain_text("The server answered 502")


def test_names_are_shown_as_text(open_page):
    attack = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    model = description(f"m{attack}", [attack, "plain"]) | {"trained_on": attack, "licence": attack}
    with StandIn([model]) as server:
        page = open_page(server.address)
        name = '"><b>bold</b>.png'
        choose(page, upload(name, png(0.0)), upload("‮gnp.exe", b"no image"))
        answered(page)
        assert bars(page)[0][0] == attack
        assert page.locator(".file").all_inner_texts() == [name, "‮gnp.exe"]
        assert page.locator(".best bdi").inner_text() == attack
        assert attack in page.locator("#facts").inner_text()
        expect(page.get_by_role("button", name=f"Remove {name}")).to_be_visible()
        assert page.locator("main script, main b:not(#heat-note b), [src=x]").count() == 0
        assert page.title() == "medzoo: classify a medical image"


def test_the_page_works_below_a_path(open_page, stand_in):
    stand_in.prefix = "/tools/medzoo"
    page = open_page(stand_in.address)
    choose(page, upload("x.png", png()))
    answered(page)


def test_an_address_can_name_a_model(open_page, stand_in):
    page = open_page(f"{stand_in.address}#unmeasured")
    expect(page.locator("#model")).to_have_value("unmeasured")
    expect(page.locator("#facts")).to_contain_text("not measured")
    page.select_option("#model", "findings")
    assert page.url.endswith("#findings")


def test_the_threshold_of_a_multi_label_model_can_be_moved(open_page, stand_in):
    page = open_page(f"{stand_in.address}#findings")
    choose(page, upload("x.png", png(0.5)))
    expect(page.locator("#verdict .best")).to_have_text("3 classes above threshold")
    expect(page.locator("#bars .over")).to_have_count(3)
    slider = page.get_by_label("Threshold")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#verdict .best")).to_have_text("No classes above threshold")
    assert re.search("nothing above 99", states(page)[0])
    page.keyboard.press("Home")
    expect(page.locator("#verdict .best")).to_have_text("14 classes above threshold")


def test_classes_that_are_mere_numbers_are_explained(open_page):
    grades = description("eyes", list("01234")) | {"classes_are": "grade of retinopathy"}
    with StandIn([grades]) as server:
        page = open_page(server.address)
        choose(page, upload("x.png", png(0.5)))
        answered(page)
        expect(page.locator(".best bdi")).to_have_text("grade of retinopathy: 2")
        assert states(page)[0].startswith("grade of retinopathy: 2, ")
        assert bars(page)[0][0] == "2"


def test_all_classes_are_shown_on_demand(open_page, stand_in):
    page = open_page(stand_in.address)
    choose(page, upload("x.png", png(0.0)))
    answered(page)
    assert len(bars(page)) == 5
    button = page.get_by_role("button", name="Show all 7 classes")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    assert len(bars(page)) == 7
    page.get_by_role("button", name="Show the top 5").click()
    assert len(bars(page)) == 5


def test_a_dropped_folder_gives_the_files_in_it(open_page, stand_in, tmp_path):
    folder = tmp_path / "scans"
    (folder / "deeper").mkdir(parents=True)
    for path in (folder / "a.png", folder / "deeper" / "b.png", folder / ".hidden.png"):
        path.write_bytes(png())
    page = open_page(stand_in.address)
    expect(page.locator("#model")).to_have_value("lesions")
    drop(page, folder)
    answered(page, 2)
    assert sorted(page.locator(".file").all_inner_texts()) == ["a.png", "b.png"]


def test_a_model_without_heat_maps_still_answers(open_page, stand_in):
    page = open_page(f"{stand_in.address}#unmeasured")
    choose(page, upload("x.png", png()))
    answered(page)
    expect(page.locator("#heat-note")).to_have_text("unmeasured cannot be explained")
    expect(page.get_by_label("Heat map")).to_be_disabled()


@pytest.mark.parametrize("last", ["x.png", "y.png"])
def test_bars_do_not_wait_for_the_heat_map(open_page, stand_in, last):
    stand_in.delay[last] = 0.3
    page = open_page(stand_in.address)
    page.route("**/*explain=true", lambda route: None)  # is never answered
    choose(page, upload("x.png", png(0.0)), upload("y.png", png(1.0)))
    answered(page, 2)
    assert bars(page)[0][0] == "melanoma"
    expect(page.locator("#heat-note")).to_have_text("computing ...")


def test_samples_can_be_clicked(open_page, stand_in):
    page = open_page(stand_in.address)
    sample = {"url": "icon.svg", "title": "A drawn cell", "model": "unmeasured", "credit": "Drawn"}
    samples = f"export const listSamples = async () => [{json.dumps(sample)}];"
    body = page_files()["backend.js"].decode() + samples
    page.route(
        "**/backend.js", lambda route: route.fulfill(body=body, content_type="text/javascript")
    )
    page.reload()
    expect(page.locator("#samples")).to_contain_text("Drawn")
    page.get_by_role("button", name="A drawn cell").click()
    expect(page.locator("#model")).to_have_value("unmeasured")
    expect(page.locator(".file")).to_have_text("A drawn cell")


def test_a_heat_map_that_was_left_alone_is_asked_for_again(open_page, stand_in):
    held = []
    page = open_page(f"{stand_in.address}#findings")
    page.route("**/findings/predict?*", lambda route: held.append(route))
    choose(page, *(upload(f"{i}.png", png()) for i in range(7)))
    until(page, lambda: len(held) == 4)
    for route in held[:2]:
        route.continue_()
    answered(page, 2)
    # Its heat map has to wait for the others.
    page.locator("#list .show", has_text="%").last.click()
    expect(page.locator("#heat-note")).to_have_text("computing ...")
    page.select_option("#model", "lesions")
    answered(page, 7)
    page.unroute("**/findings/predict?*")
    page.select_option("#model", "findings")
    expect(page.locator("#heat")).to_be_visible()


def test_a_file_that_changes_meanwhile_is_said(open_page, stand_in, tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(png())
    page = open_page(stand_in.address)
    page.set_input_files("#choose", path)
    answered(page)
    path.unlink()
    page.select_option("#model", "findings")
    expect(page.locator("#list .state")).to_contain_text("This file cannot be opened")


def test_other_answers_leave_the_shown_one_alone(open_page, stand_in):
    slow = stand_in.hold("slow.png")
    page = open_page(stand_in.address)
    choose(page, upload("fast.png", png()), upload("slow.png", png()))
    answered(page)
    page.locator("#bars li").first.evaluate("row => { row.id = 'same'; }")
    slow.set()
    answered(page, 2)
    expect(page.locator("#same")).to_have_count(1)
