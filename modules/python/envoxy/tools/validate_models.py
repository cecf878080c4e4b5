"""python -m envoxy.tools.validate_models DIR: do models described in JSON have the audit fields?

A model is a file *.json that holds an object with an object `fields`. Exit status 0, 3 (a field is missing) or 2 (no directory).
"""
import json
import sys
from pathlib import Path

AUDIT_FIELDS = ("id", "created", "updated", "href")


def main(argv=None):
    """Check the directory that the first argument names; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        print("usage: python -m envoxy.tools.validate_models MODELS_DIR", file=sys.stderr)
        return 2
    directory = Path(argv[0])
    if not directory.is_dir():
        print(f"{directory}: no such directory", file=sys.stderr)
        return 2
    faulty = 0
    for path in sorted(directory.rglob("*.json")):
        missing = [name for name in AUDIT_FIELDS if name not in _fields(path)]
        if missing:
            faulty += 1
            print(f"{path}: fields are missing: {', '.join(missing)}")
    return 3 if faulty else 0


def _fields(path):
    """The fields of a model; a file that is none has all that is asked for."""
    try:
        model = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return AUDIT_FIELDS
    fields = model.get("fields") if isinstance(model, dict) else None
    return fields if isinstance(fields, dict) else AUDIT_FIELDS


if __name__ == "__main__":
    sys.exit(main())
