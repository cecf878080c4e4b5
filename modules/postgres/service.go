// Package postgres is the connector to the servers of psql_servers, as Python reaches it:
// operations by number, whose arguments and results are bytes in Python's marshal format.
// Below it are layers that serve without it: pool (connections by server key), call
// (statements and transactions), types (values), problem (errors).
package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/modules/postgres/call"
	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
	"envoxyd/protocol/marshal"
)

// Operations of Call. Each takes a marshalled tuple and gives one: what it says, or
// (None, (message, …)) for an error. Python has them in native.py; a test compares.
const (
	opOpen     = 1 // (key, section as JSON): the server's settings; it connects when a statement comes
	opQuery    = 2 // (key, transaction or 0, SQL, parameters) → (rows, columns), see types/encoder.go
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
	servers      map[string]*pool.Server
	transactions map[int64]*call.Transaction
	last         atomic.Int64 // number of a transaction
	figures      func(key string) pool.Figures

	templates     sync.Map // SQL → *call.Template
	templateCount atomic.Int64
}

// New makes a connector without servers.
func New() *Service {
	return &Service{servers: map[string]*pool.Server{}, transactions: map[int64]*call.Transaction{}}
}

// Call carries out one operation and has deliver take the reply, which is its own only
// until it returns. Errors of the server, the network and the caller's SQL are part of
// the reply; the error is of the bridge itself. What the server is doing for the call is
// cancelled there when ctx ends.
func (s *Service) Call(ctx context.Context, operation int, payload []byte, deliver func(reply []byte)) error {
	value, err := marshal.Read(payload)
	if err != nil {
		return fmt.Errorf("postgres: operation %d: %w", operation, err)
	}
	given, ok := value.(marshal.Tuple)
	if !ok {
		return fmt.Errorf("postgres: operation %d takes a tuple", operation)
	}
	a := arguments{given: given}
	e := encoders.Get().(*types.Encoder)
	defer encoders.Put(e)
	reply, place, err := s.perform(ctx, e, operation, &a)
	if a.err != nil {
		return fmt.Errorf("postgres: operation %d: %w", operation, a.err)
	}
	if err != nil {
		reply = refusal(problemOf(ctx, err, place))
	}
	deliver(reply)
	return nil
}

func (s *Service) perform(ctx context.Context, e *types.Encoder, operation int, a *arguments) (reply []byte, place string, err error) {
	switch operation {
	case opOpen:
		key, document := a.text(0), a.bytes(1)
		if a.err != nil {
			return nil, "", nil
		}
		return types.Nothing(), key, s.open(key, document)
	case opQuery:
		key, number, sql, params := a.text(0), a.number(1), a.text(2), a.at(3)
		if a.err != nil {
			return nil, "", nil
		}
		return s.query(ctx, e, key, number, sql, params)
	case opBegin:
		key := a.text(0)
		if a.err != nil {
			return nil, "", nil
		}
		return s.begin(ctx, key)
	case opCommit, opRollback:
		number := a.number(0)
		if a.err != nil {
			return nil, "", nil
		}
		return s.end(ctx, number, operation == opCommit)
	case opClose:
		if a.at(0) == nil {
			s.Close()
			return types.Nothing(), "", nil
		}
		s.closeServer(a.text(0))
		return types.Nothing(), "", nil
	}
	a.err = fmt.Errorf("there is no such operation")
	return nil, "", nil
}

// Count has pools that are opened from now on say how they are doing to the figures of their key.
func (s *Service) Count(figures func(key string) pool.Figures) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.figures = figures
}

func (s *Service) figuresOf(key string) pool.Figures {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.figures == nil {
		return pool.Unread()
	}
	return s.figures(key)
}

// open sets how a server is reached. Open pools of the same key are closed when their queries are done.
func (s *Service) open(key string, document []byte) error {
	made, err := pool.ReadConfig(key, document)
	if err != nil {
		return err
	}
	opened, err := pool.Open(made, s.figuresOf(key))
	if err != nil {
		return err
	}
	s.mutex.Lock()
	before := s.servers[key]
	s.servers[key] = opened
	s.mutex.Unlock()
	if before != nil {
		go before.Close() // it waits for queries in flight; ends with them
	}
	return nil
}

func (s *Service) server(key string) (*pool.Server, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	found := s.servers[key]
	if found == nil {
		return nil, fmt.Errorf("%w: No configuration found for server key: %s", problem.ErrUsage, key)
	}
	return found, nil
}

func (s *Service) query(ctx context.Context, e *types.Encoder, key string, number int64, sql string, params any) ([]byte, string, error) {
	t, err := s.template(sql)
	if err != nil {
		return nil, "", err
	}
	if number != 0 {
		s.mutex.RLock()
		open := s.transactions[number]
		s.mutex.RUnlock()
		if open == nil {
			return nil, "", fmt.Errorf("%w: the transaction is over", problem.ErrUsage)
		}
		reply, err := open.Query(ctx, e, t, params)
		return reply, open.Place(), err
	}
	found, err := s.server(key)
	if err != nil {
		return nil, "", err
	}
	reply, err := call.Query(ctx, found, e, t, params)
	return reply, found.Place, err
}

// template parses a statement, once.
func (s *Service) template(sql string) (*call.Template, error) {
	if known, ok := s.templates.Load(sql); ok {
		return known.(*call.Template), nil
	}
	made, err := call.Parse(sql)
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

func (s *Service) begin(ctx context.Context, key string) ([]byte, string, error) {
	found, err := s.server(key)
	if err != nil {
		return nil, "", err
	}
	begun, err := call.Begin(ctx, found)
	if err != nil {
		return nil, found.Place, err
	}
	number := s.last.Add(1)
	s.mutex.Lock()
	s.transactions[number] = begun
	s.mutex.Unlock()
	return marshal.AppendInt(marshal.AppendTuple(nil, 1), number), found.Place, nil
}

func (s *Service) end(ctx context.Context, number int64, commit bool) ([]byte, string, error) {
	s.mutex.Lock()
	open := s.transactions[number]
	delete(s.transactions, number)
	s.mutex.Unlock()
	if open == nil {
		return nil, "", fmt.Errorf("%w: the transaction is over", problem.ErrUsage)
	}
	return types.Nothing(), open.Place(), open.End(ctx, commit)
}

func (s *Service) closeServer(key string) {
	s.mutex.Lock()
	found := s.servers[key]
	delete(s.servers, key)
	s.mutex.Unlock()
	if found != nil {
		found.Close()
	}
}

// Close rolls back what is open and closes every connection, all servers' at once.
func (s *Service) Close() {
	s.mutex.Lock()
	servers, open := s.servers, s.transactions
	s.servers, s.transactions = map[string]*pool.Server{}, map[int64]*call.Transaction{}
	s.mutex.Unlock()
	var pending sync.WaitGroup
	for _, one := range open {
		pending.Go(func() {
			ended := make(chan struct{})
			go func() { // ends with the statement that the transaction is in
				one.Abandon()
				close(ended)
			}()
			select {
			case <-ended:
			case <-time.After(pool.CloseWait):
			}
		})
	}
	for _, one := range servers {
		pending.Go(one.Close)
	}
	pending.Wait()
}
