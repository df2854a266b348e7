# SPDX-License-Identifier: Apache-2.0
#
# Writes docs/conformance.md: the text is here, the table comes from the vectors and from
# results.json, so the page cannot say what is not tested.

import json

import vectors

PAGE = vectors.ROOT / "docs" / "conformance.md"
RESULTS = vectors.FOLDER / "results.json"
MEASURED = vectors.ROOT / "Tests" / "Conformance" / "measured.md"

HEAD = """# Conformance of the HTTP/1.1 data plane

This page is generated: `Tests/Conformance/run --page`. Each row is a vector of
[Tests/Vectors/http1](../Tests/Vectors/http1/README.md): bytes that a client or a backend may send,
the sentence of an RFC that they test, and what Tandem does with them. Every row holds in two places:
in the parser, at any split of the bytes (`swift test --filter Conformance`), and in a running
`tandem` between a raw client and a backend that accepts only canonical messages
(`Tests/Conformance/run`): the backend sees exactly the messages of the row, the client gets exactly
these answers, and after a refusal the connection is closed.

The families are those of Http11Probe, aws/http-desync-guardian, the llhttp tests and the findings of
the HTTP Garden; the bytes and words are our own.

**Level** says what the RFC asks of anybody: `must`, `should`, or `may` where it leaves the choice (our
reason is then in the row). **Tandem**: `400` refused with that status and closed, `taken` forwarded as
one canonical message, `incomplete` nothing of it ever counts as whole, `abort` the client notices
that the response broke, by 502 or by an end of the connection.
"""

COMPARISON = """
## Beside others

The same vectors through the products as Debian 12 ships them, settings equal where they can be
(`Tests/Conformance/run --compare`). Counted is only what the RFC asks of anybody; where it allows an
answer other than Tandem's, that answer counts as held. A cell of the tables in **bold** did not hold.

| product | must | should |
|---|---|---|
"""


def results():
    if not RESULTS.exists():
        return {"products": {}, "vectors": {}}
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def ours(vector):
    words = {"accept": "taken", "wait": "incomplete", "abort": "abort"}
    if vector.action == "reject":
        return str(vector.status)
    if vector.is_response and vector.action == "accept":
        return vector.note("answer").split(" ")[0]
    return words[vector.action]


def theirs(row, name):
    if name not in row:
        return "-"
    word, verdict = row[name]
    return f"**{word}**" if verdict is False else word


def family_table(family, found, others):
    chosen = [vector for vector in vectors.read_all() if vector.family == family]
    text = (vectors.FOLDER / f"{family}.txt").read_text(encoding="utf-8").split("\n\n")[0]
    about = [line.removeprefix("# ") for line in text.split("\n")[2:]]
    lines = [f"\n## {family.capitalize().replace('-', ' ')}: {len(chosen)} vectors\n"]
    lines += about + [""]
    lines.append("| vector | rule | level | Tandem |" + "".join(f" {name} |" for name in others))
    lines.append("|---|---|---|---|" + "---|" * len(others))
    for vector in chosen:
        rule = vector.rule + (f" *({vector.why})*" if vector.why else "")
        row = found["vectors"].get(vector.name, {})
        lines.append(
            f"| {vector.name} | {cell(rule)} | {vector.level} | {ours(vector)} |"
            + "".join(f" {theirs(row, name)} |" for name in others))
    return lines


def score(found, name, level):
    verdicts = [
        found["vectors"][vector.name][name][1] for vector in vectors.read_all()
        if vector.level == level and name in found["vectors"].get(vector.name, {})]
    return f"{sum(map(bool, verdicts))} of {len(verdicts)}"


def counts():
    rows = ["\n| family | vectors | must | should | may |", "|---|---|---|---|---|"]
    everything = vectors.read_all()
    for family in vectors.FAMILIES + ["all"]:
        chosen = [v for v in everything if family in (v.family, "all")]
        levels = [sum(v.level == level for v in chosen) for level in ("must", "should", "may")]
        rows.append(f"| {family} | {len(chosen)} | " + " | ".join(map(str, levels)) + " |")
    return rows


def rendered():
    found = results()
    lines = HEAD.split("\n")[:-1] + counts()
    others = [name for name in found["products"] if name != "tandem"]
    if found["products"]:
        lines += COMPARISON.split("\n")[:-1]
        for name, product in found["products"].items():
            version = f" {product['version']}" if product["version"] else ""
            scores = [score(found, name, level) for level in ("must", "should")]
            lines.append(f"| {name}{version} | {' | '.join(scores)} |")
    if MEASURED.exists():
        lines += [""] + MEASURED.read_text(encoding="utf-8").rstrip("\n").split("\n")
    for family in vectors.FAMILIES:
        lines += family_table(family, found, others)
    return "\n".join(lines) + "\n"


def write():
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(rendered(), encoding="utf-8")


def is_current():
    is_same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == rendered()
    if not is_same:
        print("docs/conformance.md is out of date: run Tests/Conformance/run --page")
    return is_same
