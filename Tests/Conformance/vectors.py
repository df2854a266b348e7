# SPDX-License-Identifier: Apache-2.0
#
# Reads the vector files of Tests/Vectors/http1; README.md beside them says what the lines mean.

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "Tests" / "Vectors" / "http1"
FAMILIES = [
    "request-line", "target", "host", "fields", "content-length", "transfer-encoding",
    "chunked", "connection", "responses",
]
ESCAPE = re.compile(r"\\(?:([rnt\\])|x([0-9A-Fa-f]{2})|\{(.+?)\*(\d+)\})")
LETTERS = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


def unescape(text):
    """Text with `\\r \\n \\t \\\\ \\xHH` and `\\{byte*count}`, as bytes."""
    parts, at = [], 0
    for match in ESCAPE.finditer(text):
        parts.append(text[at:match.start()].encode("latin-1"))
        letter, digits, repeated, count = match.groups()
        if letter:
            parts.append(LETTERS[letter])
        elif digits:
            parts.append(bytes([int(digits, 16)]))
        else:
            parts.append(unescape(repeated) * int(count))
        at = match.end()
    parts.append(text[at:].encode("latin-1"))
    return b"".join(parts)


@dataclass
class Vector:
    family: str
    name: str
    rule: str = ""
    why: str = ""
    level: str = ""
    action: str = ""
    status: int = 0
    payload: bytes = b""
    seen: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)

    def note(self, key, otherwise=None):
        return self.notes.get(key, [otherwise])[0]

    @property
    def is_response(self):
        return self.family == "responses"

    @property
    def is_must(self):
        return self.level == "must"

    @property
    def verdict(self):
        return f"{self.action} {self.status}" if self.action == "reject" else self.action

    def statuses(self):
        """What a product that refuses may answer; ours is the verdict's."""
        return {int(word) for word in self.note("status", "").split()} | {self.status}

    def keeps(self):
        """Whether the connection persists: yes, no or either."""
        return self.note("keeps", "no" if self.action == "reject" else "yes")


def seen_message(text):
    words = text.split(" ", 2)
    body = unescape(words[2]) if len(words) == 3 else b""
    return words[0].encode("latin-1"), words[1].encode("latin-1"), body


def read_block(family, lines):
    vector = Vector(family, lines[0][1:-1])
    for line in lines[1:]:
        key, _, value = line.partition(" ")
        if key.startswith("send"):
            vector.payload += unescape(value) * int(key[5:] or 1)
        elif key == "rule":
            vector.rule = value
        elif key == "why":
            vector.why = value
        elif key == "verdict":
            words = value.split()
            vector.level, vector.action = words[0], words[1]
            vector.status = int(words[2]) if len(words) > 2 else 0
        elif key == "sees":
            vector.seen.append(seen_message(value))
        else:
            vector.notes.setdefault(key, []).append(value)
    return vector


def read_family(family):
    text = (FOLDER / f"{family}.txt").read_text(encoding="utf-8")
    blocks = [block.strip("\n").split("\n") for block in text.split("\n\n")]
    return [read_block(family, block) for block in blocks if block[0].startswith("[")]


def read_all():
    return [vector for family in FAMILIES for vector in read_family(family)]
