
import time
import uwsgi

count = 0

def spooler(job):
    global count, first
    count += 1
    if count == 1:
        first = time.time()
    if count == int(job[b"jobs"]):
        with open("../done.new", "w") as file:
            file.write("%r %r" % (first, time.time()))
        import os
        os.rename("../done.new", "../done")
        count = 0
    return uwsgi.SPOOL_OK

uwsgi.spooler = spooler

def application(environ, start_response):
    jobs = environ["QUERY_STRING"].encode()
    began = time.time()
    for n in range(int(jobs)):
        uwsgi.spool({b"number": b"%d" % n, b"jobs": jobs, b"to": b"somebody@example.com"})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%r %r" % (began, time.time())).encode()]
