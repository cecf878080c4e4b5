"""Clocks and the ways in which services write a time."""
import re
import time
from datetime import date, datetime, timedelta, timezone
from email.utils import format_datetime

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?")


class Now:
    """The time now."""

    @staticmethod
    def log_format():
        """UTC to the second: 2024-02-03T04:05:06."""
        return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")

    @staticmethod
    def api_format():
        """UTC to the millisecond: 2024-02-03T04:05:06.789+0000."""
        return Format.api_format()

    @staticmethod
    def timestamp():
        """Whole seconds since the epoch."""
        return int(time.time())

    @staticmethod
    def to_datetime(date_str, format_str="%Y-%m-%dT%H:%M:%S.%f+0000"):
        """A naive datetime from text, None when it has another format."""
        try:
            return datetime.strptime(date_str, format_str)
        except (TypeError, ValueError):
            return None


class Format:
    """A given time as text or number; without one, the time now."""

    @staticmethod
    def api_format(dt=None, assume_tz="UTC"):
        """UTC to the millisecond: 2024-02-03T04:05:06.789+0000."""
        moment = _moment(dt, assume_tz)
        return moment and moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"

    @staticmethod
    def iso(dt=None, fractional=3, tz=None, assume_tz="UTC"):
        """RFC 3339 with 0 to 6 fractional digits; Z for UTC."""
        return format_iso(dt, fractional, tz, assume_tz)

    @staticmethod
    def rfc1123(dt=None, assume_tz="UTC"):
        """The date of HTTP headers (RFC 9110 section 5.6.7)."""
        return format_rfc1123(dt, assume_tz)

    @staticmethod
    def unix(dt=None, ms=False, as_int=True, assume_tz="UTC"):
        """Seconds, or milliseconds, since the epoch."""
        return format_unix(dt, ms, as_int, assume_tz)

    @staticmethod
    def custom(dt=None, fmt="%Y-%m-%d %H:%M:%S", tz=None, assume_tz="UTC"):
        """By strftime, in tz."""
        return format_strftime(dt, fmt, tz, assume_tz)


def coerce_datetime(value, assume_tz="UTC"):
    """An aware datetime from a datetime, a date or ISO 8601 text; None for None and for other text."""
    if isinstance(value, str):
        value = _parsed(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value is None:
        return None
    return value if value.tzinfo else value.replace(tzinfo=_zone(assume_tz))


def format_iso(dt=None, fractional=3, tz=None, assume_tz="UTC"):
    """See Format.iso."""
    moment = _moment(dt, assume_tz)
    if moment is None:
        return None
    moment = moment.astimezone(_zone(tz or "UTC"))
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    digits = min(max(fractional or 0, 0), 6)
    if digits:
        text += "." + f"{moment.microsecond:06}"[:digits]
    offset = moment.strftime("%z")
    return text + ("Z" if offset == "+0000" else offset[:3] + ":" + offset[3:5])


def format_rfc1123(dt=None, assume_tz="UTC"):
    """See Format.rfc1123."""
    moment = _moment(dt, assume_tz)
    return moment and format_datetime(moment.astimezone(timezone.utc), usegmt=True)


def format_unix(dt=None, ms=False, as_int=True, assume_tz="UTC"):
    """See Format.unix."""
    moment = _moment(dt, assume_tz)
    if moment is None:
        return None
    value = moment.timestamp() * (1000 if ms else 1)
    return int(value) if as_int else value


def format_strftime(dt, fmt, tz=None, assume_tz="UTC"):
    """See Format.custom."""
    moment = _moment(dt, assume_tz)
    if moment is None:
        return None
    return (moment.astimezone(_zone(tz)) if tz else moment).strftime(fmt)


def api_format(value=None, *, style="iso", fmt=None, tz=None, fractional=3, unix_ms=False, assume_tz="UTC", as_object=False):
    """One of the formats by its name: iso, rfc1123, unix, custom (with fmt) or api; or the datetime itself."""
    if as_object:
        return _moment(value, assume_tz)
    if style == "iso":
        return format_iso(value, fractional, tz, assume_tz)
    if style == "rfc1123":
        return format_rfc1123(value, assume_tz)
    if style == "unix":
        return format_unix(value, unix_ms, True, assume_tz)
    if style == "custom":
        return format_strftime(value, fmt or "%Y-%m-%d %H:%M:%S", tz, assume_tz)
    if style == "api":
        return Format.api_format(value, assume_tz)
    raise ValueError(f"unknown style {style!r}: iso, rfc1123, unix, custom or api")


def _moment(value, assume_tz):
    return datetime.now(timezone.utc) if value is None else coerce_datetime(value, assume_tz)


def _parsed(text):
    match = _ISO.fullmatch(text.strip())
    if not match:
        return None
    *numbers, fraction, offset = match.groups()
    try:
        value = datetime(*(int(n or 0) for n in numbers), int((fraction or "0")[:6].ljust(6, "0")))
    except ValueError:
        return None
    if not offset:
        return value
    if offset in "Zz":
        return value.replace(tzinfo=timezone.utc)
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return value.replace(tzinfo=timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)))


def _zone(tz):
    if not isinstance(tz, str):
        return tz
    if tz.upper() == "UTC":
        return timezone.utc
    try:
        from zoneinfo import ZoneInfo
    except ImportError:  # Python 3.8
        raise ImportError("time zones by name need Python 3.9") from None
    return ZoneInfo(tz)
