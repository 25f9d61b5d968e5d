"""Headless Chromium for the tests of the program's pages: opened from disk, without network, and used by a script that is added to a copy of the page."""
import contextlib
import http.server
import json
import queue
import shutil
import subprocess
import threading

SKIPPED = 77  # exit status of a test where there is no Chromium
DEADLINE = 240  # seconds for a page, on a busy machine

# Before the page's own script: collects the page's errors; `report(result)` sends the result, and an error sends what there is.
WATCH = """<script>
const errors = [];
const report = result => fetch('%s', {method: 'POST', mode: 'no-cors', body: JSON.stringify({...result, errors})});
const failed = text => { errors.push(text); setTimeout(report, 2000); };
addEventListener('error', e => failed(e.message));
addEventListener('unhandledrejection', e => failed(String(e.reason)));
</script>"""


def chromium():
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def command(browser, folder, window):
    return [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={window}", f"--user-data-dir={folder}/profile",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@contextlib.contextmanager
def reports():
    """A queue of what pages report, and the address to report to."""
    results = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_error(204)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield results, f"http://127.0.0.1:{server.server_port}/result"
    finally:
        server.shutdown()
        server.server_close()


def visit(browser, folder, url, results, window="1300,1500"):
    """Opens `url` until a result arrives."""
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen([*command(browser, folder, window), "--remote-debugging-port=0", url], stdout=log, stderr=log)
        try:
            return results.get(timeout=DEADLINE)
        except queue.Empty:
            raise AssertionError("the page reported nothing: " + (folder / "chromium.log").read_text()[-2000:]) from None
        finally:
            process.terminate()
            process.wait(60)


def act(browser, folder, text, script, **options):
    """Opens the page `text` with `script` at its end, and returns what the script reports, with the page's errors."""
    acted = folder / "acted.html"
    with reports() as (results, address):
        acted.write_text(text.replace("<head>", "<head>" + WATCH % address, 1).replace("</body>", script + "</body>"))
        return visit(browser, folder, acted.as_uri(), results, **options)


def screenshot(browser, folder, page, picture):
    subprocess.run([*command(browser, folder, "1300,1500"), "--virtual-time-budget=20000", f"--screenshot={picture}", page.as_uri()],
                   check=True, capture_output=True, timeout=300)
