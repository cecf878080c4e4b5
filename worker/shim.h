/* What Go and C share: one core_io for each core, and the calls across.
 *
 * The memory is C's. Go fills the request part before envoxyd_next returns and
 * owns it again when the next envoxyd_next begins; in between C reads it and
 * writes the response part. Nothing here is a Go pointer or a Python object. */
#ifndef ENVOXYD_SHIM_H
#define ENVOXYD_SHIM_H

#include <stddef.h>
#include <stdint.h>

enum { /* core_io.flags: what the request asks of the response */
    REQ_HTTPS = 1,       /* wsgi.url_scheme is https */
    REQ_NO_BODY = 2,     /* HEAD: the body is not sent */
    REQ_CHUNK = 4,       /* frame a body of unknown length in chunks */
    REQ_SAY_CLOSE = 8,   /* add "Connection: close" when the length is unknown */
    REQ_DRAIN = 16,      /* add "Connection: close" in any case */
    REQ_TERMINATED = 32, /* wsgi.input ends by itself */
    REQ_HTTP10 = 64,     /* status line of HTTP/1.0 */
    REQ_SEEKABLE = 128,  /* wsgi.input may be rewound */
    REQ_STATUS = 256,    /* "Status:" in place of the status line (SCGI, FastCGI) */
    REQ_CLOSES = 1024,   /* add "Connection: close" when the length is known: without one its end says it */
    REQ_SAY_KEEP = 2048, /* add "Connection: keep-alive", which HTTP/1.0 has to be told */
    REQ_SERVICE = 4096,  /* asks the server itself for something */
    REQ_HTTP11 = 8192,   /* the client itself takes what HTTP/1.1 has: chunks, trailers, informational responses */
    REQ_ROUTED = 16384,  /* rules want to see the head of the response */
    REQ_EVENT = 512      /* for the service's event handlers, not for the application */
};

enum { /* core_io.result: what became of the response */
    RES_DELIMITED = 1,  /* the client can tell where the body ends */
    RES_CLOSE = 2,      /* the application said "Connection: close" */
    RES_FAILED = 4,     /* no response: nothing was sent */
    RES_BROKEN = 8,     /* cut short: the connection must not be used again */
    RES_EXCEPTION = 16, /* the application raised */
    RES_SHORT = 32      /* all was sent, but it is less than the Content-Length: the connection must be closed */
};

enum { BODY_WHOLE = 0, BODY_CLOSED = 1, BODY_TIMEOUT = 2,
       BODY_ARRIVING = 3 /* envoxyd_body gives what has come */ };

enum { /* what envoxyd_body returns */
    ARRIVED_WAIT = 0, /* nothing yet */
    ARRIVED_SOME = 1,
    ARRIVED_LAST = 2,
    ARRIVED_GONE = -1 /* the client has left, or stalls */
};

enum { /* what envoxyd_next returns */
    NEXT_REQUEST = 1,
    NEXT_SIGNAL = 0, /* let Python run its signal handlers, then call again */
    NEXT_IDLE = 2, /* there is nothing to do now */
    NEXT_UWSGI_SIGNAL = 3, /* core_io.uwsgi_signal is to be handled */
    NEXT_STOP = -1
};

enum { /* what becomes of bytes that the client does not take at once */
    SEND_WHOLE = 0, /* they are waited for */
    SEND_AHEAD = 1, /* a goroutine sends them while the application makes what follows; that waits for them */
    SEND_LAST = 2   /* likewise, and nothing waits for them: only the end of the response, or of the item, follows */
};

/* WRITE_AGAIN, only in a loop: the client has to read first, for at most core_io.patience; envoxyd_resume sends the rest then. */
enum { WRITE_OK = 0, WRITE_GONE = -1, WRITE_TIMEOUT = -2, WRITE_AGAIN = 1,
       WRITE_BUSY = 2 /* in a loop: another frame is on its way on this websocket */ };

typedef struct core_io {
    /* request */
    uint8_t *vars;
    uint8_t *body;           /* NULL if it is in a file */
    uint64_t body_len;       /* bytes at hand */
    uint64_t content_length; /* bytes announced */
    uint32_t vars_len;
    uint32_t flags;
    int32_t body_state;
    int32_t body_fd; /* the file; -1: none */
    int32_t client_fd;
    int32_t uwsgi_signal;
    int32_t patience; /* milliseconds */
    int64_t entered;  /* when the application has got the request; nanoseconds of CLOCK_MONOTONIC */
    /* response */
    uint8_t *out; /* not yet written: status line, headers, start of the body */
    uint64_t sent; /* body bytes handed over */
    uint32_t out_len, out_cap;
    uint32_t head_len; /* status line, headers and blank line */
    uint32_t headers;
    uint32_t status;
    uint32_t result;
    uint32_t switches;
    int32_t app;
    uint32_t running; /* the thread has Python's lock, or had it since it came with the request; atomic */
    /* connections of the gateway's, which children of the application close; -1: none */
    int32_t link_fd;  /* kept */
    int32_t event_fd; /* of the current request */
} core_io;

/* How often this process has begun or ended to fork since the worker was started, by whatever of its code.
 * A child holds a copy of each connection: closing ours alone does not tell the client. */
extern uint32_t envoxyd_forks;

/* Not 0: the worker leaves, and keeps no connection; atomic. */
extern uint32_t envoxyd_leaving;

int envoxyd_run_signal_handlers(void);

enum { /* what envoxyd_route has decided about a response whose head is in core_io.out */
    ROUTE_GO = 0,       /* it goes on, perhaps with another head */
    ROUTE_ANSWERED = 1, /* out holds another response, as a whole: nothing of this one follows */
    ROUTE_GATHER = 2,   /* the body is to be given to envoxyd_gathered as a whole first */
    ROUTE_CHUNK = 4,    /* a body of unknown length is sent in chunks, if the client takes them */
    ROUTE_BARE = 8      /* there is no head: out holds what is sent in its place */
};

/* routes.c: asks Python, whose lock it takes, for what rules need. The answer is malloc'ed and the caller's; NULL: there is none. */
char *envoxyd_ask(const char *what, const char *arguments, size_t size, size_t *answer_size);
/* Has core_io.out hold that many bytes; NULL: there is no memory. */
struct core_io;
uint8_t *envoxyd_out_room(struct core_io *io, size_t size);

#define END_CALLS 61 /* workerspec.EndCalls */

#define OUT_INITIAL 16384
#define OUT_INLINE 65536 /* larger items are written from where they are */

#endif
