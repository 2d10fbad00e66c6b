"""The page, used: every control, every key, every number, in a browser that has no network."""

import os
import re

import numpy as np
import pytest

from gradarray.glass.cards import Labels, card
from gradarray.glass.groups import grouped
from gradarray.glass.layout import layout
from gradarray.glass.numbers import shown
from gradarray.glass.place import place
from gradarray.glass.quiz import Quiz
from gradarray.glass.svg import _size
from gradarray.glass.words import WORDS
from tests.glass import stories
from tests.glass.browser import browser as started
from tests.glass.browser import opened


@pytest.fixture(scope="module")
def browser():
    with started() as found:
        yield found


@pytest.fixture
def saved(tmp_path):
    def save(told, **options):
        path = tmp_path / f"page{len([*tmp_path.iterdir()])}.html"
        told.save(path, **options)
        return path

    return save


def row(page, k):
    return page.locator(f'[data-row="{k}"]')


def until(page, script):
    """Wait for something to hold; the page's own policy forbids the usual way."""
    for _ in range(100):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"it never held: {script}")


def inner(page, selector):
    return page.locator(selector).inner_text()


# Numbers ------------------------------------------------------------------------------------------


def cells(page, selector):
    """What the page tells of a value: one number, elements, or least, greatest and mean."""
    return page.locator(selector).evaluate(
        "e => e.tagName === 'TABLE' ? [...e.querySelectorAll('td')].map(x => x.textContent)"
        " : [e.textContent]"
    )


def equal(told, value):
    value = np.asarray(value)
    if value.size > 12:
        wide = value.astype(np.float64)
        mean = wide.mean().astype(value.dtype)
        expected = [value.min(), value.max(), mean]
        told = told[:3]
    else:
        expected = value.ravel()
    assert len(told) == len(expected)
    for text, number in zip(told, expected, strict=True):
        assert value.dtype.type(float(text)) == number or str(number) == text


@pytest.mark.parametrize("name", ["textbook", "network"])
def test_numbers_are_the_engines_to_the_last_digit(browser, saved, name):
    told = getattr(stories, name)()
    with opened(browser, saved(told)) as page:
        page.click("#open-all")
        for one in told.rows:
            row(page, one.number).press("Enter")
            assert inner(page, "#panel h2") == one.name
            if np.asarray(one.value).dtype.kind == "f":
                equal(cells(page, "#the-value"), one.value)
            if one.adjoint is not None:
                equal(cells(page, "#the-adjoint"), one.adjoint)
            lines = row(page, one.number).locator("text").all_text_contents()
            assert lines == [card(one).head, card(one).value, card(one).adjoint]


def test_the_sum_over_consumers_is_told(browser, saved):
    told = stories.textbook()
    with opened(browser, saved(told)) as page:
        row(page, told["c"].number).click()
        table = page.locator(".terms tbody tr")
        assert table.count() == 2
        for k, term in enumerate(told["c"].terms):
            texts = table.nth(k).locator("th, td").all_inner_texts()
            assert texts[0] == term.to.name
            assert texts[1] == shown(term.to.adjoint)
            assert texts[2].endswith(f"= {shown(term.local.value)}")
            assert texts[3] == shown(term.bar)
        assert "1 · 0.403695 + 1 · (-0.999324)" in inner(page, ".of-adjoint")
        assert page.locator(".of-local math mfrac").count() == 2
        assert "agrees" in inner(page, ".of-check")
        assert inner(page, ".of-source code") == "c = a + b"
        assert re.fullmatch(r"stories\.py:\d+", inner(page, ".of-source .note"))


def test_the_difference_is_beside_the_adjoint(browser, saved):
    told = stories.textbook()
    told["c"].adjoint *= 1.001
    with opened(browser, saved(told)) as page:
        row(page, told["c"].number).click()
        assert "differs" in inner(page, ".of-check .bad")
        row(page, told["d"].number).click()
        a, b = page.locator(".of-check td.number").all_inner_texts()
        assert abs(float(a) - float(b)) < 1e-6


# Steps --------------------------------------------------------------------------------------------


def state(page):
    return page.evaluate(
        """() => [document.querySelectorAll('.known').length,
                  document.querySelectorAll('.passed').length,
                  Number(document.getElementById('slider').value)]"""
    )


def test_the_slider_goes_forward_and_then_back(browser, saved):
    told = stories.textbook()
    n = len(told.rows)
    with opened(browser, saved(told)) as page:
        slider = page.locator("#slider")
        for k in [0, 3, n, n + 2, 2 * n, 5]:
            slider.fill(str(k))
            assert state(page) == [min(k, n), max(0, k - n), k]
        slider.fill(str(n + 1))
        assert inner(page, "#said") == f"Backward: ∂f/∂f = {shown(1.0)}"
        assert "now-back" in row(page, told.result.number).get_attribute("class").split()
        assert inner(page, "#live") == inner(page, "#said")


def test_each_step_has_a_link(browser, saved):
    told = stories.textbook()
    path = saved(told)
    with opened(browser, path, "#step=11") as page:
        assert state(page)[2] == 11
        assert inner(page, "#panel h2") == "c"
        assert page.locator("#link").get_attribute("href") == "#step=11"
        page.click(".around a.forward")
        until(page, "document.getElementById('slider').value === '4'")
        page.keyboard.press("ArrowRight")
        until(page, "location.hash === '#step=5'")


def test_keys(browser, saved):
    with opened(browser, saved(stories.textbook()), "#step=0") as page:
        assert inner(page, "#said") == WORDS["en"]["at_start"]
        for key, step in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 14),
                          ("Home", 0)]:  # fmt: skip
            page.keyboard.press(key)
            assert state(page)[2] == step
        page.keyboard.press(" ")
        until(page, "Number(document.getElementById('slider').value) >= 1")
        assert page.locator("#play").get_attribute("aria-label") == "Pause"
        page.keyboard.press(" ")
        assert page.locator("#play").get_attribute("aria-label") == "Play"
        row(page, 3).focus()
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.dataset.row") == "1"
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert inner(page, "#panel h2") == "b"
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        page.keyboard.type("cos")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert inner(page, "#panel h2") == "e"
        page.keyboard.press("/")
        page.keyboard.type("nothing like it")
        assert inner(page, "#found") == "Nothing found"
        page.keyboard.press("Escape")
        assert page.locator("#found").is_hidden()


def test_every_control_does_something(browser, saved):
    """Each button changes what is shown; none is left out."""
    with opened(browser, saved(stories.tower())) as page:
        left = {b.get_attribute("id") for b in page.locator("header button, footer button, "
                ".zoom button").all()}  # fmt: skip
        page.keyboard.press("Home")
        for button in ["next", "next", "back", "last", "first", "play", "play", "bigger", "smaller",
                       "fit", "close-all", "open-all", "theme"]:  # fmt: skip
            before = page.evaluate("document.documentElement.outerHTML")
            page.click(f"#{button}")
            assert page.evaluate("document.documentElement.outerHTML") != before, button
            left.discard(button)
        assert left == set()
        for colour in ("value", "adjoint"):
            page.select_option("#colour", colour)
            sizes = page.evaluate(
                "[...new Set([...document.querySelectorAll('[data-size]')]"
                ".map(e => e.dataset.size))].length"
            )
            assert sizes > 1
            assert page.locator("#legend").is_visible()
        page.select_option("#colour", "none")
        assert page.locator("[data-size]").count() == 0


# Groups -------------------------------------------------------------------------------------------


def test_groups_open_and_close(browser, saved):
    told = stories.tower()
    root = grouped(told.story)
    repeat = next(g for g in root.groups() if g.kind == "repeat")
    inside = len([*repeat.rows()])
    with opened(browser, saved(told)) as page:
        drawn = "document.querySelectorAll('[data-row]').length"
        assert page.evaluate(drawn) == len(told.rows) - inside
        stack = page.locator(f'.stack[data-group="{repeat.number}"]')
        assert "×12" in stack.get_attribute("aria-label")
        stack.press("Enter")
        assert page.evaluate(drawn) == len(told.rows)
        page.locator(f'.handle[data-group="{repeat.number}"]').press("Enter")
        assert page.evaluate(drawn) == len(told.rows) - inside
        # A step to what is inside marks the closed group, a search opens it.
        hidden = next(repeat.rows())
        page.locator("#slider").fill(str(hidden.number + 1))
        assert "now" in stack.get_attribute("class").split()
        page.fill("#search", hidden.name)
        page.press("#search", "Enter")
        assert page.evaluate(drawn) == len(told.rows)
        assert row(page, hidden.number).is_visible()
        page.click("#close-all")
        assert page.evaluate(drawn) < len(told.rows) - inside


def test_only_what_leads_here(browser, saved):
    told = stories.textbook()
    with opened(browser, saved(told)) as page:
        row(page, told["d"].number).click()
        page.click("#only")
        names = [told.rows[int(e.get_attribute("data-row"))].name
                 for e in page.locator("[data-row]").all()]  # fmt: skip
        assert sorted(names) == ["a", "b", "c", "d", "x"]
        page.click("#notice button")
        assert page.locator("[data-row]").count() == len(told.rows)


@pytest.mark.parametrize("name", ["tower", "network", "tangle"])
def test_the_page_places_as_the_picture_does(browser, saved, name):
    """Two languages, one arithmetic: every card lies where Python puts it, open and closed."""
    told = stories.tangle(120) if name == "tangle" else getattr(stories, name)()
    root = grouped(told.story)
    labels = Labels(told.story)
    levels = layout(root)
    with opened(browser, saved(told)) as page:
        for every in (False, True):
            if every:
                page.click("#open-all")
            top = place(root, levels, lambda i: _size(i, labels), lambda g, e=every: e or g.is_open)
            expected = {}

            def collect(level, left, above, expected=expected):
                for item in level.x:
                    x = left + level.x[item] - level.size[item][0] / 2
                    y = above + level.y[item] - level.size[item][1] / 2
                    if item in level.inner:
                        collect(level.inner[item], x, y)
                    elif item.kind == "row":
                        expected[str(item.row.number)] = (x, y)

            collect(top, 0.0, 0.0)
            found = page.evaluate(
                """() => Object.fromEntries([...document.querySelectorAll('[data-row]')].map(e =>
                   [e.dataset.row, /([-\\d.]+) ([-\\d.]+)/.exec(e.getAttribute('transform'))
                   .slice(1).map(Number)]))"""
            )
            assert found.keys() == expected.keys()
            for key, (x, y) in expected.items():
                assert found[key] == pytest.approx([x, y], abs=0.06)


# Large graphs -------------------------------------------------------------------------------------

WRITES = """async () => {
    const seen = [];
    const watcher = new MutationObserver((records) => seen.push(...records.filter(
        (r) => !document.getElementById('panel').contains(r.target))));
    watcher.observe(document.body, {
        subtree: true, childList: true, attributes: true, characterData: true});
    const most = [];
    for (let k = 0; k < 12; k++) {
        document.getElementById('next').click();
        await new Promise((r) => setTimeout(r));
        most.push(seen.length);
        seen.length = 0;
    }
    return Math.max(...most);
}"""


def test_a_step_of_two_thousand_values_writes_little(browser, saved):
    """The work of a step is bounded, and it is the same as in a graph of forty values."""
    most = {}
    for rounds in (20, 999):
        told = stories.chain(rounds)
        assert len(told.rows) <= 2000
        with opened(browser, saved(told), f"#step={rounds}") as page:
            page.click("#open-all")
            assert page.locator("[data-row]").count() == len(told.rows)
            most[rounds] = page.evaluate(WRITES)
            shown_nodes = page.evaluate(
                "[...document.querySelectorAll('[data-row]')].filter(e => e.getClientRects()[0])"
                ".length"
            )
            assert shown_nodes < 150
    assert most[999] <= most[20] + 4 <= 60


def test_a_larger_graph_is_closed_and_says_so(browser, saved):
    told = stories.chain(1500)
    with opened(browser, saved(told)) as page:
        assert "3,001 values" in inner(page, "#notice")
        assert page.locator("[data-row]").count() < 50
        page.click("#open-all")
        assert "more than 2,000" in inner(page, "#notice")
        assert page.locator("[data-row]").count() < 50
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        assert inner(page, "#panel h2") == told.rows[0].name


# Safety -------------------------------------------------------------------------------------------


def test_names_of_users_are_text(browser, saved):
    told = stories.evil()
    path = saved(told)
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<img" not in text
    with opened(browser, path) as page:
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        for one in told.rows:
            row(page, one.number).press("Enter")
            assert inner(page, "#panel h2") == one.name
        page.fill("#search", "<script>")
        assert page.locator("#found li").count() > 0
        assert page.locator("img").count() == 0


def test_the_policy_forbids_all_connections(browser, saved):
    path = saved(stories.textbook())
    policy = re.search(r'Security-Policy" content="([^"]*)"', path.read_text(encoding="utf-8"))[1]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    context = browser.new_context()
    page = context.new_page()
    asked, failed = [], []
    page.on("requestfinished", lambda r: asked.append(r.url))
    page.on("requestfailed", lambda r: failed.append((r.url, r.failure)))
    page.goto(path.as_uri())
    blocked = page.evaluate(
        """async () => {
            const out = [];
            document.addEventListener('securitypolicyviolation',
                (e) => out.push(e.effectiveDirective));
            await fetch('https://example.org/x').catch(() => {});
            new Image().src = 'https://example.org/x.png';
            const script = document.createElement('script');
            script.textContent = 'window.ran = true';
            document.body.append(script);
            const style = document.createElement('style');
            style.textContent = 'body { display: none }';
            document.body.append(style);
            await new Promise((r) => setTimeout(r, 200));
            return [out.sort(), window.ran === undefined];
        }"""
    )
    assert blocked == [["connect-src", "img-src", "script-src-elem", "style-src-elem"], True]
    assert asked == [path.as_uri()]
    assert failed == [("https://example.org/x.png", "csp")]
    context.close()


def test_folders_are_told_only_when_asked(saved):
    told = stories.textbook()
    folder = os.path.dirname(os.path.abspath(stories.__file__))
    assert folder not in saved(told).read_text(encoding="utf-8")
    assert folder in saved(told, paths=True).read_text(encoding="utf-8")


def test_the_page_itself_is_small(saved):
    text = saved(stories.textbook()).read_text(encoding="utf-8")
    data = re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    assert len(text.encode()) - len(data.encode()) < 300_000


# For everyone -------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    r, g, b = (x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


CONTRASTS = """() => {
    const behind = (e) => {
        for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if (!c.startsWith('rgba(0, 0, 0, 0')) return c;
        }
    };
    const drawn = (e) => getComputedStyle(
        e.parentElement.querySelector('.card') || document.body);
    const texts = [...document.querySelectorAll(
        'h1, #lead, #panel p, #panel h2, #panel h3, #panel td, #panel th, button, a, #said')]
        .filter((e) => e.getClientRects().length && e.textContent.trim())
        .map((e) => [e.tagName + ' ' + e.textContent, getComputedStyle(e).color, behind(e)]);
    const cards = [...document.querySelectorAll('.node.known text')].map(
        (e) => ['card ' + e.textContent, getComputedStyle(e).fill, drawn(e).fill]);
    return [...texts, ...cards];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_readable_in_light_and_dark(browser, saved, scheme):
    """A contrast of 4.5 to 1, the level AA of the Web Content Accessibility Guidelines."""
    with opened(browser, saved(stories.network()), color_scheme=scheme) as page:
        found = page.evaluate(CONTRASTS)
        assert len(found) > 60
        for size in (*range(9), "z", "n"):
            page.evaluate(
                "(q) => document.querySelectorAll('[data-row]').forEach((e) => e.dataset.size = q)",
                size,
            )
            found += [one for one in page.evaluate(CONTRASTS) if one[0].startswith("card")]
        ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert ground < 0.03 if scheme == "dark" else ground > 0.8
        for what, front, back in found:
            a, b = sorted([luminance(front), luminance(back)])
            assert (b + 0.05) / (a + 0.05) >= 4.5, (what, front, back)
        page.click("#theme")
        ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert ground > 0.8 if scheme == "dark" else ground < 0.03


def test_everything_has_a_name(browser, saved):
    with opened(browser, saved(stories.tower())) as page:
        nameless = page.evaluate(
            """() => [...document.querySelectorAll(
                'button, a, input, select, [role=button], [role=group], aside, section[id]')]
                .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim()
                    || e.closest('label'))).map((e) => e.outerHTML)"""
        )
        assert nameless == []
        assert page.locator("[aria-live=polite]").count() == 1
        # One card is in the order of tabs; arrows lead to the others.
        assert page.locator('[data-row][tabindex="0"]').count() == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_runs_out_of_the_window(browser, saved, width):
    size = {"width": width, "height": 844}
    with opened(browser, saved(stories.network(), lang="ko"), viewport=size) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("#slider", "#play", "#search", "#theme", "#drawing"):
            assert page.locator(name).is_visible()


def test_korean(browser, saved):
    told = stories.kinks()
    with opened(browser, saved(told, lang="ko")) as page:
        assert page.locator("html").get_attribute("lang") == "ko"
        assert inner(page, "h1") == WORDS["ko"]["title"].format(name=told.result.name)
        page.keyboard.press("Home")
        assert inner(page, "#said") == WORDS["ko"]["at_start"]
        labels = {key: word for key, word in WORDS["ko"].items() if "{" not in word}
        english = [w for k, w in WORDS["en"].items() if k in labels and re.search("[a-z]{4}", w)]
        visible = page.evaluate("document.body.innerText")
        assert [w for w in english if re.search(rf"\b{re.escape(w)}\b", visible)] == []
        # Hangul is drawn with glyphs of its own: two letters differ, and neither is a box.
        drawn = page.evaluate(
            """() => ['값', '힣', '\\u{10FFFD}'].map((letter) => {
                const canvas = document.createElement('canvas');
                const pen = canvas.getContext('2d');
                pen.font = `32px ${getComputedStyle(document.body).fontFamily}`;
                pen.fillText(letter, 8, 40);
                return pen.getImageData(0, 0, 64, 64).data.join();
            })"""
        )
        assert len(set(drawn)) == 3


def test_both_languages_say_the_same():
    en, ko = WORDS["en"], WORDS["ko"]
    assert en.keys() == ko.keys()
    for key in en:
        assert sorted(re.findall(r"\{\w+\}", en[key])) == sorted(re.findall(r"\{\w+\}", ko[key]))


def test_states_are_told(browser, saved):
    told = stories.kinks()
    with opened(browser, saved(told)) as page:
        page.click("#open-all")
        for name, word in [("at_kink", "At a kink"), ("flat", "Saturated"),
                           ("mask", "Not required")]:  # fmt: skip
            row(page, told[name].number).press("Enter")
            assert word in inner(page, ".states")


def test_a_notebook_shows_it_in_a_sandbox(browser, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>n</title>{stories.textbook()._repr_html_()}")
    with opened(browser, path) as page:
        frame = page.frame_locator("iframe")
        assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts"
        assert frame.locator("[data-row]").count() == 7
        frame.locator("#back").click()
        assert "∂f/∂a" in frame.locator("#said").inner_text()
        page.wait_for_timeout(300)


def test_a_quiz_hides_its_answers_and_checks_them(browser, tmp_path):
    told = stories.textbook()
    quiz = Quiz(told.story)
    path = tmp_path / "quiz.html"
    quiz.save(path)
    with opened(browser, path) as page:
        everything = "document.body.innerText + "
        everything += "[...document.querySelectorAll('text, [aria-label]')]"
        everything += ".map(e => e.textContent + e.getAttribute('aria-label')).join()"
        hidden = {shown(b.right) for b in quiz.blanks} - {"0.25", "1"}
        before = page.evaluate(everything)
        assert not [x for x in hidden if x in before]
        assert inner(page, "#notice span") == f"Quiz: 0 of {len(quiz.blanks)} filled in."
        rows = {f"∂f/∂{r.name}": r for r in told.rows} | {r.name: r for r in told.rows}
        for k, blank in enumerate(quiz.blanks):
            of = blank.symbol.partition("/")[0].removeprefix("∂")
            home = rows[blank.symbol] if of == "f" and blank.symbol in rows else rows[of]
            row(page, home.number).press("Enter")
            field = page.locator(f'.ask[data-symbol="{blank.symbol}"]').first
            field.locator("input").fill("one")
            field.locator("button").first.click()
            assert "as numbers" in field.inner_text()
            field.locator("input").fill(str(-1.0001 * blank.right))
            field.locator("input").press("Enter")
            assert "look at the sign" in field.inner_text()
            field.locator("input").fill(str(1.0001 * blank.right))
            field.locator("input").press("Enter")
            assert inner(page, "#notice span").startswith(f"Quiz: {k + 1} of")
        assert page.locator(".ask").count() == 0
        after = page.evaluate(everything)
        assert not [r.name for r in told.rows if shown(r.value) not in after]
