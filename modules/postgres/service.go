// Package postgres is the connector to the servers of psql_servers: pools of
// connections by server key, statements with Python's placeholders, results in
// Python's marshal format. It runs in the worker process and knows nothing of the
// interpreter there: what comes and goes is bytes.
package postgres

import (
	"fmt"
	"sync"
	"sync/atomic"

	"envoxyd/protocol/marshal"
)

// Operations of Call. Each takes a marshalled tuple and gives one: what it says, or
// (None, (message, …)) for an error.
const (
	opOpen     = 1 // (key, section as JSON): the server's settings; it connects when a statement comes
	opQuery    = 2 // (key, transaction or 0, SQL, parameters) → (rows, columns), see result.go
	opBegin    = 3 // (key,) → (number of the transaction,)
	opCommit   = 4 // (number,)
	opRollback = 5 // (number,)
	opClose    = 6 // (key,): its pool; None: all
)

// templatesKept bounds the cache of statements that have been parsed.
const templatesKept = 2048

// Service is the connector of one process.
type Service struct {
	mutex        sync.RWMutex
	servers      map[string]*server
	transactions map[int64]*transaction
	last         atomic.Int64 // number of a transaction

	templates     sync.Map // SQL → *template
	templateCount atomic.Int64
}

// New makes a connector without servers.
func New() *Service {
	return &Service{servers: map[string]*server{}, transactions: map[int64]*transaction{}}
}

// Call carries out one operation and has deliver take the reply, which is its own only
// until it returns. Errors of the server, the network and the caller's SQL are part of
// the reply; the error is of the bridge itself.
func (s *Service) Call(operation int, payload []byte, deliver func(reply []byte)) error {
	value, err := marshal.Read(payload)
	if err != nil {
		return fmt.Errorf("postgres: operation %d: %w", operation, err)
	}
	given, ok := value.(marshal.Tuple)
	if !ok {
		return fmt.Errorf("postgres: operation %d takes a tuple", operation)
	}
	a := arguments{given: given}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	reply, place, err := s.perform(e, operation, &a)
	if a.err != nil {
		return fmt.Errorf("postgres: operation %d: %w", operation, a.err)
	}
	if err != nil {
		reply = refusal(problemOf(err, place))
	}
	deliver(reply)
	return nil
}

func (s *Service) perform(e *encoder, operation int, a *arguments) (reply []byte, place string, err error) {
	switch operation {
	case opOpen:
		key, document := a.text(0), a.bytes(1)
		if a.err != nil {
			return nil, "", nil
		}
		return nothing(), key, s.open(key, document)
	case opQuery:
		key, number, sql, params := a.text(0), a.number(1), a.text(2), a.at(3)
		if a.err != nil {
			return nil, "", nil
		}
		return s.query(e, key, number, sql, params)
	case opBegin:
		key := a.text(0)
		if a.err != nil {
			return nil, "", nil
		}
		return s.begin(key)
	case opCommit, opRollback:
		number := a.number(0)
		if a.err != nil {
			return nil, "", nil
		}
		return s.end(number, operation == opCommit)
	case opClose:
		if a.at(0) == nil {
			s.Close()
			return nothing(), "", nil
		}
		s.closeServer(a.text(0))
		return nothing(), "", nil
	}
	a.err = fmt.Errorf("there is no such operation")
	return nil, "", nil
}

// open sets how a server is reached. Open pools of the same key are closed when their queries are done.
func (s *Service) open(key string, document []byte) error {
	made, err := readSettings(key, document)
	if err != nil {
		return err
	}
	opened, err := openServer(made)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	before := s.servers[key]
	s.servers[key] = opened
	s.mutex.Unlock()
	if before != nil {
		go before.close() // it waits for queries in flight; ends with them
	}
	return nil
}

func (s *Service) server(key string) (*server, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	found := s.servers[key]
	if found == nil {
		return nil, fmt.Errorf("%w: No configuration found for server key: %s", ErrUsage, key)
	}
	return found, nil
}

func (s *Service) query(e *encoder, key string, number int64, sql string, params any) ([]byte, string, error) {
	t, err := s.template(sql)
	if err != nil {
		return nil, "", err
	}
	if number != 0 {
		s.mutex.RLock()
		open := s.transactions[number]
		s.mutex.RUnlock()
		if open == nil {
			return nil, "", fmt.Errorf("%w: the transaction is over", ErrUsage)
		}
		reply, err := open.query(e, t, params)
		return reply, open.server.place, err
	}
	found, err := s.server(key)
	if err != nil {
		return nil, "", err
	}
	reply, err := found.query(e, t, params)
	return reply, found.place, err
}

// template parses a statement, once.
func (s *Service) template(sql string) (*template, error) {
	if known, ok := s.templates.Load(sql); ok {
		return known.(*template), nil
	}
	made, err := parseTemplate(sql)
	if err != nil {
		return nil, err
	}
	if s.templateCount.Add(1) > templatesKept { // SQL with values in its text: nothing is worth keeping
		s.templates.Clear()
		s.templateCount.Store(1)
	}
	s.templates.Store(sql, made)
	return made, nil
}

func (s *Service) begin(key string) ([]byte, string, error) {
	found, err := s.server(key)
	if err != nil {
		return nil, "", err
	}
	begun, err := found.begin()
	if err != nil {
		return nil, found.place, err
	}
	number := s.last.Add(1)
	s.mutex.Lock()
	s.transactions[number] = begun
	s.mutex.Unlock()
	return marshal.AppendInt(marshal.AppendTuple(nil, 1), number), found.place, nil
}

func (s *Service) end(number int64, commit bool) ([]byte, string, error) {
	s.mutex.Lock()
	open := s.transactions[number]
	delete(s.transactions, number)
	s.mutex.Unlock()
	if open == nil {
		return nil, "", fmt.Errorf("%w: the transaction is over", ErrUsage)
	}
	return nothing(), open.server.place, open.end(commit)
}

func (s *Service) closeServer(key string) {
	s.mutex.Lock()
	found := s.servers[key]
	delete(s.servers, key)
	s.mutex.Unlock()
	if found != nil {
		found.close()
	}
}

// Close rolls back what is open and closes every connection, all servers' at once.
func (s *Service) Close() {
	s.mutex.Lock()
	servers, open := s.servers, s.transactions
	s.servers, s.transactions = map[string]*server{}, map[int64]*transaction{}
	s.mutex.Unlock()
	var pending sync.WaitGroup
	for _, one := range open {
		if one.mutex.TryLock() { // else its thread is in a statement, which the process does not outlive
			one.mutex.Unlock()
			_ = one.end(false) // rolled back by the server, too, when the connection goes
		}
	}
	for _, one := range servers {
		pending.Go(one.close)
	}
	pending.Wait()
}

// arguments are an operation's; the first that is not as it should be is kept as err.
type arguments struct {
	given marshal.Tuple
	err   error
}

func (a *arguments) at(i int) any {
	if i >= len(a.given) {
		a.err = fmt.Errorf("argument %d is missing", i)
		return nil
	}
	return a.given[i]
}

func (a *arguments) text(i int) string {
	value, ok := a.at(i).(string)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("argument %d is not text", i)
	}
	return value
}

func (a *arguments) bytes(i int) []byte {
	value, ok := a.at(i).(marshal.Bytes)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("argument %d is not bytes", i)
	}
	return value
}

func (a *arguments) number(i int) int64 {
	value, ok := a.at(i).(int64)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("argument %d is not a number", i)
	}
	return value
}
