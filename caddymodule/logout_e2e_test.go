package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// Logout CSRF (apereo/cas issue 2307, and many more): a page elsewhere that logs
// people out while they write an exam.
// A person who clicks, or a form of our own, ends the session; nothing else does,
// and nobody chooses where it leads.
func TestOnlyThePersonLogsOut(t *testing.T) {
	const path = "/pronote-cas/logout"
	s := start(t)
	for _, test := range []struct {
		name, method, target string
		headers              []string
		ended                bool
		status               int
	}{
		{"link of our own", "GET", path, []string{"Sec-Fetch-Site", "same-origin"}, true, 302},
		{"typed", "GET", path, nil, true, 302},
		{"a neighbour's link, such as the ENT's", "GET", path, []string{"Sec-Fetch-Site", "same-site"}, true, 302},
		{"form", "POST", path, []string{"Sec-Fetch-Site", "same-origin", "Origin", public}, true, 302},
		{"form, older browser", "POST", path, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Origin", public}, true, 302},
		{"another site's link", "GET", path, []string{"Sec-Fetch-Site", "cross-site"}, false, 200},
		{"another site's form", "POST", path, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false, 200},
		{"another site's form, older browser", "POST", path, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Origin", "https://evil.example"}, false, 200},
		{"a form without an origin", "POST", path, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Origin", "null"}, false, 200},
		{"a lookalike's form", "POST", path, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Origin", public + ".evil.example"}, false, 200},
		{"another site's link, older browser", "GET", path, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Referer", "https://evil.example/"}, false, 200},
		{"an image of our own page", "GET", path, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, false, 200},
		{"another site's image", "GET", path, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, false, 200},
		{"an image, older browser, no referrer", "GET", path, []string{"Sec-Fetch-Site", "", "Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Accept", "image/avif,*/*"}, false, 200},
		{"HEAD", "HEAD", path, nil, false, 405},
		{"PUT", "PUT", path, nil, false, 405},
		{"with parameters", "GET", path + "?service=https://evil.example&url=https://evil.example&next=//evil.example", nil, true, 302},
	} {
		b := s.browser()
		b.login("/eleve.html", pupil)
		cookies := b.Jar.Cookies(mustURL(t, public))
		got := b.send(test.method, test.target, "", test.headers...)
		if got.StatusCode != test.status || test.ended && got.location() != s.cas.URL+"/logout" || !test.ended && got.location() != "" {
			t.Errorf("%s: %s to %q", test.name, got.Status, got.location())
		}
		if allow := got.Header.Get("Allow"); got.StatusCode == http.StatusMethodNotAllowed && allow != "GET, POST" {
			t.Errorf("%s: Allow %q", test.name, allow)
		}
		stale := s.browser() // has the cookies still
		stale.Jar.SetCookies(mustURL(t, public), cookies)
		if in := stale.get("/eleve.html").StatusCode == http.StatusOK; in == test.ended {
			t.Errorf("%s: the session goes on: %v", test.name, in)
		}
		if test.ended && len(b.Jar.Cookies(mustURL(t, public))) > 0 {
			t.Errorf("%s: cookies stay", test.name)
		}
	}
	if s.upstream.count() == 0 || strings.Contains(fmt.Sprint(s.upstream.paths()), "pronote-cas") {
		t.Errorf("upstream was asked %s", s.upstream.paths())
	}
}

// On a shared computer, somebody goes away who reads that their session is closed. An
// ENT can lead to that page though nothing was ended here.
func TestThePageAfterALogoutDoesNotHideAnOpenSession(t *testing.T) {
	s := start(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	if page := b.get("/pronote-cas/logged-out"); strings.Contains(page.body, "fermée") || !strings.Contains(page.body, "Se déconnecter") {
		t.Errorf("with a session: %s\n%s", page.Status, page.body)
	}
	b.get("/pronote-cas/logout")
	if page := b.get("/pronote-cas/logged-out"); !strings.Contains(page.body, "fermée") {
		t.Errorf("without: %s\n%s", page.Status, page.body)
	}
}

// A person who confirms the logout that another site asked for is logged out.
func TestTheLogoutPageAsks(t *testing.T) {
	s := start(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	page := b.get("/pronote-cas/logout", "Sec-Fetch-Site", "cross-site")
	if !strings.Contains(page.body, `method="post"`) || !strings.Contains(page.body, "/pronote-cas/logout") {
		t.Fatalf("%s\n%s", page.Status, page.body)
	}
	b.send(http.MethodPost, "/pronote-cas/logout", "", "Sec-Fetch-Site", "same-origin", "Origin", public)
	if got := b.status("/eleve.html"); got != http.StatusFound {
		t.Errorf("confirmed: %d", got)
	}
}

// latin1 is a message in an encoding that it names itself.
func latin1(ticket string) string {
	return "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n" + strings.Replace(castest.LogoutRequest(ticket), "@NOT_USED@", "Lef\xe8vre", 1)
}

// Single logout, in every way that CAS servers do it, ends the session that its
// ticket made, reaches PRONOTE in none, and ends no other (CAS 3.0 §2.3.3).
func TestEveryLogoutMessageIsObeyed(t *testing.T) {
	s := start(t)
	post := func(target, body string, headers ...string) func(string) answer {
		return func(ticket string) answer {
			return s.browser().send(http.MethodPost, target, strings.ReplaceAll(body, "TICKET", ticket),
				append([]string{"Sec-Fetch-Mode", "", "Sec-Fetch-Dest", "", "Sec-Fetch-Site", "", "Accept", "*/*"}, headers...)...)
		}
	}
	front := func(b *browser, name string, zlib bool, more string) func(string) answer {
		return func(ticket string) answer {
			return b.get("/eleve.html?"+name+"="+url.QueryEscape(castest.FrontChannel(castest.LogoutRequest(ticket), zlib))+more,
				"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script", "Sec-Fetch-Site", "cross-site", "Accept", "*/*")
		}
	}
	bystander := s.browser()
	bystander.login("/eleve.html", parent)
	before := s.upstream.count()
	for name, message := range map[string]func(string) answer{
		"form":                     post("/eleve.html", logoutForm("TICKET"), formType...),
		"form with a charset":      post("/eleve.html", logoutForm("TICKET"), "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
		"form, at the root":        post("/", logoutForm("TICKET"), formType...),
		"form, at an open page":    post("/message.html", logoutForm("TICKET"), formType...),
		"form, among other fields": post("/eleve.html", "a=b&"+logoutForm("TICKET"), formType...),
		"XML":                      post("/eleve.html", castest.LogoutRequest("TICKET"), "Content-Type", "text/xml"),
		"XML without a type":       post("/eleve.html", castest.LogoutRequest("TICKET")),
		"XML in Latin-1":           post("/eleve.html", latin1("TICKET"), "Content-Type", "text/xml"),
		"several tickets":          post("/eleve.html", logoutForm("ST-none", "TICKET", "ST-other"), formType...),
		"front channel":            front(s.browser(), "SAMLRequest", false, ""),
		"front channel, zlib":      front(s.browser(), "SAMLRequest", true, "&RelayState=x"),
		"front channel, Apereo":    front(s.browser(), "logoutRequest", true, "&callback=jQuery_1&_=2"),
	} {
		b := s.browser()
		with := b.ticket(b.setOut("/eleve.html"), pupil)
		b.get(with)
		_, ticket, _ := strings.Cut(with, "ticket=")
		got := message(ticket)
		if got.StatusCode != http.StatusOK || strings.HasSuffix(name, "Apereo") && got.body != "jQuery_1(true);" {
			t.Errorf("%s: %s %q", name, got.Status, got.body)
		}
		if in := b.status("/eleve.html"); in != http.StatusFound {
			t.Errorf("%s: the session goes on: %d", name, in)
		}
	}
	if n := s.upstream.count() - before; n != 0 {
		t.Errorf("%d requests upstream: %s", n, s.upstream.paths()[before:])
	}
	for name, message := range map[string]func(string) answer{
		"unknown": post("/eleve.html", logoutForm("TICKET"), formType...),
		"broken":  post("/eleve.html", "logoutRequest=%3Csamlp:LogoutRequest", formType...),
		"DTD":     post("/eleve.html", `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>`+castest.LogoutRequest("&e;"), "Content-Type", "text/xml"),
		"script":  front(s.browser(), "logoutRequest", true, "&callback=alert(1)//"),
	} {
		got := message("ST-unknown")
		if strings.Contains(got.body, "alert") || strings.Contains(got.body, "root:") || got.StatusCode >= 500 {
			t.Errorf("%s: %s %s", name, got.Status, got.body)
		}
	}
	if got := bystander.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("a bystander: %d", got)
	}
}

// The CAS server of the tests, told to log somebody out, ends their live responses.
func TestSingleLogoutCutsLiveResponses(t *testing.T) {
	s := start(t)
	b := s.browser()
	b.login("/eleve.html", pupil)
	waiting := b.begin(http.MethodPost, poll, false, nil)
	large := b.begin(http.MethodGet, download, true, nil)
	s.cas.EndSessions(pupil)
	waiting.expect(t, "a poll", http.StatusUnauthorized)
	large.expect(t, "a download", 0)
	for _, sent := range s.cas.LogoutsSent() {
		if sent.Err != nil || sent.Status != http.StatusOK {
			t.Errorf("the message was answered %d, %v", sent.Status, sent.Err)
		}
	}
}

func TestSingleLogoutCanBeSwitchedOff(t *testing.T) {
	s := start(t, "single_logout off")
	b := s.browser()
	with := b.ticket(b.setOut("/eleve.html"), pupil)
	b.get(with)
	_, ticket, _ := strings.Cut(with, "ticket=")
	message := logoutForm(ticket)
	if got := s.browser().send(http.MethodPost, "/message.html", message, formType...); got.StatusCode != http.StatusOK {
		t.Errorf("on an open page, which is PRONOTE's then: %s", got.Status)
	}
	if _, body := s.upstream.last(t); body != message {
		t.Errorf("PRONOTE was sent %q", body)
	}
	if got := b.status("/eleve.html"); got != http.StatusOK {
		t.Errorf("the session: %d", got)
	}
}

// A back-channel message is looked for in the bodies of others' posts: those
// arrive byte for byte, however they come.
func TestOrdinaryPostsArriveByteForByte(t *testing.T) {
	s := start(t)
	s.upstream.answer(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.ContentLength) })
	for name, body := range map[string]string{
		"form":               "nom=Durand&pr%c3%a9nom=a+b&logout=1&logoutRequestx=2",
		"empty":              "",
		"a field's name":     "x=logoutRequest%3D",
		"XML of another":     `<?xml version="1.0"?><a:Envelope xmlns:a="x"><LogoutRequest/></a:Envelope>`,
		"64 KiB":             "a=" + strings.Repeat("x", 64<<10-2),
		"64 KiB and a byte":  "a=" + strings.Repeat("x", 64<<10-1),
		"200 KiB":            "a=" + strings.Repeat("\x00\xff", 100<<10),
		"JSON":               `{"logoutRequest":"<samlp:LogoutRequest/>"}`,
		"JSON of 200 KiB":    `{"a":"` + strings.Repeat("x", 200<<10) + `"}`,
		"multipart":          "--b\r\nContent-Disposition: form-data; name=\"logoutRequest\"\r\n\r\n<a/>\r\n--b--\r\n",
		"no content type":    "just bytes \x00\x01\x02",
		"an unfinished form": "logoutReques",
	} {
		media := map[bool]string{true: "application/json", false: "application/x-www-form-urlencoded"}[strings.HasPrefix(name, "JSON")]
		switch name {
		case "multipart":
			media = "multipart/form-data; boundary=b"
		case "no content type":
			media = ""
		case "XML of another":
			media = "text/xml"
		}
		for _, chunked := range []bool{false, true} {
			r, err := http.NewRequest(http.MethodPost, public+"/message.html", slow(body, chunked))
			if err != nil {
				t.Fatal(err)
			}
			switch r.ContentLength = int64(len(body)); {
			case chunked:
				r.ContentLength = -1
			case body == "":
				r.Body = http.NoBody
			}
			if media != "" {
				r.Header.Set("Content-Type", media)
			}
			res, err := s.browser().Do(r)
			if err != nil {
				t.Errorf("%s, chunked %v: %v", name, chunked, err)
				continue
			}
			length, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			got, arrived := s.upstream.last(t)
			if res.StatusCode != http.StatusOK || arrived != body || got.Header.Get("Content-Type") != media {
				t.Errorf("%s, chunked %v: %s, %d of %d bytes arrive as %q", name, chunked, res.Status, len(arrived), len(body), got.Header.Get("Content-Type"))
			}
			if want := fmt.Sprint(r.ContentLength); string(length) != want {
				t.Errorf("%s, chunked %v: Content-Length %s, want %s", name, chunked, length, want)
			}
		}
	}
}

// slow hands out body in pieces with a pause, if pieces.
func slow(body string, pieces bool) io.Reader {
	if !pieces {
		return io.NopCloser(strings.NewReader(body))
	}
	r, w := io.Pipe()
	go func() {
		for rest := body; rest != ""; {
			n := min(len(rest), len(body)/3+1)
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
			time.Sleep(10 * time.Millisecond)
		}
		_ = w.Close() // never fails
	}()
	return r
}

// A function call has no context of its own to cut: what PRONOTE answers after the
// session's end is kept back all the same.
func TestACallThatIsAnsweredAfterTheLogoutTellsNothing(t *testing.T) {
	s := start(t, privateLines...)
	b := s.browser()
	b.login("/eleve.html", pupil)
	said := map[string]string{
		"Set-Cookie": "pronote=1", "Content-Encoding": "br", "Content-Disposition": "attachment; filename=bulletin.pdf", "Etag": `"1"`,
		"Location": "http://192.168.222.60/eleve.html", "Www-Authenticate": "Negotiate", "Trailer": "X-Sum",
	}
	s.upstream.answer(func(w http.ResponseWriter, _ *http.Request) {
		s.cas.EndSessions(pupil)
		for name, value := range said {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, "answer")
	})
	got := b.send(http.MethodPost, "/appelfonction/3/1/a", "", script...)
	if got.StatusCode != http.StatusUnauthorized || !strings.Contains(got.body, `"session_required"`) {
		t.Errorf("%s\n%s", got.Status, got.body)
	}
	for name, value := range said {
		if strings.Contains(strings.Join(got.Header[name], "\n"), value) {
			t.Errorf("%s: %q", name, got.Header[name])
		}
	}
}
