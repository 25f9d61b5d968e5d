"""The page of `moga plot` in a browser: it draws, follows the pointer and the controls, and shows text as text.

    python tests/apps/plot_page_test.py build/cpu/bin/moga

Plots two written logs, opens the page from disk in headless Chromium, without network, moves the pointer and clicks by a script that is added to a copy of the page, and reads the
result from the page. Skipped (exit status 77) where there is no Chromium.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from browser import SKIPPED, act, chromium

ACT = """<script>
const result = {};
const panel = number => document.querySelectorAll('#panels section')[number];
const keys = number => panel(number).querySelectorAll('.keys button');
const paths = number => panel(number).querySelectorAll('path').length;
const move = (number, part) => { const svg = panel(number).querySelector('svg'), box = svg.getBoundingClientRect();
  const scale = Math.min(box.width / W, box.height / H);
  const x = box.left + (box.width - W * scale) / 2 + scale * (54 + part * (W - 64));
  svg.dispatchEvent(new PointerEvent('pointermove', {clientX: x, clientY: box.top + box.height / 2, bubbles: true})); };
const pick = (id, value, kind) => { $(id).value = value; $(id).dispatchEvent(new Event(kind)); };
addEventListener('load', () => {
  result.titles = [...document.querySelectorAll('h2')].map(h => h.textContent.trim().replace(/\\s+/g, ' '));
  result.paths = paths(0);
  move(0, 0.5);
  result.at = panel(0).querySelector('h2').textContent;
  result.values = [...keys(0)].map(k => k.textContent);
  pick('smooth', 3, 'input');
  result.smooth = [paths(0), $('note').textContent];
  move(0, 0.5); result.smoothed = keys(0)[0].textContent;
  pick('smooth', 1, 'input');
  keys(0)[0].click(); result.hidden = [paths(0), keys(0)[0].getAttribute('aria-pressed')];
  keys(0)[0].click();
  document.querySelectorAll('#runs button')[1].click(); result.oneRun = paths(0);
  document.querySelectorAll('#runs button')[1].click();
  pick('axis', 'hours', 'change'); result.hours = panel(0).querySelector('svg').textContent;
  result.news = $('news').textContent;
  $('theme').click(); const one = getComputedStyle(document.body).backgroundColor;
  $('theme').click(); result.themes = [one, getComputedStyle(document.body).backgroundColor];
  report(result);
});
</script>"""


def write_log(folder, offset, news):
    folder.mkdir()
    lines = [{"step": 0, "held_out_loss": 5}]
    for step in range(10, 110, 10):
        lines.append({"step": step, "seconds": 36 * step, "loss": step + offset, "gradient_norms": {"mlp": 1, "router": 0.001}, "imbalance": [1, 1.5]})
    lines[5]["news"] = [news]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def check(result):
    assert result["errors"] == [], result["errors"]
    assert [t for t in result["titles"] if t.startswith("Loss")] and "Gradient norm by part: b before clipping, log scale" in result["titles"], result["titles"]
    assert result["paths"] == 4, result["paths"]  # two runs, each with its held-out loss
    assert "step 50" in result["at"], result["at"]
    assert result["values"] == ["a 50", "b 150", "a, held out 5", "b, held out 5"], result["values"]
    assert result["smooth"][0] == 6 and "means over 3 neighbouring log lines" in result["smooth"][1], result["smooth"]
    assert result["smoothed"] == "a 50", result["smoothed"]
    assert result["hidden"] == [3, "false"] and result["oneRun"] == 2, result
    assert "hours of training" in result["hours"], result["hours"]
    assert "b, step 50: <b>starves</b>" in result["news"], result["news"]
    assert len(set(result["themes"])) == 2, result["themes"]


def main():
    program, browser = sys.argv[1], chromium()
    if not browser:
        print("skipped: no Chromium")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_log(folder / "a", 0, "a group starves")
        write_log(folder / "b", 100, "<b>starves</b>")
        subprocess.run([program, "plot", folder / "a", folder / "b", "--out", folder / "out"], check=True, stdout=subprocess.DEVNULL)
        check(act(browser, folder, (folder / "out/plot.html").read_text(), ACT, window="1400,1200"))
    print("the page of moga plot works")
    return 0


sys.exit(main())
