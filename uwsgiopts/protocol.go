package uwsgiopts

// protocols are what --protocol may name.
var protocols = []string{"uwsgi", "http", "http11", "fastcgi", "fastcgi-nph", "scgi", "scgi-nph", "puwsgi"}

// rawProtocol is another name for it, which stands for no protocol at all.
const rawProtocol = "raw"

// noRawMode is the reason for the options of raw sockets.
const noRawMode = "raw connections are not implemented yet; run a program that listens itself with attach-daemon"

// DefaultProtocol is what sockets speak that no option names: those of systemd, and stdin.
func (c *Config) DefaultProtocol() string {
	if c.protocol == "" {
		return "uwsgi"
	}
	return c.protocol
}
