package logging

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// redisTime bounds how long a batch may wait for Redis.
const redisTime = 5 * time.Second

// redis hands records to a command of a Redis server, by default PUBLISH.
type redis struct {
	network, address string
	words            []string // of the command
	prefix           string   // before each record
	conn             net.Conn
	replies          *bufio.Reader
}

// newRedis reads [ADDRESS[,COMMAND[,PREFIX]]].
func newRedis(arguments string) *redis {
	parts := strings.SplitN(arguments, ",", 3)
	given := append(parts, "", "", "")
	r := &redis{network: "tcp", address: given[0], words: strings.Fields(given[1]), prefix: given[2]}
	if r.address == "" {
		r.address = "127.0.0.1:6379"
	}
	if strings.HasPrefix(r.address, "/") {
		r.network = "unix"
	}
	if len(r.words) == 0 {
		r.words = []string{"publish", "uwsgi"}
	}
	return r
}

// command is the request for one record in Redis's protocol.
func (r *redis) command(dst, record []byte) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(r.words)+1)
	for _, word := range r.words {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(word), word)
	}
	dst = fmt.Appendf(dst, "$%d\r\n%s", len(r.prefix)+len(record), r.prefix)
	return append(append(dst, record...), "\r\n"...)
}

// write sends all records at once and then looks at the replies. What a connection
// that has been idle does not take is sent again over a new one.
func (r *redis) write(b *batch) (lost int, err error) {
	var commands []byte
	_, _ = b.each(func(record []byte) error {
		commands = r.command(commands, record)
		return nil
	})
	fresh := r.conn == nil
	answered, refused, err := r.ask(commands, len(b.ends))
	if err != nil && answered == 0 && !fresh {
		answered, refused, err = r.ask(commands, len(b.ends))
	}
	if err == nil && refused != "" {
		err = errors.New(refused)
	}
	if err == nil {
		return 0, nil
	}
	return len(b.ends) - answered, err
}

// ask sends commands and takes the first line of each reply, which commands that take a
// message answer with alone. answered: how many were carried out.
func (r *redis) ask(commands []byte, count int) (answered int, refused string, err error) {
	if r.conn == nil {
		conn, err := net.DialTimeout(r.network, r.address, redisTime)
		if err != nil {
			return 0, "", err
		}
		r.conn, r.replies = conn, bufio.NewReader(conn)
	}
	err = r.conn.SetDeadline(time.Now().Add(redisTime))
	if err == nil {
		_, err = r.conn.Write(commands)
	}
	for range count {
		var reply string
		if err == nil {
			reply, err = r.replies.ReadString('\n')
		}
		if err != nil {
			_ = r.conn.Close() // it is of no use any more
			r.conn = nil
			return answered, refused, err
		}
		if text, is := strings.CutPrefix(strings.TrimSpace(reply), "-"); is {
			refused = text
		} else {
			answered++
		}
	}
	return answered, refused, nil
}

func (r *redis) close() error {
	if r.conn == nil {
		return nil
	}
	return r.conn.Close()
}
