package pronotetest

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Request is what a stand-in received.
type Request struct {
	Time              time.Time
	Method, URI, Host string // URI as it stood in the request line
	RemoteAddr        string
	Header            http.Header
	Body              []byte // the first 64 KiB
	BodySize          int64  // bytes read so far
}

// journal is a bounded log of requests. What reached a stand-in is in it
// before the answer begins.
type journal struct {
	mu    sync.Mutex
	limit int
	list  []*Request
}

const bodyKept = 64 << 10

// record logs the request and follows its body as it is read.
func (j *journal) record(r *http.Request) {
	entry := &Request{
		Time: time.Now(), Method: r.Method, URI: r.RequestURI, Host: r.Host,
		RemoteAddr: r.RemoteAddr, Header: r.Header.Clone(),
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &followed{ReadCloser: r.Body, journal: j, entry: entry}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.list) >= j.limit {
		j.list = slices.Delete(j.list, 0, len(j.list)-j.limit+1)
	}
	j.list = append(j.list, entry)
}

// Requests returns the requests received, oldest first; at most
// Config.LogSize of them.
func (j *journal) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Request, len(j.list))
	for i, entry := range j.list {
		out[i] = *entry
		out[i].Header = entry.Header.Clone()
		out[i].Body = slices.Clone(entry.Body)
	}
	return out
}

// ForgetRequests empties the log.
func (j *journal) ForgetRequests() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = nil
}

type followed struct {
	io.ReadCloser
	journal *journal
	entry   *Request
}

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	f.entry.BodySize += int64(n)
	f.entry.Body = append(f.entry.Body, p[:min(n, bodyKept-len(f.entry.Body))]...)
	return n, err
}
