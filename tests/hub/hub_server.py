#!/usr/bin/env python3
"""A Hub for tests: the part of the Hugging Face Hub's interface that downloads need, on 127.0.0.1.

    hub_server.py ROOT [--faults FILE.json] [--log FILE]

ROOT holds models/ORG/NAME/REVISION/FILES and datasets/ORG/NAME/REVISION/FILES; a slash in a revision is
written as %2F. Small files are answered through a redirect to another path with git's SHA-1 as etag; files of
kLarge endings or above 64 KiB through a redirect to another port (another host) with their SHA-256, as the Hub
does. The first line on stdout is the port.

FILE.json: {"token": the only valid token, "private": [ids], "gated": [ids], "extra_names": [names that listings
add], "no_ranges": true, "faults": {"name of a file, or a path": [fault, ...]}}. The faults of a name are used
up in order, one a GET:

    "503", "403", ...       that status
    "429:SECONDS"           that one with Retry-After
    "cut:N", "stall:N"      N bytes, then the line is cut, or nothing more comes
    "wrong"                 right length, one bit wrong
    "long"                  more bytes than announced
    "slow:N"                N bytes a second, all of them
    "to:ADDRESS"            a redirect there
    "loop", "headers"       a redirect to itself (never used up), a megabyte of headers

The log gets one line a request: {"method", "path", "range", "token", "status", "other"}; `other`: it came to
the second port.
"""

import argparse
import hashlib
import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.parse

LARGE_ENDINGS = (".bin", ".safetensors", ".gguf", ".parquet", ".gz")
LARGE_BYTES = 1 << 16


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """What is served, how it fails, and what was asked."""

    def __init__(self, root, settings, log=None):
        self.root = pathlib.Path(root)
        self.settings = settings
        self.faults = {name: list(faults) for name, faults in settings.get("faults", {}).items()}
        self.log = log
        self.requests = []
        self.lock = threading.Lock()
        self.servers = []

    def start(self):
        """Serves in threads; the address of the first port."""
        for other in (False, True):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self, other))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)
        return self.address()

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def address(self, other=False):
        return f"http://127.0.0.1:{self.servers[int(other)].server_address[1]}"

    def note(self, **request):
        with self.lock:
            self.requests.append(request)
            if self.log:
                with open(self.log, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(request) + "\n")

    def fault_of(self, *names):
        with self.lock:
            for name in names:
                queue = self.faults.get(name)
                if queue:
                    return queue[0] if queue[0] == "loop" else queue.pop(0)
        return ""

    def folder(self, kind, repo, revision):
        """The folder of a revision by its name or commit; None when there is none."""
        base = self.root / kind / repo
        if not base.is_dir():
            return None
        for path in base.iterdir():
            if urllib.parse.unquote(path.name) == revision or commit_of(path) == revision:
                return path
        return None


def files_of(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def commit_of(folder):
    """40 digits that follow from names and bytes."""
    digest = hashlib.sha1(folder.as_posix().encode())
    for name in files_of(folder):
        path = folder / name
        digest.update(f"{name} {path.stat().st_size} ".encode())
        digest.update(hashlib.sha1(path.read_bytes()).digest())
    return digest.hexdigest()


def handler(hub, other):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def reply(self, status, body=b"", **headers):
            hub.note(method=self.command, path=self.path, range=self.headers.get("Range", ""),
                     token=self.headers.get("Authorization", ""), status=status, other=other)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), str(value))
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def answer(self):
            path = urllib.parse.urlsplit(self.path).path
            words = path.lstrip("/").split("/")
            if words[0] == "api" and words[1] in ("models", "datasets") and "revision" in words:
                return self.listing(words[1], words[2:])
            if words[0] == "blob":
                return self.content(words[1], *words[2:])
            if "resolve" in words:
                kind = "datasets" if words[0] == "datasets" else "models"
                return self.resolve(kind, words[1:] if kind == "datasets" else words)
            return self.reply(404)

        def may_see(self, kind, repo, revision):
            """The folder, or None after an answer that refuses it."""
            settings, sent = hub.settings, self.headers.get("Authorization", "")
            allowed = settings.get("token") and sent == "Bearer " + settings["token"]
            base = hub.root / kind / repo
            if not base.is_dir() or (repo in settings.get("private", ()) and not allowed):
                return self.reply(404 if allowed else 401, X_Error_Code="RepoNotFound")
            folder = hub.folder(kind, repo, revision)
            if folder is None:
                return self.reply(404, X_Error_Code="RevisionNotFound")
            return folder

        def listing(self, kind, words):
            cut = words.index("revision")
            repo, revision = "/".join(words[:cut]), urllib.parse.unquote("/".join(words[cut + 1:]))
            if self.fail_plainly(hub.fault_of(self.path)):
                return None
            folder = self.may_see(kind, repo, revision)
            if folder is None:
                return None
            names = files_of(folder) + hub.settings.get("extra_names", [])
            body = json.dumps({"id": repo, "sha": commit_of(folder), "gated": repo in hub.settings.get("gated", ()),
                               "private": False, "siblings": [{"rfilename": name} for name in names]}).encode()
            return self.reply(200, body, Content_Type="application/json")

        def fail_plainly(self, fault):
            """Answers a fault that is no matter of bytes; whether it was one."""
            if fault.isdigit():
                self.reply(int(fault))
            elif fault.startswith("429:"):
                self.reply(429, Retry_After=fault[4:])
            elif fault.startswith("to:"):
                self.reply(302, Location=fault[3:])
            elif fault == "loop":
                self.reply(302, Location=self.path)
            elif fault == "headers":
                self.reply(200, **{f"X_Filler_{i}": "x" * 1000 for i in range(90)})
            else:
                return False
            return True

        def resolve(self, kind, words):
            cut = words.index("resolve")
            repo, revision = "/".join(words[:cut]), urllib.parse.unquote(words[cut + 1])
            name = urllib.parse.unquote("/".join(words[cut + 2:]))
            folder = self.may_see(kind, repo, revision)
            if folder is None:
                return None
            allowed = self.headers.get("Authorization", "") == "Bearer " + hub.settings.get("token", "-")
            if repo in hub.settings.get("gated", ()) and not allowed:
                return self.reply(401, X_Error_Code="GatedRepo")
            path = folder / name
            if not path.is_file():
                return self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit_of(folder))
            if self.command == "GET" and self.fail_plainly(hub.fault_of("resolve " + name)):
                return None
            data, commit = path.read_bytes(), commit_of(folder)
            where = "/".join(["blob", kind, repo, path.parent.relative_to(hub.root / kind / repo).as_posix(),
                              path.name])
            where = urllib.parse.quote(where)
            if name.endswith(LARGE_ENDINGS) or len(data) > LARGE_BYTES:
                digest = hashlib.sha256(data).hexdigest()
                return self.reply(302, Location=f"{hub.address(True)}/{where}?signature=secret", X_Repo_Commit=commit,
                                  X_Linked_Etag=f'"{digest}"', X_Linked_Size=len(data))
            return self.reply(307, Location=f"/{where}", X_Repo_Commit=commit)

        def content(self, *words):
            path = hub.root.joinpath(*map(urllib.parse.unquote, words))
            if not path.is_file():
                return self.reply(404)
            fault = hub.fault_of(path.name) if self.command == "GET" else ""
            if self.fail_plainly(fault):
                return None
            commit = "" if other else commit_of(hub.root.joinpath(*map(urllib.parse.unquote, words[:4])))
            return self.send_bytes(path.read_bytes(), fault, commit)

        def send_bytes(self, data, fault, commit):
            etag, begin, whole = git_sha1(data), 0, len(data)
            wanted = self.headers.get("Range", "")
            if wanted.startswith("bytes=") and not hub.settings.get("no_ranges"):
                begin = int(wanted[6:].split("-")[0])
                if begin >= whole:
                    return self.reply(416, Content_Range=f"bytes */{whole}")
            if fault == "wrong":
                data = data[:-1] + bytes([data[-1] ^ 1])
            if fault == "long":
                data += b"more"
            headers = {"Content_Length": len(data) - begin, "ETag": f'"{etag}"', "Accept_Ranges": "bytes"}
            if commit:
                headers["X_Repo_Commit"] = commit
            if begin:
                headers["Content_Range"] = f"bytes {begin}-{whole - 1}/{whole}"
            self.reply(206 if begin else 200, b"", **headers)
            if self.command == "GET":
                self.pour(data[begin:], fault)
            return None

        def pour(self, data, fault):
            kind, _, amount = fault.partition(":")
            if kind in ("cut", "stall"):
                self.wfile.write(data[:int(amount)])
                self.wfile.flush()
                if kind == "stall":
                    time.sleep(60)
                self.close_connection = True
                return
            step = max(int(amount) // 10, 1) if kind == "slow" else len(data) or 1
            for at in range(0, len(data), step):
                self.wfile.write(data[at:at + step])
                if kind == "slow":
                    time.sleep(0.1)

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("root")
    parser.add_argument("--faults")
    parser.add_argument("--log")
    arguments = parser.parse_args()
    settings = json.loads(pathlib.Path(arguments.faults).read_text(encoding="utf-8")) if arguments.faults else {}
    hub = Hub(arguments.root, settings, arguments.log)
    print(hub.start().rpartition(":")[2], flush=True)
    sys.stdin.read()  # until whoever started it is gone


if __name__ == "__main__":
    main()
