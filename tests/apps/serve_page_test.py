"""The page of `moga serve` in a browser: writes a script, submits it, and shows the film.

    python tests/apps/serve_page_test.py build/cpu/bin/moga .

Serves models/demo to headless Chromium through a proxy that adds a script to the page, which presses its buttons; what it saw is read from the page. Skipped (exit status 77) where there is no Chromium.
"""
import http.server
import json
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from browser import SKIPPED, WATCH, chromium, visit

ACT = """<script>
const result = {}, sleep = ms => new Promise(done => setTimeout(done, ms));
const until = async holds => { for (let i = 0; i < 600 && !holds(); ++i) await sleep(100); return holds(); };
const type = (element, text) => { element.value = text; element.dispatchEvent(new Event('input', {bubbles: true})); };
(async () => {
  await until(() => $('model').textContent);
  result.model = $('model').textContent; result.size = [$('width').value, $('height').value];
  $('submit').click(); await sleep(200);
  result.empty = document.querySelectorAll('#films article').length;
  type($('title'), 'Two shots'); type($('steps'), '1'); type($('width'), '64'); type($('height'), '48');
  $('add').click();
  const boxes = shots();
  boxes.forEach((box, i) => { type(box.querySelector('textarea'), 'By the lake, by day: Mara waves ' + i); });
  boxes.forEach(box => { const [seconds, frames] = box.querySelectorAll('input[type=number]'); type(frames, '9'); result.exclusive = seconds.value === ''; });
  result.length = $('length').textContent;
  boxes[1].querySelector('button').click(); result.moved = readForm().shot[0].caption;
  $('as-json').click(); result.json = JSON.parse($('json').value);
  $('json').value = '{'; $('submit').click(); result.problem = $('problem').textContent;
  $('json').value = JSON.stringify({...result.json, titel: 'x'}); $('submit').click();
  result.refused = await until(() => /unknown key/.test($('problem').textContent)) && $('problem').textContent;
  $('json').value = JSON.stringify(result.json); $('as-json').click();
  $('submit').click();
  result.listed = await until(() => document.querySelector('#films article'));
  result.listed = !!result.listed;
  result.complete = await until(() => document.querySelector('.status.completed'));
  result.complete = !!result.complete;
  await until(() => document.querySelector('video')?.readyState > 1);
  const video = document.querySelector('video');
  result.film = video && [video.videoWidth, video.videoHeight, video.error && video.error.message];
  document.querySelectorAll('.film button')[2].click(); await sleep(500);
  result.again = readForm().shot.length;
  window.confirm = () => true;
  document.querySelectorAll('.film button')[3].click();
  result.removed = await until(() => !document.querySelector('#films article'));
  report(result);
})();
</script></body>"""


class Server:
    def __init__(self, program, source, folder):
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, "serve", "--model", source / "models/demo", "--port", "0", "--out", folder / "jobs"], stdout=log, stderr=log)
        for _ in range(600):
            found = re.search(r"http://\S+/", self.log.read_text())
            if found or self.process.poll() is not None:
                break
            time.sleep(0.1)
        assert found, self.log.read_text()
        self.url = found.group(0)


def with_script(url, results):
    """A proxy before the server that adds WATCH and ACT to the page and receives their result; everything else passes."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/result":
                results.put(json.loads(body))
                return self.send_error(204)
            headers = {name: value for name, value in self.headers.items() if name.lower() in {"content-type", "range", "idempotency-key", "accept"}}
            request = urllib.request.Request(url.rstrip("/") + self.path, body or None, headers, method=self.command)
            try:
                answer = urllib.request.urlopen(request, timeout=120)
            except urllib.error.HTTPError as error:
                answer = error
            self.send_response(answer.status)
            page = self.path == "/"
            for name, value in answer.headers.items():
                if name.lower() not in {"transfer-encoding", "connection", "keep-alive"} and not (page and name.lower() in {"content-length", "content-encoding"}):
                    self.send_header(name, value)
            self.end_headers()
            if page:
                self.wfile.write(answer.read().decode().replace("<head>", "<head>" + WATCH % "/result", 1).replace("</body>", ACT).encode())
            else:
                while piece := answer.read1(65536):
                    self.wfile.write(piece)
                    self.wfile.flush()
        do_GET = do_POST = do_DELETE = forward

        def log_message(self, *arguments):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{proxy.server_port}/"


def check(result):
    assert result["errors"] == [], result["errors"]
    assert result["model"] == "demo" and result["size"] == ["224", "128"], result
    assert result["empty"] == 0, "a script without captions was submitted"
    assert result["exclusive"] and result["length"] == "2 shots, 1.13 s", result["length"]
    assert result["moved"].endswith("waves 1"), result["moved"]
    assert result["json"]["size"] == [64, 48] and result["json"]["set"] == ["sampler.steps=1"], result["json"]
    assert result["problem"].startswith("This is not JSON"), result["problem"]
    assert "unknown key 'titel'; did you mean 'title'?" in (result["refused"] or ""), result["refused"]
    assert result["listed"] and result["complete"], result
    assert result["film"] == [64, 48, None], result["film"]
    assert result["again"] == 2 and result["removed"], result


def main():
    program, source = pathlib.Path(sys.argv[1]).absolute(), pathlib.Path(sys.argv[2]).absolute()
    browser = chromium()
    if not browser:
        print("skipped: no Chromium")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = Server(program, source, folder)
        try:
            results = queue.Queue()
            check(visit(browser, folder, with_script(server.url, results), results))
        finally:
            server.process.terminate()
            assert server.process.wait(60) == 0, server.log.read_text()
    print("the page of moga serve works")
    return 0


sys.exit(main())
