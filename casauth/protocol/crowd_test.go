package protocol

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// takes is a CAS server that takes its time, and counts who waits for it.
type takes struct {
	each        time.Duration
	under, most atomic.Int64
}

func (s *takes) RoundTrip(r *http.Request) (*http.Response, error) {
	s.most.Store(max(s.most.Load(), s.under.Add(1)))
	defer s.under.Add(-1)
	select {
	case <-time.After(s.each):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	answer := httptest.NewRecorder()
	_, _ = answer.WriteString("yes\nme\n")
	return answer.Result(), nil
}

// Who stands at the end of a queue has the same time as who stands in front, and
// nobody stands there for ever.
func TestAValidationsTimeBeginsWhenItsTurnComes(t *testing.T) {
	for _, test := range []struct {
		name        string
		each, limit time.Duration
		good        int64
	}{
		{"a slow server", 600 * time.Millisecond, 3 * time.Second, 10},
		{"a silent server", time.Hour, 4 * time.Second, 0}, // three in the queue and one in turn
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &takes{each: test.each}
				c := &Client{Protocol: CAS1, ValidateURL: "https://cas.example.fr/validate", Transport: server, Timeout: time.Second, Turns: make(chan struct{}, 2)}
				var good atomic.Int64
				var all sync.WaitGroup
				begun := time.Now()
				for range 10 {
					all.Go(func() {
						_, err := c.Validate(t.Context(), "https://pronote.example.fr/", "ST-1")
						var failed *Error
						switch {
						case err == nil:
							good.Add(1)
						case !errors.As(err, &failed) || failed.Reason != ReasonTimeout:
							t.Errorf("refused: %v", err)
						}
					})
				}
				all.Wait()
				if took := time.Since(begun); took > test.limit {
					t.Errorf("the last one waited %s", took)
				}
				if good.Load() != test.good || server.most.Load() > 2 {
					t.Errorf("%d answers, %d at a time", good.Load(), server.most.Load())
				}
			})
		})
	}
}
