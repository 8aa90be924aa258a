package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Each piece of an answer leaves before PRONOTE has written the next one: the
// browser has to have the first before PRONOTE goes on.
func TestEveryFlushPassesAtOnce(t *testing.T) {
	for name, lines := range map[string][]string{"header only": nil, "with rewriting": privateLines, "with the relay": append([]string{"relay"}, privateLines...)} {
		t.Run(name, func(t *testing.T) {
			s := start(t, lines...)
			in := s.browser()
			in.login("/eleve.html", pupil)
			for who, b := range map[string]*browser{"with a session": in, "without": s.browser()} {
				for _, media := range []string{"text/event-stream", "application/json", "text/html", "application/octet-stream"} {
					read := make(chan struct{}, 4)
					s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", media)
						flush := http.NewResponseController(w).Flush
						_ = flush() // the header alone
						wait(r, read)
						for range 3 {
							_, _ = io.WriteString(w, "x")
							_ = flush()
							wait(r, read)
						}
					})
					res, err := b.Get(public + "/message.html")
					if err != nil {
						t.Fatal(err)
					}
					for range 3 {
						read <- struct{}{}
						if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
							t.Fatalf("%s, %s: %v", who, media, err)
						}
					}
					read <- struct{}{}
					_ = res.Body.Close()
				}
			}
		})
	}
}

// wait is for the browser's sign that it has read what was written, or its leave.
func wait(r *http.Request, read <-chan struct{}) {
	select {
	case <-read:
	case <-r.Context().Done():
	}
}

// A download of 200 MB costs the proxy no more memory than its buffers, with and
// without a length, and its beginning is there before its end was made.
func TestDownloadsAreNotHeld(t *testing.T) {
	const size, chunk = 200 << 20, 1 << 20
	s := start(t, append([]string{"relay"}, privateLines...)...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	before := s.peak()
	for _, length := range []string{"", strconv.Itoa(size)} {
		begun := make(chan struct{})
		s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/pdf")
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			block := make([]byte, chunk)
			for i := range size / chunk {
				if i == 8 {
					wait(r, begun)
				}
				if _, err := w.Write(block); err != nil {
					panic(http.ErrAbortHandler)
				}
			}
		})
		res, err := b.Get(public + "/FichiersExternes/0A/document.pdf?Session=1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, chunk)); err != nil {
			t.Fatal(err)
		}
		close(begun)
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != size-chunk {
			t.Errorf("%d more bytes, %v", n, err)
		}
		_ = res.Body.Close()
	}
	if more := s.peak() - before; more > 64<<20 {
		t.Errorf("Caddy took %d MB more", more>>20)
	}
}

// An upload is not held either: PRONOTE reads its beginning before its end is sent.
func TestUploadsAreNotHeld(t *testing.T) {
	s, p := startBefore(t, "root /pronote/", "root /pronote/\nrelay\n"+strings.Join(privateLines, "\n"))
	b := s.browser()
	b.login("/pronote/eleve.html", pupil)
	p.ForgetRequests()
	in, out := io.Pipe()
	go func() {
		_, _ = out.Write(make([]byte, 64<<10))
		eventually(t, "the beginning of the upload is at PRONOTE", func() bool {
			got := p.Requests()
			return len(got) == 1 && got[0].BodySize >= 32<<10
		})
		_, _ = out.Write(make([]byte, 8<<20))
		_ = out.Close()
	}()
	res, err := b.Post(public+"/pronote/uploadfilesession/3/1", "application/octet-stream", in)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(got), fmt.Sprintf(`"taille":%d,`, 8<<20+64<<10)) {
		t.Errorf("%s %s %v", res.Status, got, err)
	}
}

// peak is the most memory that the process has taken so far, in bytes; 0 where
// the system does not say.
func (s *rig) peak() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kilobytes << 10
}
