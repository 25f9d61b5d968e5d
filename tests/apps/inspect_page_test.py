"""The page of `moga inspect` in a browser: it draws, follows keys and clicks, and says what inspect.json says.

    python tests/apps/inspect_page_test.py build/cpu/bin/moga .

Inspects a short drawn story with models/demo, opens the page from disk in headless Chromium, without network, presses keys and clicks by a script that is added to a copy of the page,
and reads the result from the page. Skipped (exit status 77) where there is no Chromium.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from browser import SKIPPED, act, chromium

ACT = """<script>
const result = {};
const press = (key, shiftKey = false) => document.dispatchEvent(new KeyboardEvent('keydown', {key, shiftKey, bubbles: true}));
const pixel = (x, y) => [...$('film').getContext('2d').getImageData(x * film.width, y * film.height, 1, 1).data];
const click = (canvas, x, y) => { const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new MouseEvent('click', {clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true})); };
addEventListener('load', () => Promise.all(pictures.map(p => p.decode())).then(() => {
  show();
  result.titles = [document.title, $('title').textContent];
  result.first = [$('where').textContent, $('layer').selectedOptions[0].textContent];
  const before = pixel(0.52, 0.52);
  press('ArrowRight'); press('ArrowRight'); press('ArrowDown'); press(']');
  result.moved = [$('where').textContent, $('layer').selectedOptions[0].textContent, $('step').value];
  press('4'); result.film = pixel(0.52, 0.52); press('1'); result.group = pixel(0.52, 0.52);
  result.drawn = before.length === 4 && result.film.join() !== result.group.join();
  press('2'); result.gate = $('legend').textContent; press('3'); result.entropy = $('legend').textContent; press('1');
  click(film, 0.52, 0.52);
  result.token = $('token').textContent; result.at = {...state.token};
  press('ArrowLeft', true); result.tokenMoved = state.token.column;
  click(time, 0.999, 0.5); result.last = $('where').textContent;
  press('Escape'); result.cleared = $('token').textContent;
  document.querySelectorAll('#legend button')[0].click(); result.isolated = state.group;
  const cells = document.querySelectorAll('#overview td.cell'); cells[0].click(); result.cell = [state.step, state.layer];
  result.rows = ['overview', 'shots', 'numbers', 'overlap'].map(id => document.querySelectorAll(`#${id} tbody tr`).length);
  $('theme').click(); const one = getComputedStyle(document.body).backgroundColor;
  $('theme').click(); result.themes = [one, getComputedStyle(document.body).backgroundColor];
  report(result);
}));
</script>"""


def check(result, numbers):
    assert result["errors"] == [], result["errors"]
    assert result["titles"] == ["Routing: Story 7", "Story 7"], result["titles"]
    assert result["first"][0].startswith("latent frame 0 of 9, shot 1 of 4") and result["first"][1] == "0", result["first"]
    assert result["moved"][0].startswith("latent frame 2 of 9") and result["moved"][1:] == ["5", "1"], result["moved"]
    assert result["drawn"], "the overlay does not change the film"
    assert "Gate, mean" in result["gate"] and "Entropy, mean" in result["entropy"], (result["gate"], result["entropy"])
    record = next(r for r in numbers["records"] if r["layer"] == 5 and r["timestep"] == 200)
    group = int(re.search(r"group (\d+):", result["token"]).group(1))
    keys = int(re.search(r"group \d+: ([\d,]+) keys", result["token"]).group(1).replace(",", ""))
    assert keys == record["counts"][group], (result["token"], record["counts"])
    assert result["at"] == {"frame": 2, "row": 4, "column": 7}, result["at"]
    # Windows of 4 × 7 tokens; a shot of 2 or 3 latent frames is one run, which also sees 2 frames beyond each cut.
    shot_frames = numbers["video"]["shot_frames"]
    begin = 0 if shot_frames[0] > 2 else shot_frames[0]
    own = shot_frames[0] if begin == 0 else shot_frames[1]
    first, last = max(0, begin - 2), min(9, begin + own + 2)
    assert f"frames {first} to {last - 1}: {(last - first) * 28} keys" in result["token"], (result["token"], shot_frames)
    assert "112 keys" in result["token"], result["token"]
    assert result["tokenMoved"] == 6 and result["last"].startswith("latent frame 8 of 9"), result
    assert result["cleared"].startswith("Click a token") and result["isolated"] == 0 and result["cell"] == [0, 0], result
    assert result["rows"] == [2, 4, 2, 4], result["rows"]
    assert len(set(result["themes"])) == 2, result["themes"]


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    browser = chromium()
    if not browser:
        print("skipped: no Chromium")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, "inspect", "--story", "7", "--frames", "33", "--timesteps", "600,200", "--layers", "0,5", "--model", source / "models/demo",
                        "--out", folder / "out", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        check(act(browser, folder, (folder / "out/index.html").read_text(), ACT), json.loads((folder / "out/inspect.json").read_text()))
    print("the page of moga inspect works")
    return 0


sys.exit(main())
