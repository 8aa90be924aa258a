package directory

import (
	"context"
	"slices"
	"time"
)

// tries is when somebody tried, or when a code was tried.
type tries struct {
	At []time.Time `json:"at"`
}

type limit struct {
	tries int
	in    time.Duration
}

// A person has five tries an hour. So has a code, whoever tries it, and ten a
// day: a class that shares a teacher's code would guess the birthday otherwise.
var (
	personLimits = []limit{{5, time.Hour}}
	codeLimits   = []limit{{5, time.Hour}, {10, 24 * time.Hour}}
)

// firstWait is how long to wait after the first try; each further one waits three
// times as long as the one before: 5 s, 15 s, 45 s, 2 min 15 s.
const firstWait = 5 * time.Second

// spendTry takes one of the person's tries and one of the code's, and returns how
// many the person has left. Tries are taken before anything is compared, so that
// a crash gives none back, and for codes that do not exist as for those that do.
func (d *Directory) spendTry(ctx context.Context, user, code string) (left int, err error) {
	left, err = d.spend(ctx, "person\x00"+user, personLimits, true)
	if err != nil {
		return 0, err
	}
	_, err = d.spend(ctx, "code\x00"+code, codeLimits, false)
	return left, err
}

func (d *Directory) spend(ctx context.Context, whose string, limits []limit, slowly bool) (left int, err error) {
	unlock, err := d.lock(ctx, kindTries, whose)
	if err != nil {
		return 0, err
	}
	defer unlock()
	key := d.key(kindTries, whose)
	t, err := load[tries](ctx, d, key)
	if err != nil {
		return 0, err
	}
	if t == nil {
		t = new(tries)
	}
	now := time.Now().UTC()
	t.At = slices.DeleteFunc(t.At, func(at time.Time) bool { return now.Sub(at) >= 24*time.Hour })
	for _, l := range limits {
		if n := len(t.At); t.within(now, l.in) >= l.tries {
			return 0, &AskError{Kind: AskLocked, Wait: t.At[n-l.tries].Add(l.in).Sub(now)}
		}
	}
	hour := t.within(now, time.Hour)
	if slowly && hour > 0 {
		wait := firstWait
		for range hour - 1 {
			wait *= 3
		}
		if wait -= now.Sub(t.At[len(t.At)-1]); wait > 0 {
			return 0, &AskError{Kind: AskWait, Wait: wait}
		}
	}
	t.At = append(t.At, now)
	return limits[0].tries - hour - 1, d.save(ctx, key, t)
}

// within counts the tries of the last in. They are in order.
func (t *tries) within(now time.Time, in time.Duration) (n int) {
	for _, at := range t.At {
		if now.Sub(at) < in {
			n++
		}
	}
	return n
}

// forgetTries gives a person who has succeeded a clean slate. Where that fails
// it is clean after an hour.
func (d *Directory) forgetTries(ctx context.Context, user string) {
	_ = d.remove(ctx, d.key(kindTries, "person\x00"+user))
}
