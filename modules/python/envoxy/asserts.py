"""Assertions on what a client sent: each raises ValidationException, or with reply=True returns an error reply."""
import datetime
import inspect
import re
from uuid import UUID

from .constants import EMAIL_REGEX, HASH_REGEX, PHONE_REGEX, TOKEN_REGEX, URI_REGEX, URL_REGEX
from .exceptions import ValidationException
from .utils.datetime import Now
from .utils.encoders import envoxy_json_loads

DEFAULT_STATUS_CODE = 412  # Precondition Failed
INVALID_TYPE_ERROR_CODE = 1202
_UNAUTHORIZED = 401


def assertz(_expression, _error_message, _error_code, _status_code):
    """Raise ValidationException(message, code, status) unless the expression is true."""
    if not _expression:
        raise ValidationException(_error_message, code=_error_code, status=_status_code)


def assertz_reply(_expression, _error_msg, _error_code, _status_code):
    """None when the expression is true, else the dict of an error reply."""
    if _expression:
        return None
    caller = inspect.stack()[1]
    place = ".".join(caller.filename.split("/")[-3:])
    return {
        "status": _status_code,
        "payload": {
            "text": _error_msg,
            "code": _error_code,
            "assertion_failed": f"{caller.code_context} failed on file {place}, line {caller.lineno}",
        },
    }


def assertz_call(_expression, _error_msg, _error_code, _status_code, reply=False):
    """assertz, or assertz_reply when reply is true."""
    return (assertz_reply if reply else assertz)(_expression, _error_msg, _error_code, _status_code)


def assertz_mandatory(_obj, _element=None, _error_code=1200, _status_code=DEFAULT_STATUS_CODE, reply=False):
    """The object has the key, and not None under it; without a key, the object is not empty."""
    if _element == "":
        return assertz_call(False, "Key must not be empty", 1201, _status_code, reply)
    if _element is None:
        return assertz_call(_obj, f"Mandatory: {_obj}", _error_code, _status_code, reply)
    found, value = _subject(_obj, _element)
    return assertz_call(found and value is not None, f"Mandatory: {_element}", _error_code, _status_code, reply)


def _subject(element, key):
    """(whether it is there, the value): the element itself, or what it has under key."""
    if key is None:
        return True, element
    try:
        return True, element[key]
    except (IndexError, KeyError, TypeError):
        return False, key


def _assertion(holds, doc, message="Invalid value type: {}"):
    """An assertion whose predicate is holds(value); a subject of None passes, a key that is missing does not."""

    def check(_element, key=None, _error_code=INVALID_TYPE_ERROR_CODE, _status_code=DEFAULT_STATUS_CODE, reply=False):
        if _element is None:
            return None
        found, value = _subject(_element, key)
        try:
            passed = found and holds(value)
        except (AttributeError, TypeError, ValueError):
            passed = False
        return assertz_call(passed, message.format(value), _error_code, _status_code, reply)

    check.__doc__ = doc
    return check


def _number(kind, doc):
    """As _assertion, but a number that is not given by key must not be 0: services rely on that."""
    by_key = _assertion(lambda value: isinstance(value, kind), doc)
    alone = _assertion(lambda value: isinstance(value, kind) and value, doc)

    def check(_element, key=None, _error_code=INVALID_TYPE_ERROR_CODE, _status_code=DEFAULT_STATUS_CODE, reply=False):
        return (alone if key is None else by_key)(_element, key, _error_code, _status_code, reply)

    check.__doc__ = doc
    return check


def _is_json(value):
    return envoxy_json_loads(value)


def _is_complex(value):
    if isinstance(value, (dict, list)):
        return value
    return _is_json(value)


def _is_number(value):
    return isinstance(value, (int, float))


def _is_location(value):
    if isinstance(value, dict):
        return _is_number(value.get("latitude")) and _is_number(value.get("longitude"))
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_timestamp(value):
    return isinstance(value, datetime.date) or Now.to_datetime(value)


assertz_string = _assertion(lambda value: isinstance(value, str), "Text.")
assertz_integer = _number(int, "A whole number; True counts as one.")
assertz_float = _number(float, "A number with a fraction.")
assertz_boolean = _assertion(lambda value: isinstance(value, bool), "True or False.")
assertz_timestamp = _assertion(_is_timestamp, "Time in the API's format, or a date.")
assertz_array = _assertion(lambda value: isinstance(value, list) and value, "A list that is not empty.")
assertz_array_even_empty = _assertion(lambda value: isinstance(value, list), "A list.")
assertz_dict = _assertion(lambda value: isinstance(value, dict) and value, "An object that is not empty.")
assertz_json = _assertion(_is_json, "Text that is JSON, and not empty as such.")
assertz_complex = _assertion(_is_complex, "JSON text, an object or a list, not empty.")
assertz_uuid = _assertion(UUID, "Text of a UUID.")
assertz_utf8 = _assertion(lambda value: value.encode("utf-8"), "Text that encodes as UTF-8.", "Invalid utf-8 encoding")
assertz_ascii = _assertion(lambda value: value.encode("ascii"), "Text that encodes as ASCII.", "Invalid ascii encoding")
assertz_location = _assertion(_is_location, "{latitude, longitude}, or a list of two numbers.", "Invalid location")


def assertz_regex(regex_expr, _error_msg, _element, key=None, _error_code=INVALID_TYPE_ERROR_CODE,
                  _status_code=DEFAULT_STATUS_CODE, reply=False):
    """Text that matches the expression as a whole."""
    if _element is None:
        return None
    found, value = _subject(_element, key)
    passed = found and isinstance(value, str) and re.fullmatch(regex_expr, value)
    return assertz_call(passed, _error_msg, _error_code, _status_code, reply)


def _format(regex, name):
    def check(_element, key=None, _error_code=INVALID_TYPE_ERROR_CODE, _status_code=DEFAULT_STATUS_CODE, reply=False):
        return assertz_regex(regex, f"Invalid {name}", _element, key, _error_code, _status_code, reply)

    check.__doc__ = f"Text in the format of {name}."
    return check


assertz_hash = _format(HASH_REGEX, "hash")
assertz_token = _format(TOKEN_REGEX, "token")
assertz_uri = _format(URI_REGEX, "uri")
assertz_url = _format(URL_REGEX, "url")
assertz_email = _format(EMAIL_REGEX, "email")
assertz_phone = _format(PHONE_REGEX, "phone")


def assertz_intersects(x, y, _error_code=INVALID_TYPE_ERROR_CODE, _status_code=DEFAULT_STATUS_CODE, reply=False):
    """The two have an item in common."""
    return assertz_call(set(x).intersection(y), f"No intersection between {x} and {y}", _error_code, _status_code, reply)


def assertz_unauthorized(_expression, _error_msg, _error_code=INVALID_TYPE_ERROR_CODE, reply=False):
    """assertz with status 401."""
    return assertz_call(_expression, _error_msg, _error_code, _UNAUTHORIZED, reply)


def assertz_valid_values(_expression, _error_msg, _error_code=INVALID_TYPE_ERROR_CODE, _status_code=DEFAULT_STATUS_CODE, reply=False):
    """assertz with the usual code and status."""
    return assertz_call(_expression, _error_msg, _error_code, _status_code, reply)


def _replying(assertion):
    def check(_element, key, _error_code, _status_code):
        return assertion(_element, key, _error_code, _status_code, reply=True)

    check.__doc__ = "The same, returning the error reply instead of raising."
    return check


assertz_mandatory_reply = _replying(assertz_mandatory)
assertz_string_reply = _replying(assertz_string)
assertz_integer_reply = _replying(assertz_integer)
assertz_float_reply = _replying(assertz_float)
assertz_timestamp_reply = _replying(assertz_timestamp)
assertz_boolean_reply = _replying(assertz_boolean)
assertz_complex_reply = _replying(assertz_complex)
assertz_dict_reply = _replying(assertz_dict)
assertz_json_reply = _replying(assertz_json)
assertz_array_reply = _replying(assertz_array)
assertz_uuid_reply = _replying(assertz_uuid)
assertz_utf8_reply = _replying(assertz_utf8)
assertz_ascii_reply = _replying(assertz_ascii)
assertz_hash_reply = _replying(assertz_hash)
assertz_token_reply = _replying(assertz_token)
assertz_uri_reply = _replying(assertz_uri)
assertz_email_reply = _replying(assertz_email)
assertz_location_reply = _replying(assertz_location)
assertz_phone_reply = _replying(assertz_phone)
assertz_intersects_reply = _replying(assertz_intersects)
assertz_valid_values_reply = _replying(assertz_valid_values)


def assertz_unauthorized_reply(_element, key, _error_code):
    """assertz_unauthorized, returning the error reply instead of raising."""
    return assertz_unauthorized(_element, key, _error_code, reply=True)
