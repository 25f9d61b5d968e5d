"""The page of `moga prepare videos` in a browser: its rows, filters and details, also with 10,000 rows.

    python tests/apps/report_page_test.py build/cpu/bin/moga . [folder for screenshots]

Prepares two drawn films and a file that is none, opens report.html from disk in headless Chromium, without network, and uses it by a script that is added to a copy of the page.
Skipped (exit status 77) where there is no Chromium.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from browser import SKIPPED, act, chromium, screenshot

ROWS = 10000
ACT = """<script>
const result = {};
const names = () => [...document.querySelectorAll('.row .name')].map(n => n.textContent);
const choose = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event(id === 'search' ? 'input' : 'change')); };
addEventListener('load', async () => {
  result.counts = $('counts').textContent; result.charts = document.querySelectorAll('#charts figure').length;
  result.rows = names(); result.why = document.querySelector('.why') ? document.querySelector('.why').textContent : '';
  const image = document.querySelector('.strip img'); await image.decode(); result.strip = [image.naturalWidth, image.naturalHeight];
  result.made = document.querySelectorAll('.row').length; result.height = $('list').offsetHeight;
  choose('show', 'dropped'); result.dropped = $('found').textContent;
  choose('show', 'kept'); result.kept = $('found').textContent; choose('show', 'all');
  choose('search', 'SMALL TOWN'); result.searched = $('found').textContent;
  choose('search', 'nothing has this'); result.none = names().length; choose('search', '');
  choose('sort', 'motion'); result.sorted = names().length;
  choose('sort', 'order');
  scrollTo(0, document.body.scrollHeight); draw(); result.last = names().at(-1); result.madeBelow = document.querySelectorAll('.row').length;
  scrollTo(0, 0); draw();
  document.querySelector('.row').click(); result.detail = $('detail').open && document.querySelectorAll('#detail tbody tr').length; $('detail').close();
  $('theme').click(); const one = getComputedStyle(document.body).backgroundColor;
  $('theme').click(); result.themes = [one, getComputedStyle(document.body).backgroundColor];
  report(result);
});
</script>"""


def prepare(program, folder):
    subprocess.run([program, "stories", "--count", "2", "--seed", "7", "--width", "224", "--height", "128", "--frames", "65", "--shots", "2", "--out", folder / "films"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for film in (folder / "films").glob("*.mp4"):
        film.with_suffix(".txt").write_text("Two people in a small town </script><b>.")
    (folder / "films/zzz.mp4").write_text("no film")
    config = folder / "config.toml"
    config.write_text(f'input = "{folder}/films"\nout = "{folder}/out"\n[merge]\narea = 28672\n')
    subprocess.run([program, "prepare", "videos", config, "--dry-run"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (folder / "out/report.html").read_text()


def large(text):
    """The same page with ROWS rows."""
    found = re.search(r'(<script id="data" type="application/json">)(.*?)(</script>)', text, re.S)
    data = json.loads(found.group(2))
    data["rows"] = [dict(data["rows"][i % len(data["rows"])], sample=f"row-{i:05d}") for i in range(ROWS)]
    return text[: found.start(2)] + json.dumps(data).replace("<", "\\u003c") + text[found.end(2) :]


def check(result, samples):
    kept = [s for s in samples if "dropped" not in s]
    assert result["errors"] == [], result["errors"]
    assert result["rows"] == [s["sample"] for s in samples], (result["rows"], samples)
    assert f"{len(kept)}samples kept" in result["counts"] and "3films" in result["counts"], result["counts"]
    assert result["charts"] == 7, result["charts"]
    assert "not a video that FFmpeg can read" in result["why"], result["why"]
    shots = len(samples[0]["shots"])
    assert result["strip"] == [112 * shots, 64], result["strip"]
    assert result["dropped"] == f"{len(samples) - len(kept)} of {len(samples)} rows" and result["kept"] == f"{len(kept)} of {len(samples)} rows", result
    assert result["searched"] == f"{len(kept)} of {len(samples)} rows" and result["none"] == 0, result
    assert result["sorted"] == len(samples) and result["detail"] == shots, result
    assert len(set(result["themes"])) == 2, result["themes"]


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2])
    browser = chromium()
    if not browser:
        print("skipped: no Chromium")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        text = prepare(program, folder)
        check(act(browser, folder, text, ACT), [json.loads(line) for line in (folder / "out/merge.jsonl").read_text().splitlines()])
        begin = time.time()
        many = act(browser, folder, large(text), ACT)
        assert many["errors"] == [] and many["height"] > 150 * ROWS and many["last"] == f"row-{ROWS - 1:05d}", many
        assert many["made"] < 60 and many["madeBelow"] < 60, many
        print(f"the page of moga prepare videos works; {ROWS} rows in {time.time() - begin:.1f} s")
        if len(sys.argv) > 3:
            for theme in ("light", "dark"):
                shown = folder / f"{theme}.html"
                shown.write_text(text.replace('<html lang="en">', f'<html lang="en" data-theme="{theme}">'))
                screenshot(browser, folder, shown, pathlib.Path(sys.argv[3]).resolve() / f"{theme}.png")
    return 0


sys.exit(main())
