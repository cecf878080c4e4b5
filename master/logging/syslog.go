package logging

import (
	"fmt"
	"log/syslog"
	"strings"
)

// facilities are the names of syslog(3)'s.
var facilities = map[string]syslog.Priority{
	"kern": syslog.LOG_KERN, "user": syslog.LOG_USER, "mail": syslog.LOG_MAIL, "daemon": syslog.LOG_DAEMON, "auth": syslog.LOG_AUTH,
	"syslog": syslog.LOG_SYSLOG, "lpr": syslog.LOG_LPR, "news": syslog.LOG_NEWS, "uucp": syslog.LOG_UUCP, "cron": syslog.LOG_CRON,
	"authpriv": syslog.LOG_AUTHPRIV, "ftp": syslog.LOG_FTP, "local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1,
	"local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3, "local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5,
	"local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

// localSyslog sends records to this machine's syslog daemon.
type localSyslog struct {
	priority   syslog.Priority
	identifier string
	to         *syslog.Writer
}

// newLocalSyslog reads [IDENTIFIER[,FACILITY]]. The daemon may come later than we do.
func newLocalSyslog(arguments string) (*localSyslog, error) {
	identifier, name, given := strings.Cut(arguments, ",")
	if identifier == "" {
		identifier = "uwsgi"
	}
	if !given {
		name = "daemon"
	}
	facility, known := facilities[strings.ToLower(name)]
	if !known {
		return nil, fmt.Errorf("logger syslog: there is no facility %q", name)
	}
	return &localSyslog{priority: facility | syslog.LOG_INFO, identifier: identifier}, nil
}

func (s *localSyslog) write(b *batch) (lost int, err error) {
	return b.each(func(record []byte) error {
		if s.to == nil {
			to, err := syslog.New(s.priority, s.identifier)
			if err != nil {
				return err
			}
			s.to = to
		}
		_, err := s.to.Write(record) // connects again by itself
		return err
	})
}

func (s *localSyslog) close() error {
	if s.to == nil {
		return nil
	}
	return s.to.Close()
}
