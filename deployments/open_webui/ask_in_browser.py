"""Ask Open WebUI in a browser without a window, and fail unless answers and citations are seen.

Drives Chromium through chromedriver (Debian: `apt-get install chromium chromium-driver`), which
speaks W3C WebDriver. Every question gets a chat of its own and a picture.
"""

import argparse
import base64
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

QUESTIONS = (
    "Comment présenter sa démission ?",
    "Why are influenza viruses unlikely to cause a pandemic again?",
)
PATIENCE_S = 180.0  # with a slow machine, not an expectation
DRIVER = "http://127.0.0.1:{port}"
READ = """
const texts = [...document.querySelectorAll('[id^=response-content-container], #response-content-container')];
const answer = texts.length ? texts[texts.length - 1].innerText : '';
const buttons = [...document.querySelectorAll('button')].map(each => each.innerText.trim());
return {answer: answer, buttons: buttons, page: document.body.innerText};
"""


class Browser:
    """One session of a browser without a window."""

    def __init__(self, port: int) -> None:
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL
        )
        self._http = httpx.Client(base_url=DRIVER.format(port=port), timeout=PATIENCE_S)
        self._path = ""

    def open(self) -> None:
        """Start it."""
        until("chromedriver answers", self._ready)
        switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"]
        asked = {"browserName": "chrome", "goog:chromeOptions": {"args": switches}}
        made = self._post("/session", {"capabilities": {"alwaysMatch": asked}})
        self._path = f"/session/{made['sessionId']}"

    def go(self, url: str) -> None:
        """Open an address."""
        self._post(f"{self._path}/url", {"url": url})

    def run(self, script: str) -> Any:
        """Run a script in the page; what it returns."""
        return self._post(f"{self._path}/execute/sync", {"script": script, "args": []})

    def type(self, selector: str, text: str) -> None:
        """Type into what a selector finds."""
        found = self._post(f"{self._path}/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        self._post(f"{self._path}/element/{element}/value", {"text": text})

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        reply = self._http.get(f"{self._path}/screenshot").raise_for_status()
        return base64.b64decode(reply.json()["value"])

    def close(self) -> None:
        """End it."""
        with suppress(httpx.HTTPError):
            self._http.delete(self._path)
        self._driver.terminate()
        self._driver.wait()

    def _ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return bool(self._http.get("/status").json()["value"]["ready"])
        return False

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        reply = self._http.post(path, json=body)
        value = reply.json()["value"]
        if reply.is_error:
            raise RuntimeError(f"browser: {value['error']}: {value['message'][:200]}")
        return value


def until(what: str, happened: Callable[[], Any]) -> Any:
    """Wait for something; what it came to."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := happened()):
        if time.monotonic() > deadline:
            raise SystemExit(f"it was not seen within {PATIENCE_S:g} s: {what}")
        time.sleep(0.5)
    return value


def ask(browser: Browser, url: str, model: str, question: str) -> dict[str, Any]:
    """Ask in a new chat; what is seen when sources stand below the answer."""
    browser.go(f"{url}/?models={model}")
    until("the field for questions", lambda: _has(browser, "#chat-input"))
    until("no notice of a new version", lambda: not _notice(browser))
    browser.type("#chat-input", question + "\ue007")

    def answered() -> dict[str, Any] | None:
        seen: dict[str, Any] = browser.run(READ)
        sources = [text for text in seen["buttons"] if text.endswith(("Sources", "Source"))]
        return {**seen, "sources": sources} if sources and seen["answer"].strip() else None

    seen: dict[str, Any] = until(f"an answer with sources to {question!r}", answered)
    time.sleep(8)  # titles and follow-ups come after the answer
    return {**seen, **browser.run(READ)}


def add_function(url: str, file: Path, retriever: str) -> None:
    """Put a Pipe Function into Open WebUI, as its panel for administrators does."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=PATIENCE_S) as http:
        signed_in = http.post(
            "/auths/signin", json={"email": "", "password": ""}
        ).raise_for_status()
        http.headers["Authorization"] = f"Bearer {signed_in.json()['token']}"
        name, path = file.stem, f"/functions/id/{file.stem}"
        body = {"id": name, "name": "nightpress", "content": file.read_text(), "meta": {}}
        if http.get(path).is_error:
            http.post("/functions/create", json=body).raise_for_status()
            http.post(f"{path}/toggle").raise_for_status()
        else:
            http.post(f"{path}/update", json=body).raise_for_status()
        http.post(f"{path}/valves/update", json={"retriever_url": retriever}).raise_for_status()


def main() -> None:
    """Ask every question; pictures go into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8322")
    parser.add_argument("--model", default="documents")
    parser.add_argument("--pictures", type=Path, default=Path(".nightpress/pictures"))
    parser.add_argument("--driver-port", type=int, default=9515)
    parser.add_argument("--function", type=Path, help="a Pipe Function to put in and ask as well")
    parser.add_argument("--retriever", default="http://127.0.0.1:8321", help="for the function")
    wanted = parser.parse_args()
    wanted.pictures.mkdir(parents=True, exist_ok=True)
    asked = [(wanted.model, question) for question in QUESTIONS]
    if wanted.function is not None:
        add_function(wanted.url, wanted.function, wanted.retriever)
        asked.append((f"{wanted.function.stem}.{wanted.model}", QUESTIONS[0]))
    browser = Browser(wanted.driver_port)
    try:
        browser.open()
        for number, (model, question) in enumerate(asked, start=1):
            seen = ask(browser, wanted.url, model, question)
            picture = wanted.pictures / f"question-{number}.png"
            picture.write_bytes(browser.picture())
            print(
                f"{model} ? {question}\n{seen['sources'][0]}: {seen['answer'][:300]}\n-> {picture}\n"
            )
    finally:
        browser.close()


def _has(browser: Browser, selector: str) -> bool:
    return bool(browser.run(f"return document.querySelector({selector!r}) !== null"))


def _notice(browser: Browser) -> bool:
    """Close the notice of what is new, if it is shown; whether it was."""
    found = (
        "[...document.querySelectorAll('button')].find(each => /Okay, Let/.test(each.innerText))"
    )
    return bool(browser.run(f"const it = {found}; if (it) it.click(); return !!it"))


if __name__ == "__main__":
    sys.exit(main())
