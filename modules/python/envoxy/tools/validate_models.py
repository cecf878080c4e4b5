"""python -m envoxy.tools.validate_models DIR: do models described in JSON have the audit fields?

A model is a file *.json that holds an object with an object `fields`. Exit status 0, 3 (a field is missing) or 2 (no directory).
"""
import json
import sys

from . import arguments

AUDIT_FIELDS = ("id", "created", "updated", "href")


def main(argv=None):
    """Check the directory that the first argument names; the exit status."""
    directory = arguments.directory(argv, "validate_models", "MODELS_DIR")
    if directory is None:
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
