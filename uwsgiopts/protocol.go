package uwsgiopts

// DefaultProtocol is what sockets speak that no option names: those of systemd, and stdin.
func (c *Config) DefaultProtocol() string {
	if c.protocol == "" {
		return "uwsgi"
	}
	return c.protocol
}
