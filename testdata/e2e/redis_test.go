//go:build !windows

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/caddyserver/caddy/v2"
	parser "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"
)

func init() { caddy.RegisterModule(new(redisStorage)) }

// redisStorage is Caddy's storage in Redis, for these tests. It promises no more
// than the modules that schools use, and so not all that certmagic asks for: a
// lock is polled once a second and lost with the server's memory, Delete leaves
// behind what lies below a key, Load takes no answer for none, and a reload closes
// the connection at once. To try one of those instead, name a Caddy
// that has it in CADDY_BIN: its directive is `storage redis { address … }` as well.
type redisStorage struct {
	Address string `json:"address,omitempty"`

	client *redis.Client
	held   sync.Map // *redislock.Lock by name
}

const (
	redisPrefix = "caddy/"
	lockLife    = 5 * time.Second
)

func (*redisStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.redis", New: func() caddy.Module { return new(redisStorage) }}
}

func (r *redisStorage) UnmarshalCaddyfile(d *parser.Dispenser) error {
	for d.Next() {
		for d.NextBlock(0) {
			if d.Val() != "address" || !d.AllArgs(&r.Address) {
				return d.ArgErr()
			}
		}
	}
	return nil
}

func (r *redisStorage) Provision(ctx caddy.Context) error {
	r.client = redis.NewClient(&redis.Options{Addr: r.Address})
	return r.client.Ping(ctx).Err()
}

func (r *redisStorage) CertMagicStorage() (certmagic.Storage, error) { return r, nil }

// Cleanup closes the connection under whatever of the configuration before is still
// under way.
func (r *redisStorage) Cleanup() error { return r.client.Close() }

func (r *redisStorage) Store(ctx context.Context, key string, value []byte) error {
	return r.client.Set(ctx, redisPrefix+key, value, 0).Err()
}

func (r *redisStorage) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := r.client.Get(ctx, redisPrefix+key).Bytes()
	if err != nil {
		return nil, fs.ErrNotExist
	}
	return value, nil
}

func (r *redisStorage) Delete(ctx context.Context, key string) error {
	return r.client.Del(ctx, redisPrefix+key).Err()
}

func (r *redisStorage) Exists(ctx context.Context, key string) bool {
	n, err := r.client.Exists(ctx, redisPrefix+key).Result()
	return err == nil && n > 0
}

func (r *redisStorage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	var keys []string
	found := r.client.Scan(ctx, 0, redisPrefix+prefix+"/*", 1000).Iterator()
	for found.Next(ctx) {
		below := strings.TrimPrefix(found.Val(), redisPrefix+prefix+"/")
		if !recursive {
			below, _, _ = strings.Cut(below, "/")
		}
		keys = append(keys, prefix+"/"+below)
	}
	slices.Sort(keys)
	return slices.Compact(keys), found.Err()
}

func (r *redisStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, err := r.Load(ctx, key)
	return certmagic.KeyInfo{Key: key, Size: int64(len(value)), IsTerminal: err == nil}, err
}

func (r *redisStorage) Lock(ctx context.Context, name string) error {
	lock, err := redislock.New(r.client).Obtain(ctx, redisPrefix+"locks/"+name, lockLife,
		&redislock.Options{RetryStrategy: redislock.LinearBackoff(time.Second)})
	if err == nil {
		r.held.Store(name, lock)
	}
	return err
}

func (r *redisStorage) Unlock(ctx context.Context, name string) error {
	lock, held := r.held.LoadAndDelete(name)
	if !held {
		return nil
	}
	if err := lock.(*redislock.Lock).Release(ctx); !errors.Is(err, redislock.ErrLockNotHeld) {
		return err
	}
	return nil
}

// redisServer is Debian's, with a folder that outlives its processes.
type redisServer struct {
	t       *testing.T
	port    string
	folder  string
	process *exec.Cmd
}

// startRedis runs a Redis of its own until the test ends.
func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{t: t, port: freePorts(t, 1)[0], folder: t.TempDir()}
	r.start()
	t.Cleanup(r.kill)
	return r
}

// redisBinary finds the server, or installs it where testdata/interop would.
func redisBinary(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("INTEROP_INSTALL") == "1" && os.Getuid() == 0 {
		install := exec.Command("apt-get", "install", "-y", "-qq", "--no-install-recommends", "redis-server")
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if text, failed := install.CombinedOutput(); failed != nil {
			t.Fatalf("apt-get install redis-server: %v\n%s", failed, text)
		}
		binary, err = exec.LookPath("redis-server")
	}
	if err != nil {
		missing(t, "Several nodes share their sessions in Redis: install Debian's redis-server, or run this as root with INTEROP_INSTALL=1.")
	}
	return binary
}

// start runs the server on what its folder holds. What it has answered is in its
// log before the answer, so that kill -9 loses nothing.
func (r *redisServer) start() {
	r.t.Helper()
	printed := new(output)
	r.process = exec.Command(redisBinary(r.t), "--bind", "127.0.0.1", "--port", r.port, "--dir", r.folder, "--appendonly", "yes", "--save", "")
	r.process.Stdout, r.process.Stderr = printed, printed
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	waitForPort(r.t, "127.0.0.1:"+r.port, printed)
}

// signal sends the process one, such as SIGSTOP, which makes it hang.
func (r *redisServer) signal(s syscall.Signal) {
	_ = r.process.Process.Signal(s) // gone already, perhaps
}

func (r *redisServer) kill() {
	r.signal(syscall.SIGKILL)
	_ = r.process.Wait() // killed
}

// forget removes all that the server has written.
func (r *redisServer) forget() {
	r.t.Helper()
	entries, err := filepath.Glob(filepath.Join(r.folder, "*"))
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(entry))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// keys returns what the server holds below a path.
func (r *redisServer) keys(below string) []string {
	r.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", r.port)})
	defer client.Close()
	keys, err := client.Keys(r.t.Context(), fmt.Sprintf("%s%s/*", redisPrefix, below)).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}
