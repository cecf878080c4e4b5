package uwsgiopts

// Version is uwsgi.version and the beginning of what --version prints. It stays at 2.1 or
// above: that is the uWSGI whose behaviour this is.
const Version = "2.1.0-envoxyd"
