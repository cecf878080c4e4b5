package worker

import "envoxyd/transports/scgi"

// preparseSCGI is preparse for SCGI, whose body follows its head as it does in uwsgi.
func (c *parser) preparseSCGI(data []byte) (p parsed) {
	head, err := scgi.Parse(data)
	if err != nil {
		p.err = err
		return p
	}
	if limit := c.w.spec.Limits.BufferSize; head.Size > limit {
		p.err = &errTooLong{head.Size, limit}
		return p
	}
	p.headSize = head.Size
	if !head.Whole() {
		return p
	}
	vars, err := head.AppendVars(c.vars[:0])
	if p.err = c.take(vars, err, &p); p.err != nil {
		return p
	}
	rest := data[p.headSize:]
	if int64(len(rest)) >= p.length {
		p.whole, p.body = true, rest[:p.length]
	}
	return p
}

// take makes vars, which were built in the parser's room, the request's.
func (c *parser) take(vars []byte, err error, p *parsed) error {
	switch {
	case err != nil:
		return err
	case len(vars) == 0:
		return errEmpty
	case &vars[0] != &c.vars[0]: // it has outgrown its room
		return errBlock
	}
	p.vars = vars
	return c.scan(vars, p)
}
