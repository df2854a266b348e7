# SPDX-License-Identifier: Apache-2.0
#
# Compares what a vector met with what it says. For tandem the vector's verdict is the measure to
# the letter; of other products only what the RFC leaves no choice in is counted.

import vectors

REJECTED = range(400, 600)


def matches(message, wanted):
    method, target, body = wanted
    return message.method == method and message.target == target and message.body == body


def field_problems(vector, message):
    """What `with`, `without`, `has` and `not` lines miss in the message that the backend saw."""
    problems = []
    for line in vector.notes.get("with", []) + vector.notes.get("not", []):
        name, _, value = vectors.unescape(line).partition(b": ")
        wanted = line in vector.notes.get("with", [])
        if (value in message.values(name)) != wanted:
            problems.append(f"{'no' if wanted else 'has'} {line}")
    for name in vector.notes.get("without", []):
        # A proxy may speak of its own connection.
        values = [value.lower() for value in message.values(name.encode())]
        if name == "Connection":
            values = [value for value in values if value not in (b"close", b"keep-alive")]
        if values:
            problems.append(f"has {name}")
    for name in vector.notes.get("has", []):
        if not message.values(name.encode()):
            problems.append(f"no {name}")
    return problems


def request_problems(vector, outcome, seen):
    """Why a request vector failed on tandem; empty when it held."""
    problems = list(seen.findings)
    if outcome.finding:
        problems.append(f"answer: {outcome.finding}")
    wanted = list(vector.seen)
    messages = [m for m in seen.messages if not m.target.startswith(b"/marker/")]
    if len(messages) != len(wanted):
        got = [(m.method, m.target, m.body[:40]) for m in messages]
        problems.append(f"the backend saw {got}")
    problems += [
        f"the backend saw {message.method} {message.target} {message.body[:80]}"
        for message, want in zip(messages, wanted) if not matches(message, want)]
    statuses = [200] * len(wanted)
    if vector.action == "reject":
        statuses.append(vector.status)
    if vector.action == "wait":
        allowed = vector.statuses() | {400, 408}
        if outcome.statuses and not set(outcome.statuses) <= allowed:
            problems.append(f"answered {outcome.statuses}")
    elif outcome.statuses != statuses:
        problems.append(f"answered {outcome.statuses}")
    keeps = vector.keeps()
    if keeps == "no" and not outcome.ended:
        problems.append("stays open")
    if keeps == "yes" and vector.action != "wait" and outcome.marker is not True:
        problems.append("no answer to the marker")
    if outcome.marker is False and keeps == "either" and not outcome.ended:
        problems.append("a wrong answer to the marker")
    if outcome.rest:
        problems.append(f"bytes behind the answers: {outcome.rest[:80]!r}")
    if "interim" in vector.notes and outcome.interim > int(vector.note("interim")):
        problems.append(f"{outcome.interim} interim answers")
    if vector.action == "accept" and messages:
        problems += field_problems(vector, messages[-1])
    return problems


def response_problems(vector, outcome, seen, poisoned):
    """Why a response vector failed on tandem; empty when it held."""
    problems = list(seen.findings)
    answer = outcome.answers[0] if outcome.answers else None
    if vector.action == "accept":
        status, _, body = vector.note("answer").partition(" ")
        if not answer or answer.status != int(status) or answer.body != body.encode():
            got = (answer.status, answer.body[:80]) if answer else outcome.finding
            problems.append(f"the client got {got}")
        else:
            for line in vector.notes.get("client-with", []):
                name, _, value = vectors.unescape(line).partition(b": ")
                if value not in answer.values(name):
                    problems.append(f"the client misses {line}")
            problems += [
                f"the client got {name}" for name in vector.notes.get("client-without", [])
                if answer.values(name.encode())]
    elif vector.action == "reject":
        if outcome.statuses != [vector.status]:
            problems.append(f"the client got {outcome.statuses}")
    elif outcome.statuses != [502] and (answer or outcome.finding or not outcome.ended):
        problems.append(
            f"the client took it for whole: {answer and answer.body[:80]} {outcome.finding}")
    if vector.name in poisoned:
        problems.append("the spoiled connection was used again")
    if answer and outcome.marker is False and not outcome.ended:
        problems.append("a wrong answer to the marker")
    if outcome.rest and vector.action != "abort":
        problems.append(f"bytes behind the answer: {outcome.rest[:80]!r}")
    return problems


def label(vector, outcome, seen):
    """What any product did, in a word or two."""
    if outcome.finding and not vector.is_response:
        return "broken answer"
    if vector.is_response:
        if not outcome.answers:
            return "aborted" if outcome.ended or outcome.finding else "no answer"
        return str(outcome.answers[0].status)
    refusals = [status for status in outcome.statuses if status in REJECTED]
    messages = [m for m in seen.messages if not m.target.startswith(b"/marker/")]
    if refusals:
        return str(refusals[0])
    if len(outcome.statuses) > 0 and len(messages) > 0:
        return "taken"
    if outcome.ended:
        return "closed"
    return "taken" if messages else "no answer"


def allows_target(vector, message, wanted):
    """True when the message is the wanted one, or one that `also-sees` names.

    A proxy that does not claim to be the last one may pass absolute-form on.
    """
    if matches(message, wanted):
        return True
    if b"://" in message.target and b"://" in vector.payload.split(b"\r\n")[0]:
        return message.method == wanted[0] and message.body == wanted[2]
    for text in vector.notes.get("also-sees", []):
        method, target, _ = vectors.seen_message(text)
        if (message.method, message.target) == (method, target) and message.body == wanted[2]:
            return True
    return False


def holds(vector, outcome, seen, poisoned):
    """For any product: whether it did what the RFC demands; None where it has the choice."""
    if vector.level == "may":
        return None
    word = label(vector, outcome, seen)
    if vector.is_response:
        if vector.action == "accept":
            return not response_problems(vector, outcome, seen, poisoned)
        if "or-repaired" in vector.notes and outcome.answers and not outcome.finding:
            return True
        return word in ("aborted", "no answer", "500", "502")
    messages = [m for m in seen.messages if not m.target.startswith(b"/marker/")]
    refused = word.isdigit() or word in ("closed", "no answer")
    if vector.action == "accept":
        if word.isdigit() and int(word) in vector.statuses() | {
            int(status) for status in " ".join(vector.notes.get("also-reject", [])).split()
        }:
            return True
        return len(messages) == len(vector.seen) and not seen.findings and all(
            allows_target(vector, message, want)
            for message, want in zip(messages, vector.seen)
        ) and not field_problems(vector, messages[-1])
    if "or-repaired" in vector.notes and word == "taken":
        return not seen.findings
    return refused and len(messages) <= len(vector.seen) and not seen.findings
