/* Numbers by name that processes share; uwsgi_module/metrics.py finds the number of a name. */
#ifndef ENVOXYD_METRIC_H
#define ENVOXYD_METRIC_H

enum { METRIC_GET, METRIC_SET, METRIC_ADD, METRIC_MULTIPLY, METRIC_DIVIDE, METRIC_MAX, METRIC_MIN };

PyObject *metric_attach(PyObject *self, PyObject *args);
PyObject *metric_change(PyObject *self, PyObject *args);

#endif
