package castest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"time"
)

// Fault is what goes wrong at the validation endpoints. The fields are looked
// at in this order; the zero value is a server that works. A request that met
// a fault is counted, but its ticket is not spent (except for Delay, after
// which the answer is the usual one).
type Fault struct {
	Down             bool          // every request, login too: the connection is closed without an answer
	Delay            time.Duration // wait before the answer; ends early if the client goes away
	Redirect         string        // 302 to this address
	HangAfterHeaders bool          // 200 and headers, then nothing until the client goes away
	GzipBomb         int64         // 200 and this many bytes of blanks, compressed
	Status           int           // answer with this status; with Body, the status of that body
	Body             []byte        // the answer, instead of the true one; status 200 unless Status is set
	ContentType      string        // of Body; "": text/xml; charset=utf-8
}

// SetFault replaces the fault for the requests that begin from now on.
func (s *Server) SetFault(f Fault) {
	f.Body = bytes.Clone(f.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// SetShape replaces the form of the answers from now on.
func (s *Server) SetShape(sh Shape) {
	sh.Proxies = slices.Clone(sh.Proxies)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shape = sh
}

func (s *Server) currentFault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *Server) currentShape() Shape {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shape
}

// spoil plays the fault and tells whether it was the answer.
func (s *Server) spoil(w http.ResponseWriter, r *http.Request) bool {
	f := s.currentFault()
	if f.Delay > 0 && !s.wait(r, f.Delay) {
		return true
	}
	switch {
	case f.Redirect != "":
		redirect(w, f.Redirect)
	case f.HangAfterHeaders:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		s.wait(r, 0)
	case f.GzipBomb > 0:
		bomb(w, f.GzipBomb)
	case f.Status != 0 || f.Body != nil:
		if f.ContentType == "" {
			f.ContentType = "text/xml; charset=utf-8"
		}
		w.Header().Set("Content-Type", f.ContentType)
		if f.Status != 0 {
			w.WriteHeader(f.Status)
		}
		_, _ = w.Write(f.Body)
	default:
		return false
	}
	return true
}

// wait returns true after d (never if d is 0), false when the client or the
// server went away before.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	var after <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-after:
		return true
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return false
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func bomb(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = io.CopyN(z, blanks{}, size)
	_ = z.Close()
}
