package directory

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrDamaged says that a part of the last import is gone or cannot be read. A
// full import makes good for it; people who have logged in before are not
// affected.
var ErrDamaged = errors.New("the rows of the last import are damaged: run a full import again")

// ErrSuperseded says that somebody else changed the imported rows meanwhile;
// nothing was changed.
var ErrSuperseded = errors.New("another import was going on at the same time: nothing was changed, try again")

// entry is an imported row.
type entry struct {
	Row
	// Dropped is when a second full import in a row did not have it. It counts for
	// nothing any more, and only stays until the next import so that one that was
	// interrupted leaves no binding behind.
	Dropped time.Time `json:"dropped,omitzero"`
}

// manifest is what current says.
type manifest struct {
	Version string `json:"version"`
	Chunks  int    `json:"chunks"`
	Rows    int    `json:"rows"`
}

// snapshot is all rows of an import, ordered by PRONOTE identifier, and never
// changes.
type snapshot struct {
	manifest
	entries  []entry
	alphabet string // of the identifiers in it and those that PRONOTE makes
}

// chunkSize is how much JSON goes into one value. Compressed it is about a
// quarter of that; even if nothing could be compressed it would fit (Consul:
// 512 KiB).
const chunkSize = 400 << 10

func (d *Directory) currentKey() string { return path.Join(d.root, "current") }
func (d *Directory) importKey(version string, chunk int) string {
	return path.Join(d.root, "imports", version, strconv.Itoa(chunk))
}

// imported returns the rows of the import that counts now.
func (d *Directory) imported(ctx context.Context) (*snapshot, error) {
	var err error
	for range 3 { // an import that is replaced while we read it: read the next one
		var current *manifest
		if current, err = load[manifest](ctx, d, d.currentKey()); err != nil {
			return nil, err
		}
		if current == nil {
			current = new(manifest)
		}
		if s := d.rows.Load(); s.Version == current.Version {
			return s, nil
		}
		var s *snapshot
		if s, err = d.readOnce(ctx, *current); err == nil {
			return s, nil
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, err
		}
	}
	return nil, err
}

// readOnce reads an import, one caller at a time: the others find it read.
func (d *Directory) readOnce(ctx context.Context, m manifest) (*snapshot, error) {
	select {
	case d.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-d.reading }()
	if s := d.rows.Load(); s.Version == m.Version {
		return s, nil
	}
	if m.Version == "" {
		s := newSnapshot(m, nil)
		d.rows.Store(s)
		return s, nil
	}
	s, err := d.read(ctx, m)
	if err == nil {
		d.rows.Store(s)
	}
	return s, err
}

func (d *Directory) read(ctx context.Context, m manifest) (*snapshot, error) {
	chunks := make([][]entry, m.Chunks)
	numbers := make([]int, m.Chunks)
	for i := range numbers {
		numbers[i] = i
	}
	err := each(ctx, numbers, func(ctx context.Context, i int) error {
		data, err := d.store.Load(ctx, d.importKey(m.Version, i))
		if errors.Is(err, fs.ErrNotExist) {
			return ErrDamaged
		}
		if err != nil {
			return fmt.Errorf("reading the directory: %w", err)
		}
		chunks[i], err = unpack(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	entries := slices.Concat(chunks...)
	if len(entries) != m.Rows {
		return nil, ErrDamaged
	}
	return newSnapshot(m, entries), nil
}

func newSnapshot(m manifest, entries []entry) *snapshot {
	s := &snapshot{manifest: m, entries: entries, alphabet: alphabet}
	for i := range entries {
		for _, c := range entries[i].PronoteID {
			if !strings.ContainsRune(s.alphabet, c) {
				s.alphabet += string(c)
			}
		}
	}
	return s
}

func unpack(data []byte) ([]entry, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, ErrDamaged
	}
	var entries []entry
	for lines := json.NewDecoder(z); lines.More(); {
		var e entry
		if lines.Decode(&e) != nil {
			return nil, ErrDamaged
		}
		entries = append(entries, e)
	}
	if z.Close() != nil {
		return nil, ErrDamaged
	}
	return entries, nil
}

// publish makes entries, ordered by identifier, the import that counts in place
// of from, and returns its version. The caller holds the import lock.
func (d *Directory) publish(ctx context.Context, from string, entries []entry) (version string, err error) {
	m := manifest{Version: rand.Text(), Rows: len(entries)}
	chunks, err := pack(entries)
	if err != nil {
		return "", err
	}
	m.Chunks = len(chunks)
	numbers := make([]int, len(chunks))
	for i := range numbers {
		numbers[i] = i
	}
	err = each(ctx, numbers, func(ctx context.Context, i int) error {
		return d.store.Store(ctx, d.importKey(m.Version, i), chunks[i])
	})
	if err != nil {
		return "", fmt.Errorf("writing the directory: %w", err)
	}
	// The lock may have gone stale meanwhile: a machine that slept, say.
	switch current, err := load[manifest](ctx, d, d.currentKey()); {
	case err != nil:
		return "", err
	case current == nil && from != "", current != nil && current.Version != from:
		return "", ErrSuperseded
	}
	if err := d.save(ctx, d.currentKey(), m); err != nil {
		return "", err
	}
	d.rows.Store(newSnapshot(m, entries))
	return m.Version, nil
}

// tidy deletes the imports that do not count. The caller holds the import lock.
func (d *Directory) tidy(ctx context.Context, keep string) error {
	versions, err := d.store.List(ctx, path.Join(d.root, "imports"), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing the directory: %w", err)
	}
	for _, key := range versions {
		if path.Base(key) != keep {
			if err := d.remove(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func pack(entries []entry) (chunks [][]byte, err error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	size := 0
	flush := func() error {
		if err := z.Close(); err != nil {
			return err
		}
		chunks = append(chunks, bytes.Clone(packed.Bytes()))
		packed.Reset()
		z.Reset(&packed)
		size = 0
		return nil
	}
	for i := range entries {
		line, err := json.Marshal(&entries[i])
		if err != nil {
			return nil, fmt.Errorf("encoding a row: %w", err)
		}
		if size > 0 && size+len(line) > chunkSize {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		if _, err := z.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		size += len(line) + 1
	}
	if size > 0 {
		err = flush()
	}
	return chunks, err
}

// lockImport keeps every other writer of imported rows out.
func (d *Directory) lockImport(ctx context.Context) (unlock func(), err error) {
	return d.lock(ctx, "current", "")
}

// byID returns the row of a PRONOTE identifier, or nil.
func (s *snapshot) byID(id string) *entry {
	i, ok := slices.BinarySearchFunc(s.entries, id, func(e entry, id string) int { return strings.Compare(e.PronoteID, id) })
	if !ok || !s.entries[i].Dropped.IsZero() {
		return nil
	}
	return &s.entries[i]
}

// byUser returns the row that an import proposes for a CAS identifier, or nil.
// There is no index: it is asked once in a person's life and takes less than a
// millisecond for a hundred thousand rows.
func (s *snapshot) byUser(user string) *entry {
	for i := range s.entries {
		if e := &s.entries[i]; e.User == user && e.Dropped.IsZero() {
			return e
		}
	}
	return nil
}
