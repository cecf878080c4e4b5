"""What Python and Go share: memory, frames, and constants.

Written by internal/layout from the declarations in Go. Do not edit: `make docs` writes it.
"""
from collections import namedtuple
from struct import Struct

# a core's line of the scoreboard
CORE = Struct("<IIqqqQQQQQQQIIIIqIIqQQQQ32x128s")
Core = namedtuple("Core", """
    state
    request_size
    since
    deadline
    user_deadline
    requests
    exceptions
    sent
    micros
    write_errors
    read_errors
    static
    suspended
    paused
    pid
    worker
    spooled
    calls
    handling
    spawned
    starts
    before
    signals
    routed
    request
""")

# the line of a mule or spooler
AUXILIARY = Struct("<qqqqq24x")
Auxiliary = namedtuple("Auxiliary", """
    pid
    state
    since
    deadline
    tasks
""")

# before all memory that worker/shared owns: magic, instance
HEAD = Struct("<QQ")

# a metric; the value of the first one is how many follow: value, name
METRIC = Struct("<q120s")

# before the text of a note: sequence, size
NOTE_HEAD = Struct("<II")

# a worker's counter of the messages of a delivery: done
PROGRESS_SLOT = Struct("<I")

# before a call to the gateway, and before its answer: head_size, payload_size
FRAME_HEAD = Struct("<II")

# before each message of a delivery: payload_size, topic_size, id, qos, flags
MESSAGE_HEAD = Struct("<IHHBB2x")

# states of a core
ABSENT = 0
IDLE = 1
BUSY = 2

# of the head of locks
LOCKS_MAGIC = 3563309804993410661

# flags of a message
RETAINED = 1
REPEATED = 2

# what a handler answers for each message
HANDLED = b"."
FAILED = b"E"
ELSEWHERE = b"?"
LATER = b"+"

# cells of SNMP's values among the metrics: the first one, how many values; the kinds of values
SNMP_FIRST = 65568
SNMP_ROOM = 100
SNMP_COUNTER32 = 65
SNMP_GAUGE = 66
SNMP_COUNTER64 = 70

# variables of an event
VAR_KIND = "ENVOXYD_EVENT"
VAR_SERVER = "ENVOXYD_SERVER"
VAR_SLOT = "ENVOXYD_SLOT"
VAR_OWNER = "ENVOXYD_OWNER"
VAR_NAMES = "ENVOXYD_CALLBACKS"
