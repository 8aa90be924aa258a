package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(new(faultyStorage)) }

// faultyStorage is Caddy's file storage, which fails as the file next to its folder
// says: real disks are filled, and slowed down, by root alone.
type faultyStorage struct {
	certmagic.FileStorage
	closed *atomic.Bool
}

// storageFault is what goes wrong in operations on keys that contain Key. The zero
// value is a storage that works.
type storageFault struct {
	Key   string
	Delay time.Duration // before each operation
	Full  bool          // writing fails as on a full disk,
	Gone  bool          // everything fails
	Stuck bool          // writing waits for ever
}

func (*faultyStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.faulty", New: func() caddy.Module { return &faultyStorage{closed: new(atomic.Bool)} }}
}

func (s *faultyStorage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.Next(); !d.AllArgs(&s.Path) {
		return d.ArgErr()
	}
	return nil
}

// Cleanup closes it at once, as the module for Redis that most have does, whoever of the
// configuration before is still at work.
func (s *faultyStorage) Cleanup() error {
	s.closed.Store(true)
	return nil
}

func (s *faultyStorage) CertMagicStorage() (certmagic.Storage, error) { return s, nil }

// suffer plays the fault of an operation on key.
func (s *faultyStorage) suffer(key string, writes bool) error {
	if strings.HasPrefix(key, "pronote_cas/") {
		s.count()
	}
	if s.closed.Load() {
		return errors.New("client is closed")
	}
	var f storageFault
	data, err := os.ReadFile(s.Path + ".fault")
	if err != nil || json.Unmarshal(data, &f) != nil || !strings.Contains(key, f.Key) {
		return nil
	}
	time.Sleep(f.Delay)
	switch {
	case f.Gone:
		return syscall.EIO
	case f.Stuck && writes:
		_ = os.WriteFile(s.Path+".waiting", []byte(key), 0o600) // which a test waits for
		select {}
	case f.Full && writes:
		return syscall.ENOSPC
	}
	return nil
}

// count tells the test how often the plugin's part was asked, a byte each time.
func (s *faultyStorage) count() {
	if f, err := os.OpenFile(s.Path+".asked", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_, _ = f.Write([]byte{'.'})
		_ = f.Close()
	}
}

func (s *faultyStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.suffer(key, false); err != nil {
		return nil, err
	}
	return s.FileStorage.Load(ctx, key)
}

func (s *faultyStorage) Store(ctx context.Context, key string, value []byte) error {
	if err := s.suffer(key, true); err != nil {
		return err
	}
	return s.FileStorage.Store(ctx, key, value)
}

func (s *faultyStorage) Delete(ctx context.Context, key string) error {
	if err := s.suffer(key, false); err != nil { // what frees space works on a full disk
		return err
	}
	return s.FileStorage.Delete(ctx, key)
}

func (s *faultyStorage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if err := s.suffer(prefix, false); err != nil {
		return nil, err
	}
	return s.FileStorage.List(ctx, prefix, recursive)
}

func (s *faultyStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	if err := s.suffer(key, false); err != nil {
		return certmagic.KeyInfo{}, err
	}
	return s.FileStorage.Stat(ctx, key)
}

func (s *faultyStorage) Lock(ctx context.Context, name string) error {
	if err := s.suffer(name, true); err != nil {
		return err
	}
	return s.FileStorage.Lock(ctx, name)
}

// onFaultyStorage makes a Caddyfile use it.
func (s *rig) onFaultyStorage(config string) string {
	return strings.Replace(config, "storage file_system "+s.storage, "storage faulty "+s.storage, 1)
}

// startFaulty is start, on a storage whose faults the test decides on.
func startFaulty(t *testing.T, lines ...string) *rig {
	return startWith(t, func(s *rig) string { return s.onFaultyStorage(s.caddyfile("", lines...)) })
}

// fault makes the storage fail from now on, or work.
func (s *rig) fault(f storageFault) {
	s.t.Helper()
	data, err := json.Marshal(f)
	if err == nil {
		err = os.WriteFile(s.storage+".fault.new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(s.storage+".fault.new", s.storage+".fault") // all at once
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// asked is how often the plugin has asked the storage.
func (s *rig) asked() int64 {
	info, err := os.Stat(s.storage + ".asked")
	if err != nil {
		return 0
	}
	return info.Size()
}

// stored are the files of sessions in the storage, without those that say when
// somebody was last here.
func (s *rig) stored() (sessions []string) {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.storage, "pronote_cas", "*", "sessions", "*", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range found {
		if !strings.HasSuffix(file, ".seen") {
			sessions = append(sessions, file)
		}
	}
	return sessions
}
