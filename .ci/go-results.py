#!/usr/bin/env python3
"""go-results.py: reads what `go test -json` writes; prints what `go test` prints, then why tests were skipped."""
import collections
import json
import sys

MARKS = ("=== ", "--- SKIP")


def reason(lines):
    """What t.Skip was given, without the place in the file."""
    said = [line.strip() for line in lines if not line.lstrip().startswith(MARKS)]
    return " ".join(line.split(": ", 1)[-1] for line in said if line) or "no reason given"


def main(lines):
    outputs, skipped = collections.defaultdict(list), []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # of go itself, which has begun no test
            print(line, end="", flush=True)
            continue
        package, test, action = event.get("Package", ""), event.get("Test", ""), event["Action"]
        if action == "build-output":
            print(event["Output"], end="", flush=True)
        elif action == "output":
            outputs[package, test].append(event["Output"])
        elif action == "skip" and test:
            skipped.append(f"SKIPPED {package}.{test}: {reason(outputs.pop((package, test), []))}")
        elif action == "pass" and test:
            outputs.pop((package, test), None)
        elif action in ("pass", "fail", "skip"):
            if not test:  # tests that have not ended, as after a panic, belong to it
                for key in [key for key in outputs if key[0] == package and key[1]]:
                    print(*outputs.pop(key), sep="", end="")
            said = [text for text in outputs.pop((package, test), []) if text != "PASS\n" and not text.startswith(MARKS[0])]
            print(*said, sep="", end="", flush=True)
    for line in sorted(skipped):
        print(line)


if __name__ == "__main__":
    main(sys.stdin)
