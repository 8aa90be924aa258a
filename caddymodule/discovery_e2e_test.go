package caddymodule

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// mobileInfo is what PRONOTE tells its app, with CASURL where the address stands.
const mobileInfo = `{"version":[2025,1,4],"n":12345678901234567890,"r":1.50,"CAS":{"actif":true,"casURL":"CASURL","jetonCAS":"A\/1"},"nouveau":{"x":null}}`

var (
	written   = strings.Replace(mobileInfo, "CASURL", "http://192.168.222.60/pronote-cas", 1)
	rewritten = strings.Replace(mobileInfo, "CASURL", public+"/pronote-cas", 1)
)

// startTelling runs a site with the relay whose PRONOTE answers with document.
func startTelling(t *testing.T, lines ...string) *rig {
	return start(t, append(lines, privateLines...)...)
}

func serving(document string, pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		sending(http.StatusOK, pairs...)(w, r)
		_, _ = io.WriteString(w, document)
	}
}

// The app asks anonymously, by whatever spelling, and finds the relay.
func TestTheAppIsToldWhereTheRelayIs(t *testing.T) {
	s := startTelling(t, "relay")
	in := s.browser()
	in.login("/eleve.html", pupil)
	s.upstream.answer(serving(written, "Etag", `"1"`, "Last-Modified", "Mon, 01 Sep 2025 08:00:00 GMT", "Accept-Ranges", "bytes", "Link", "<http://192.168.222.60/a>"))
	for who, b := range map[string]*browser{"with a session": in, "without": s.browser()} {
		for _, target := range []string{"/InfoMobileApp.json?id=0D264427-EEFC-4810-A9E9-346942A862A4", "/infoMobileApp.json", "/INFOMOBILEAPP.JSON", "/Info%4dobileApp.json"} {
			for _, headers := range [][]string{nil, script, {"Range", "bytes=0-9"}, {"Accept-Encoding", "gzip, br"}} {
				got := b.get(target, headers...)
				if got.StatusCode != http.StatusOK || got.body != rewritten || got.Header.Get("Content-Length") != fmt.Sprint(len(rewritten)) {
					t.Errorf("%s, %s %q: %s %v\n%s", who, target, headers, got.Status, got.Header, got.body)
				}
				if got.Header.Get("Etag") != "" || got.Header.Get("Accept-Ranges") != "" || got.Header.Get("Link") != "<"+public+"/a>" || got.Header.Get("Last-Modified") == "" {
					t.Errorf("%s, %s: %v", who, target, got.Header)
				}
			}
		}
		for _, target := range []string{"/sub/InfoMobileApp.json", "/x.json", "/eleve.html?InfoMobileApp.json"} {
			if got := b.get(target); got.StatusCode == http.StatusOK && got.body != written {
				t.Errorf("%s, %s is another file: %s", who, target, got.body)
			}
		}
	}
}

// What cannot be read, or is none of it, goes out as it came.
func TestWhatIsNotTheDiscoveryFile(t *testing.T) {
	s := startTelling(t, "relay")
	b := s.browser()
	for name, c := range map[string]struct {
		document string
		status   int
		pairs    []string
	}{
		"malformed":     {document: written[:len(written)/2]},
		"a page":        {document: "<html>HTTP Error 503</html>"},
		"no delegation": {document: `{"CAS":{"actif":false},"x":1.0}`},
		"squeezed":      {document: "not asked for", pairs: []string{"Content-Encoding", "br", "Etag", `"1"`}},
		"an error":      {document: written, status: 503},
		"part of it":    {document: written, status: 206, pairs: []string{"Content-Range", "bytes 0-9/10"}},
		"a large one":   {document: written + strings.Repeat(" ", 2<<20), pairs: []string{"Content-Length", fmt.Sprint(len(written) + 2<<20)}},
	} {
		s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
			sending(max(c.status, 200), c.pairs...)(w, r)
			_, _ = io.WriteString(w, c.document)
		})
		got := b.get("/InfoMobileApp.json")
		if got.StatusCode != max(c.status, 200) || got.body != c.document {
			t.Errorf("%s: %s, %d bytes of %d", name, got.Status, len(got.body), len(c.document))
		}
		for i := 0; i < len(c.pairs); i += 2 {
			if got.Header.Get(c.pairs[i]) != c.pairs[i+1] {
				t.Errorf("%s: %s %q", name, c.pairs[i], got.Header.Get(c.pairs[i]))
			}
		}
	}
	s.upstream.answer(sending(http.StatusNotModified, "Last-Modified", "Mon, 01 Sep 2025 08:00:00 GMT"))
	if got := b.get("/InfoMobileApp.json", "If-Modified-Since", "Mon, 01 Sep 2025 08:00:00 GMT"); got.StatusCode != http.StatusNotModified || got.body != "" {
		t.Errorf("304: %s", got.Status)
	}
}

// RFC 9110 §9.3.2: a HEAD says no other length than the GET would have.
func TestHeadOfTheDiscoveryFile(t *testing.T) {
	s := startTelling(t, "relay")
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) {
		serving(written, "Content-Length", fmt.Sprint(len(written)), "Etag", `"1"`)(w, r)
	})
	got := s.browser().send(http.MethodHead, "/InfoMobileApp.json", "")
	if length := got.Header.Get("Content-Length"); got.StatusCode != http.StatusOK || length != "" && length != fmt.Sprint(len(rewritten)) || got.Header.Get("Etag") != "" {
		t.Errorf("%s %v", got.Status, got.Header)
	}
}

// PRONOTE may zip it, or send it in pieces, and Caddy may zip it on its way.
func TestTheDiscoveryFileZippedOrInPieces(t *testing.T) {
	s := startWith(t, func(s *rig) string {
		return strings.Replace(s.caddyfile("", append([]string{"relay"}, privateLines...)...), "\treverse_proxy", "\tencode {\n\t\tminimum_length 1\n\t}\n\treverse_proxy", 1)
	})
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := range written {
			_, _ = io.WriteString(w, written[i:i+1])
			if i%40 == 0 {
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		}
	})
	for _, headers := range [][]string{nil, {"Accept-Encoding", "gzip"}} {
		if got := s.browser().get("/InfoMobileApp.json", headers...); got.body != rewritten || got.Header.Get("Content-Encoding") != "" {
			t.Errorf("%q: %v\n%s", headers, got.Header, got.body)
		}
	}
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, written)
		_ = z.Close()
	})
	if got := s.browser().get("/InfoMobileApp.json", "Accept-Encoding", "gzip"); got.body != rewritten || got.Header.Get("Content-Encoding") != "" {
		t.Errorf("zipped: %v\n%s", got.Header, got.body)
	}
	// An answer that breaks off is not made whole.
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(written)))
		_, _ = io.WriteString(w, written[:len(written)/2])
		panic(http.ErrAbortHandler)
	})
	res, err := s.browser().Get(public + "/InfoMobileApp.json")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode == http.StatusOK {
			t.Error("half a file looks whole")
		}
	}
}

// Where PRONOTE is not the relay's client, its file says the truth already.
func TestTheDiscoveryFileWithoutTheRelay(t *testing.T) {
	for name, lines := range map[string][]string{"no relay": nil, "pass-through": {"relay {\n\t\tforward\n\t}"}} {
		t.Run(name, func(t *testing.T) {
			s := startTelling(t, lines...)
			s.upstream.answer(serving(written, "Etag", `"1"`))
			if got := s.browser().get("/InfoMobileApp.json"); got.body != written || got.Header.Get("Etag") != `"1"` {
				t.Errorf("%v\n%s", got.Header, got.body)
			}
		})
	}
}
