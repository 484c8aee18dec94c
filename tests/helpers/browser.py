"""Pages as a browser lays them out, at the width of a phone; tests are skipped where there is none."""

from __future__ import annotations

import html
import json
import shutil
import subprocess

import pytest

# A page in a frame of a given width: a window of its own cannot be as narrow as a phone's.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="page" src="{address}" style="border:0;width:{width}px;height:900px"></iframe>
<pre id="found"></pre>
<script>
document.getElementById("page").onload = (event) => {{
  const document_ = event.target.contentDocument, window_ = event.target.contentWindow;
  const found = (function (document, window) {{ {script} }})(document_, window_);
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>"""


def look(address, script, folder, width=390):
    """Value of a script's ``return`` in a page, which it knows as ``document`` and ``window``."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium")
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(address=address.as_uri(), width=width, script=script))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-web-security"]
    options += ["--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"]
    options += ["--virtual-time-budget=4000", "--dump-dom"]
    done = subprocess.run(
        [program, *options, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    text = done.stdout.partition('<pre id="found">')[2].partition("</pre>")[0]
    return json.loads(html.unescape(text))
