"""The playground without a browser: who gets what of it, where its editor comes from, and a conversation through it."""

import asyncio
import hashlib
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from sc2lsp.__main__ import main
from sc2lsp.config import Config
from sc2lsp.playground import monaco
from sc2lsp.playground.files import Place, Workspace, workspace_of
from sc2lsp.playground.monaco import MonacoError
from sc2lsp.playground.serve import SAMPLE, START, serve
from sc2lsp.playground.site import Site, page_files
from sc2lsp.server import create_server
from tests.server.conftest import own_runtime
from tests.server.fake_dialects import answering, openai_lines
from tests.server.fake_http import Reply, serving

__all__ = ["own_runtime"]

SECRET = "hunter2"
SEEN = ["app.py", "lib/café #1.py", "lib/deep/b.ts"]
HIDDEN = {
    ".env": SECRET, "id_rsa": SECRET, "secrets.py": SECRET, "secrets/key.py": SECRET, ".aws/x.py": SECRET,
    "ignored.py": SECRET, "build/made.py": SECRET, "node_modules/m.js": SECRET, ".git/config": SECRET,
    "left_out/x.py": SECRET, "notes.md": "no source",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    for path, text in {**dict.fromkeys(SEEN, "x = 1\n"), **HIDDEN}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / ".gitignore").write_text("ignored.py\n")
    (root / ".sc2lsp.toml").write_text('exclude = ["left_out/"]\n')
    (root / "link.py").symlink_to(root / ".env")
    (tmp_path / "outside.py").write_text(SECRET)
    return root


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """What is as much of Monaco as the server looks at."""
    folder = tmp_path / "monaco"
    (folder / "vs").mkdir(parents=True)
    (folder / "vs" / "loader.js").write_text("loader")
    (folder / "vs" / "link.js").symlink_to(tmp_path / "outside.py")
    return folder


@asynccontextmanager
async def playing(workspace: Workspace, editor: Path) -> AsyncIterator[Site]:
    ready: asyncio.Future[Site] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(workspace, editor, 0, create_server, ready.set_result))
    try:
        yield await asyncio.wait_for(ready, 5)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def get(site: Site, path: str, *, token: str | None = None, **headers: str) -> Got:
    """A request as it is written here: no client tidies its path."""
    sent = {"Host": site.host} | {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {"Authorization": f"Bearer {site.token}"} if token is None else {}
    lines = [f"GET {path}{f'?token={token}' if token else ''} HTTP/1.1", *(f"{n}: {v}" for n, v in sent.items())]
    address, _, port = site.host.partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    status, *fields = head.decode().split("\r\n")
    return Got(int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body)


async def test_what_is_listed_is_served_and_nothing_else(root: Path, editor: Path) -> None:
    async with playing(workspace_of(root, Config()), editor) as site:
        listing = json.loads((await get(site, "/workspace")).body)
        assert listing["files"] == SEEN
        assert (listing["name"], listing["uri"], listing["start"]) == ("mine", root.resolve().as_uri(), None)
        assert (await get(site, "/workspace/lib/caf%C3%A9%20%231.py")).body == b"x = 1\n"
        for path in [*HIDDEN, "link.py", ".gitignore", ".sc2lsp.toml", "missing.py", "lib", "lib/"]:
            got = await get(site, f"/workspace/{path}")
            assert (got.status, SECRET.encode() in got.body) == (404, False), path


@pytest.mark.parametrize(
    "path",
    ["/workspace/../outside.py", "/workspace/lib/../../outside.py", "/workspace/..%2foutside.py",
     "/workspace/%2e%2e/outside.py", "/workspace//{root}/../outside.py", "/workspace/%2f{root}/.env",
     "/monaco/../outside.py", "/monaco/vs/../../outside.py", "/monaco/%2e%2e/outside.py", "/monaco/vs/link.js",
     "/monaco/..%5coutside.py", "/monaco//etc/passwd", "/monaco/vs%00/loader.js", "/monaco/vs", "/monaco/C:/x",
     "/page/../site.py", "/page/..%2fsite.py", "/elsewhere", "/%00"],
)  # fmt: skip
async def test_no_path_leads_out(path: str, root: Path, editor: Path) -> None:
    async with playing(workspace_of(root, Config()), editor) as site:
        got = await get(site, path.format(root=root))
        assert got.status == 404
        assert SECRET.encode() not in got.body


@pytest.mark.parametrize("path", ["/workspace", "/workspace/app.py", "/lsp", "/elsewhere"])
@pytest.mark.parametrize("token", ["", "guess", "%C3%A9"])
async def test_without_the_token(path: str, token: str, root: Path, editor: Path) -> None:
    async with playing(workspace_of(root, Config()), editor) as site:
        got = await get(site, path, token=token)
        assert (got.status, b"x = 1" in got.body) == (403, False)
        assert (await get(site, path, token="", Authorization="Bearer \u00e9")).status == 403


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/monaco/vs/loader.js", "/workspace", "/lsp"])
@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "localhost:1"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
     {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}],
)  # fmt: skip
async def test_from_elsewhere(path: str, headers: dict[str, str], root: Path, editor: Path) -> None:
    async with playing(workspace_of(root, Config()), editor) as site:
        assert (await get(site, path, **headers)).status == 403


async def test_what_a_browser_is_started_with_is_good_for_once(root: Path, editor: Path) -> None:
    async with playing(workspace_of(root, Config()), editor) as site:
        address, _, ticket = site.url_for_once().partition("#once=")
        assert (address, site.token in ticket) == (f"{site.origin}/", False)
        for wrong in ("", "guess", site.token):
            assert (await get(site, "/token", token=wrong)).status in (403, 404)
        assert (await get(site, "/workspace", token=ticket)).status == 403
        got = await get(site, "/token", token=ticket)
        assert (got.status, got.body.decode()) == (200, site.token)
        assert (await get(site, "/token", token=ticket)).status == 403


async def test_the_page(root: Path, editor: Path) -> None:
    """Needs no token, which browsers do not send with a page; a link may lead there."""
    async with playing(workspace_of(root, Config()), editor) as site:
        assert site.url == f"http://{site.host}/#{site.token}"
        assert len(site.token) >= 43  # 256 bits in base 64
        page = await get(site, "/", token="", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        policy = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
        assert policy["connect-src"] == f"'self' ws://{site.host}"
        assert policy["frame-ancestors"] == "'none'"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert (await get(site, "/monaco/vs/loader.js", token="")).body == b"loader"
        for name in page_files():
            got = await get(site, f"/page/{name}", token="")
            assert (got.status, got.headers["X-Content-Type-Options"]) == (200, "nosniff")
            assert got.headers["Content-Type"].startswith(("text/javascript", "text/css", "text/html"))


def test_the_page_asks_nobody_else() -> None:
    for name, content in page_files().items():
        assert b"https://" not in content, name
        assert content.count(b"http://") == 0, name


def test_the_sample_is_whole() -> None:
    lines = (SAMPLE / START.path).read_text().splitlines(keepends=True)
    assert (START.line, START.column) == (len(lines) + 1, 1)
    sample = Workspace(SAMPLE, start=START)
    assert START.path in sample.listing()["files"]
    assert len({path.rpartition(".")[2] for path in sample.listing()["files"]}) > 1  # languages
    assert SAMPLE.name not in json.dumps(sample.listing()["files"])


def test_a_private_folder_is_nobodys_workspace(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "x.py").write_text(SECRET)
    workspace = Workspace(tmp_path / ".ssh", start=Place("x.py", 1, 1))
    assert workspace.listing()["files"] == []
    assert workspace.text("x.py") is None


class Peer:
    """A page, as the server knows it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.told: list[dict[str, Any]] = []

    async def notify(self, method: str, params: Any) -> None:
        await self.connection.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    async def request(self, id: int, method: str, params: Any) -> Any:
        await self.connection.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
        while True:
            message = json.loads(await asyncio.wait_for(self.connection.recv(), 20))
            if message.get("id") == id and "method" not in message:
                return message["result"]
            self.told.append(message)


@asynccontextmanager
async def joined(site: Site, **settings: Any) -> AsyncIterator[Peer]:
    url = f"ws://{site.host}/lsp?token={site.token}"
    async with connect(url, origin=site.origin, proxy=None) as connection:  # type: ignore[arg-type]
        peer = Peer(connection)
        listing = json.loads((await get(site, "/workspace")).body)
        folder = {"name": listing["name"], "uri": listing["uri"]}
        options = {**listing["settings"], **settings}
        params = {"processId": None, "capabilities": {}, "workspaceFolders": [folder], "initializationOptions": options}
        await peer.request(0, "initialize", {"rootUri": folder["uri"], **params})
        await peer.notify("initialized", {})
        yield peer


@pytest.mark.usefixtures("own_runtime")
async def test_two_panes(root: Path, editor: Path) -> None:
    """Each has a server, documents and settings of its own; nothing that they say reaches the disk."""
    uri = (root.resolve() / "app.py").as_uri()
    place = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 8}, "context": {"triggerKind": 2}}
    remote = {"backend": "openai", "model": "starcoder2-3b", "max_wait": 0}
    async with (
        serving(answering(lambda _: Reply.lines(openai_lines(["wide", "nd\n"])))) as fake,
        playing(workspace_of(root, Config()), editor) as site,
        joined(site, endpoint=fake.url, **remote) as one,
        joined(site, enabled=False) as other,
    ):
        for peer in (one, other):
            document = {"uri": uri, "languageId": "python", "version": 1, "text": "x = 1\ny = x + \n"}
            await peer.notify("textDocument/didOpen", {"textDocument": document})
        (item,) = (await one.request(1, "textDocument/inlineCompletion", place))["items"]
        assert item["insertText"].startswith("wide")
        assert (await other.request(1, "textDocument/inlineCompletion", place))["items"] == []
        asked = {"command": "sc2lsp.explain", "arguments": [uri]}
        explained = await one.request(2, "workspace/executeCommand", asked)
        assert explained["model"]["answers"][0]["tokens"][0]["text"] == "wide"
        assert "total" in explained["model"]["timings_ms"]
    assert (root / "app.py").read_text() == "x = 1\n"


@pytest.mark.parametrize("origin", [None, "https://evil.example", "http://127.0.0.1:1"])
async def test_a_socket_is_for_our_page_alone(origin: str | None, root: Path, editor: Path) -> None:
    async with playing(workspace_of(root, Config()), editor) as site:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{site.host}/lsp?token={site.token}", origin=origin, proxy=None)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2
            tar.addfile(member, io.BytesIO(b"ok"))
    return file.getvalue()


ARCHIVE = archive("package/min/vs/loader.js", "package/min/vs/editor/editor.main.js", "package/README.md")


@asynccontextmanager
async def registry(body: bytes, status: int = 200) -> AsyncIterator[str]:
    async with serving(lambda _: Reply([body], status)) as fake:
        yield monaco.archive_url({"npm_config_registry": fake.url})


def believe(patch: pytest.MonkeyPatch, body: bytes) -> None:
    patch.setattr(monaco, "SHA512", hashlib.sha512(body).digest())


async def test_the_editor_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    believe(monkeypatch, ARCHIVE)
    arrived: list[int] = []
    async with registry(ARCHIVE) as url:
        assert url.endswith(f"/monaco-editor/-/monaco-editor-{monaco.VERSION}.tgz")
        folder = await asyncio.to_thread(monaco.fetch, url, tmp_path, arrived.append)
    assert sum(arrived) == len(ARCHIVE)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["editor.main.js", "loader.js"]
    assert monaco.kept(tmp_path) == folder
    assert monaco.fetch("http://127.0.0.1:1/", tmp_path, arrived.append) == folder  # nobody is asked again


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [(archive("package/min/vs/loader.js"), 200, "its SHA-512 is another"), (ARCHIVE[:-9], 200, "its SHA-512 is"),
     (b"", 200, "its SHA-512 is"), (b"no", 404, "cannot fetch"), (b"x" * (1 << 20), 200, "its SHA-512 is")],
)  # fmt: skip
async def test_what_is_not_the_editor_is_not_kept(
    body: bytes, status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    believe(monkeypatch, ARCHIVE)
    monkeypatch.setattr(monaco, "SIZE", 1 << 17)
    arrived: list[int] = []
    async with registry(body, status) as url:
        with pytest.raises(MonacoError, match=said) as failure:
            await asyncio.to_thread(monaco.fetch, url, tmp_path, arrived.append)
    assert f"npm pack monaco-editor@{monaco.VERSION}" in str(failure.value)
    assert sum(arrived) <= (1 << 17) + monaco.CHUNK
    assert [path.name for path in tmp_path.iterdir()] == ["monaco.lock"]


@pytest.mark.parametrize("name", ["package/min/vs/../../../../evil.js", "package/min/vs//etc/evil.js"])
def test_no_archive_writes_elsewhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one whose hash is believed."""
    body = archive(name, "package/min/vs/loader.js")
    believe(monkeypatch, body)
    path = tmp_path / "a.tgz"
    path.write_bytes(body)
    with suppress(tarfile.FilterError):
        monaco.given(path, tmp_path / "cache")
    assert not [found for found in tmp_path.rglob("evil.js") if not found.is_relative_to(tmp_path / "cache")]


def test_the_editor_that_is_named(tmp_path: Path, editor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    editor.rename(package / "min")
    assert monaco.given(package, tmp_path) == package / "min"
    assert monaco.given(package / "min", tmp_path) == package / "min"
    believe(monkeypatch, ARCHIVE)
    (tmp_path / "a.tgz").write_bytes(ARCHIVE)
    folder = monaco.given(tmp_path / "a.tgz", tmp_path / "cache")
    assert folder == monaco.kept(tmp_path / "cache")
    with pytest.raises(MonacoError, match="has no min"):
        monaco.given(tmp_path, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="npm is a shell script here")
@pytest.mark.parametrize(
    ("script", "url"),
    [("echo https://r.example/npm/", "https://r.example/npm/monaco-editor/-/"), ("exit 1", None), (None, None)],
)
def test_npm_is_asked_for_the_registry(tmp_path: Path, script: str | None, url: str | None) -> None:
    if script is not None:
        npm = tmp_path / "npm"
        npm.write_text(f"#!/bin/sh\n{script}\n")
        npm.chmod(0o755)
    if url is not None:
        assert monaco.archive_url({"PATH": str(tmp_path)}).startswith(url)
    else:
        with pytest.raises(MonacoError, match="npm_config_registry"):
            monaco.archive_url({"PATH": str(tmp_path)})


@pytest.mark.parametrize("registry", ["file:///etc", "ftp://x", "x"])
def test_which_registry(registry: str) -> None:
    assert monaco.archive_url({"NPM_CONFIG_REGISTRY": "https://r.example/npm/"}).startswith("https://r.example/npm/mon")
    with pytest.raises(MonacoError, match="must begin with https"):
        monaco.archive_url({"npm_config_registry": registry})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "npm pack monaco-editor@"), (["--monaco", "/nowhere"], "/nowhere has no min/vs/loader.js")],
)
def test_one_line_without_the_editor(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = CliRunner().invoke(main, ["playground", "--no-browser", *arguments])
    assert ran.exit_code == 1
    assert ran.stderr.splitlines()[-1].startswith("sc2lsp: ")
    assert said in ran.stderr.splitlines()[-1]


def test_a_folder_that_is_none(editor: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["playground", "--no-browser", "--monaco", str(editor), str(tmp_path / "none")])
    assert (ran.exit_code, "is not a folder" in ran.stderr) == (1, True)
