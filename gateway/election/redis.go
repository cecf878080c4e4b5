package election

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

func init() { redis.SetLogger(&logging.VoidLogger{}) } // what matters is returned

// Redis is a key in redis with a time to live. It holds for one server: one that is replaced by a replica that had not got the
// key yet (an asynchronous failover) may have two leaders for as long as that lives.
type Redis struct {
	client *redis.Client
	name   string
	token  string
	held   bool
}

// life is how long a key outlives a process that has died.
const life = 5 * time.Second

// take sets the key if it is free, and renews it if it is the token's: 0 if it is another's, 1 if it was the token's, 2 if it is
// now; then the server's time.
var take = redis.NewScript(`
local state, owner = 0, redis.call('GET', KEYS[1])
if owner == ARGV[1] then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
	state = 1
elseif not owner then
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
	state = 2
end
local now = redis.call('TIME')
return {state, tonumber(now[1]), tonumber(now[2])}
`)

var giveBack = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`)

// NewRedis is a lock of that name. The connection is made by Hold.
func NewRedis(options *redis.Options, name string) *Redis {
	options.MaxRetries, options.PoolSize, options.DisableIdentity = -1, 1, true
	options.ContextTimeoutEnabled = true
	return &Redis{client: redis.NewClient(options), name: name, token: rand.Text()}
}

// Hold implements Lock.
func (r *Redis) Hold(ctx context.Context) (Grant, error) {
	answer, err := take.Run(ctx, r.client, []string{r.name}, r.token, life.Milliseconds()).Int64Slice()
	if err != nil || len(answer) != 3 {
		r.held = false
		return Grant{}, fmt.Errorf("election: redis: %w", orUnexpected(err))
	}
	grant := Grant{Now: time.Unix(answer[1], answer[2]*1000), Held: answer[0] != 0}
	grant.New = grant.Held && (answer[0] == 2 || !r.held)
	r.held = grant.Held
	return grant, nil
}

func orUnexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close implements Lock.
func (r *Redis) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
	defer cancel()
	if r.held {
		_ = giveBack.Run(ctx, r.client, []string{r.name}, r.token).Err() // else it ends by itself
	}
	_ = r.client.Close()
}
