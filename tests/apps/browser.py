"""Headless Chromium for the tests of the program's pages: opened from disk, without network, and used by a script that is added to a copy of the page."""
import json
import re
import shutil
import subprocess

SKIPPED = 77  # exit status of a test where there is no Chromium


def chromium():
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def browse(browser, folder, page, *arguments, window="1300,1500"):
    return subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={window}", f"--user-data-dir={folder}/profile",
                           "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", *arguments, page.as_uri()],
                          capture_output=True, text=True, timeout=300).stdout


def act(browser, folder, text, watch, script, **options):
    """Opens the page `text` with `watch` before its own script and `script` at its end, which writes JSON to <pre id="result">."""
    acted = folder / "acted.html"
    acted.write_text(text.replace("<head>", "<head>" + watch, 1).replace("</body>", script))
    dom = browse(browser, folder, acted, "--dump-dom", **options)
    found = re.search(r'<pre id="result">(.+?)</pre>', dom, re.S)
    assert found, "the page wrote no result: " + dom[-2000:]
    return json.loads(found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
