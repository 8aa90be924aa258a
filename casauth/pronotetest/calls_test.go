package pronotetest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronotetest"
)

// loggedIn returns a browser with a session of Camille, and its number.
func loggedIn(t *testing.T, cfg pronotetest.Config) (p *pronotetest.Recent, ent *castest.Server, b browser, session string) {
	t.Helper()
	p, ent = delegating(t, cfg, castest.Options{SLO: castest.SLO{Mode: castest.SLOSync}})
	b = newBrowser(t)
	location, _ := b.enter(ent, p.URL+"eleve.html", "camille.durand")
	_, _, text := b.get(location)
	session, _, _ = b.started(text)
	return p, ent, b, session
}

func TestCallsAreEchoedByteForByteUntilTheSessionEnds(t *testing.T) {
	p, _, b, session := loggedIn(t, pronotetest.Config{})
	const body = `{"session":1, "donnees":"é\u0000"}`
	at := p.URL + "appelfonction/3/" + session + "/A1B2"
	if _, _, text := b.do(http.MethodPost, at, body, "Content-Type", "application/json"); text != body {
		t.Errorf("%q", text)
	}
	if status, _, _ := b.get(at); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	b.do(http.MethodPost, p.URL+"appeldeconnexion/"+session+"/1700000000", "")
	if _, _, text := b.do(http.MethodPost, at, body); !strings.Contains(text, "Session terminée") {
		t.Errorf("after the logout: %q", text)
	}
	if len(p.Sessions()) != 0 {
		t.Error("the session outlived appeldeconnexion")
	}
}

func TestLogoutMessagesEndTheSessionTheirTicketMade(t *testing.T) {
	for _, raw := range []bool{false, true} {
		p, ent, b, session := loggedIn(t, pronotetest.Config{PollWait: time.Minute})
		ent.SetSLO(castest.SLO{Mode: castest.SLOSync, Raw: raw})
		b.do(http.MethodPost, p.URL+"eleve.html", "logoutRequest="+strings.ReplaceAll(castest.LogoutRequest("ST-other"), "+", "%2B"), "Content-Type", form)
		if len(p.Sessions()) != 1 {
			t.Error("a message for another ticket ended the session")
		}
		polled := make(chan string)
		go func() {
			_, _, text := b.do(http.MethodPost, p.URL+"appelpolling/3/"+session+"/1", "{}")
			polled <- text
		}()
		for p.Polls() == 0 {
			time.Sleep(time.Millisecond)
		}
		ent.EndSessions("camille.durand")
		if text := <-polled; !strings.Contains(text, `"fin"`) {
			t.Errorf("raw %v: the poll said %q", raw, text)
		}
		if sent := ent.LogoutsSent(); len(sent) != 1 || sent[0].Status != http.StatusOK || len(p.Sessions()) != 0 {
			t.Errorf("raw %v: %+v, sessions %v", raw, sent, p.Sessions())
		}
	}
}

func TestALogoutMessageAlsoEndsALoginUnderWay(t *testing.T) {
	p, ent := delegating(t, pronotetest.Config{}, castest.Options{SLO: castest.SLO{Mode: castest.SLOSync}})
	b := newBrowser(t)
	location, _ := b.enter(ent, p.URL+"eleve.html", "camille.durand")
	ent.EndSessions("camille.durand")
	if status, again, _ := b.get(location); status != http.StatusFound || !strings.HasPrefix(again, ent.URL) {
		t.Errorf("%d to %q", status, again)
	}
}

func TestPostsThatAreNoLogoutMessageAreLeftAlone(t *testing.T) {
	p, _ := delegating(t, pronotetest.Config{}, castest.Options{})
	b := newBrowser(t)
	for _, body := range []string{"", "wresult=%3Cx%2F%3E", "logoutRequest=", "logoutRequest=%3Ca%3E", "<a/>", "<!DOCTYPE a><samlp:LogoutRequest/>"} {
		if status, _, _ := b.do(http.MethodPost, p.URL+"eleve.html", body, "Content-Type", form); status != http.StatusFound {
			t.Errorf("%q: %d", body, status)
		}
	}
}

// newGated returns a stand-in without a network, for bubbles of synctest.
func newGated(t *testing.T, cfg pronotetest.Config) *pronotetest.Recent {
	t.Helper()
	cfg.PublicURL = "https://pronote.example/pronote/"
	p, err := pronotetest.NewRecent(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func poll(ctx context.Context, p *pronotetest.Recent, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/pronote/appelpolling/3/42/1", strings.NewReader("{}"))
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestPollsLastTenMinutesUnlessSomethingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newGated(t, pronotetest.Config{})
		defer p.Close()
		began := time.Now()
		if w := poll(t.Context(), p, ""); time.Since(began) != 10*time.Minute || !strings.Contains(w.Body.String(), `"delai"`) {
			t.Errorf("after %s: %s", time.Since(began), w.Body)
		}
		if w := poll(t.Context(), p, "text/html"); !strings.Contains(w.Body.String(), "après 600 s : rien de nouveau") {
			t.Errorf("in the frame: %s", w.Body)
		}

		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if w := poll(t.Context(), p, ""); !strings.Contains(w.Body.String(), `"message"`) {
					t.Errorf("released: %s", w.Body)
				}
			})
		}
		synctest.Wait()
		if p.Polls() != 3 {
			t.Errorf("%d polls, want 3", p.Polls())
		}
		p.ReleasePolls()
		wg.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if w := poll(ctx, p, ""); time.Since(began) != time.Minute || w.Body.Len() != 0 || p.Polls() != 0 {
			t.Errorf("a client that left after a minute was served for %s: %s", time.Since(began), w.Body)
		}
	})
}

func TestAPollEndsWhenItsClientGoesAway(t *testing.T) {
	p := pronotetest.StartRecent(t, pronotetest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	c := newBrowser(t)
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"appelpolling/3/42/1", strings.NewReader("{}"))
		if resp, err := c.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	for p.Polls() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	for p.Polls() != 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestUploadsArriveWhole(t *testing.T) {
	p := pronotetest.StartRecent(t, pronotetest.Config{})
	content := bytes.Repeat([]byte("cahier"), 400_000)
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, _ := m.CreateFormFile("fichier", "cahier.txt")
	_, _ = part.Write(content)
	_ = m.Close()
	sum := sha256.Sum256(content)
	want := fmt.Sprintf(`{"taille":%d,"sha256":%q}`, len(content), hex.EncodeToString(sum[:]))
	b := newBrowser(t)
	if _, _, text := b.do(http.MethodPost, p.URL+"uploadfilesession/3/42", body.String(), "Content-Type", m.FormDataContentType()); text != want {
		t.Errorf("multipart: %s", text)
	}
	if _, _, text := b.do(http.MethodPost, p.URL+"UploadFileSession/3/42", string(content), "Content-Type", "application/octet-stream"); text != want {
		t.Errorf("bare: %s", text)
	}
	if status, _, _ := b.do(http.MethodPost, p.URL+"uploadfilesession/3/42", "x", "Content-Type", m.FormDataContentType()); status != http.StatusBadRequest {
		t.Errorf("cut: %d", status)
	}
	log := p.Requests()
	if len(log) != 3 || log[1].BodySize != int64(len(content)) || len(log[1].Body) != 64<<10 || log[1].URI != "/pronote/UploadFileSession/3/42" {
		t.Errorf("%d requests logged", len(log))
	}
}

func TestDownloadsHaveTheSizeSetAndEndWithTheSession(t *testing.T) {
	p, _, b, session := loggedIn(t, pronotetest.Config{DownloadSize: 300_001})
	at := p.URL + "FichiersExternes/0A1B/bulletin.txt?Session=" + session
	if _, _, text := b.get(at); len(text) != 300_001 {
		t.Errorf("%d bytes", len(text))
	}
	resp, err := b.Head(at)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ContentLength != 300_001 || !strings.Contains(resp.Header.Get("Content-Disposition"), `"bulletin.txt"`) {
		t.Errorf("HEAD: %d, %v", resp.ContentLength, resp.Header)
	}
	b.do(http.MethodPost, p.URL+"appeldeconnexion/"+session+"/0", "")
	if status, _, _ := b.get(at); status != http.StatusForbidden {
		t.Errorf("after the logout: %d", status)
	}
}

func TestASlowDownloadIsCutWhenItsSessionEnds(t *testing.T) {
	p, ent, b, session := loggedIn(t, pronotetest.Config{DownloadPause: time.Hour})
	resp, err := b.Get(p.URL + "FichiersExternes/0A1B/x.txt?Session=" + session)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	ent.EndSessions("camille.durand")
	buf := new(bytes.Buffer)
	if _, err := buf.ReadFrom(resp.Body); err == nil {
		t.Errorf("%d bytes, and no error", buf.Len())
	}
}

func TestStaticFilesAndBeaconsAnswerEverybody(t *testing.T) {
	p := pronotetest.StartRecent(t, pronotetest.Config{CookieDomain: "10.0.0.5"})
	b := newBrowser(t)
	for path, want := range map[string]int{
		"eleve.js": 200, "commun.css": 200, "images/logo.svg": 200, "favicon.ico": 200, "images/manifest.json": 200,
		"SvcAdminServeurHttp": 200, "PortGestionCAS/x": 200, "LogClientLeger": 200, "erreur/12": 200, "inscription.html": 200,
		"nothing.html": 404, "secret.json": 404, "mobile.academie.html": 404,
	} {
		if status, _, _ := b.do(http.MethodGet, p.URL+path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _, _ := b.get(p.URL+"eleve.js", "If-Modified-Since", "Mon, 01 Sep 2025 08:00:00 GMT"); status != http.StatusNotModified {
		t.Errorf("unchanged: %d", status)
	}
	if _, _, text := b.do(http.MethodPost, p.URL+"inscription.html", "nom=Martin", "Content-Type", form); !strings.Contains(text, "Martin") {
		t.Errorf("%s", text)
	}
	resp, err := b.Get(p.URL + "eleve.html")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Set-Cookie"); !strings.Contains(got, "Domain=10.0.0.5") {
		t.Errorf("Set-Cookie %q", got)
	}
}

func TestTheLogIsBoundedAndKeepsWhatArrived(t *testing.T) {
	p := pronotetest.StartRecent(t, pronotetest.Config{LogSize: 3})
	b := newBrowser(t)
	for i := range 5 {
		b.do(http.MethodPost, fmt.Sprintf("%sLogClientLeger?%d", p.URL, i), "corps", "X-Pronote-Id", "a")
	}
	log := p.Requests()
	if len(log) != 3 || log[0].URI != "/pronote/LogClientLeger?2" || log[2].URI != "/pronote/LogClientLeger?4" {
		t.Fatalf("%+v", log)
	}
	if r := log[0]; r.Method != http.MethodPost || r.BodySize != 5 || string(r.Body) != "corps" || r.Header.Get("X-Pronote-Id") != "a" || !strings.HasPrefix(p.URL, "http://"+r.Host) {
		t.Errorf("%+v", r)
	}
	p.ForgetRequests()
	if n := len(p.Requests()); n != 0 {
		t.Errorf("%d after forgetting", n)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				b.do(http.MethodPost, p.URL+"appelfonction/3/1/x", "corps")
				p.Requests()
			}
		})
	}
	wg.Wait()
	if n := len(p.Requests()); n != 3 {
		t.Errorf("%d after a crowd", n)
	}
}
