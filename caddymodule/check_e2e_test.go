package caddymodule

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

// local is a site that this machine can look at from outside as well.
func (s *rig) local(port string, lines ...string) string {
	return fmt.Sprintf(`{
	admin unix/%[1]s/admin
	auto_https off
	storage file_system %[2]s
	log {
		level DEBUG
	}
}
http://localhost:%[3]s {
	bind 127.0.0.1
	pronote_cas {
		cas_url %[4]s
		public_url http://localhost:%[3]s
		%[6]s
	}
	reverse_proxy %[5]s
}
http://unused.localhost {
	bind unix/%[1]s/site
	respond 204
}
`, s.dir, s.storage, port, s.cas.URL, host(s.upstream.URL), strings.Join(lines, "\n\t\t"))
}

// ask runs one of the operator's commands.
func ask(t *testing.T, speaks language, input io.Reader, args ...string) (out, errors string, code int) {
	t.Helper()
	cmd := caddyCommand(append([]string{"pronote-cas"}, args...)...)
	cmd.Env = append(cmd.Env, "LC_ALL="+map[language]string{en: "C", fr: "fr_FR.UTF-8"}[speaks])
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// The operator asks the Caddy that people use, and sees what it sees.
func TestCheckAsksTheRunningCaddy(t *testing.T) {
	port := freePort(t)
	s := startWith(t, func(s *rig) string { return s.local(port) })
	s.upstream.answer(pronotePage)
	admin := "unix/" + s.dir + "/admin"

	out, complaint, code := ask(t, fr, nil, "check", "--address", admin)
	if code != 0 || !strings.Contains(out, "✓ À http://localhost:"+port+" répond bien pronote_cas") || !strings.Contains(out, "Tout va bien.") {
		t.Errorf("a school where all is well: exit status %d\n%s%s\n%s", code, out, complaint, s.log)
	}

	s.upstream.Close()
	out, complaint, code = ask(t, en, nil, "check", "--json", "--address", admin)
	if code != 1 || strings.Contains(complaint, "Error") {
		t.Errorf("PRONOTE is down: exit status %d, want 1 without further words: %s", code, complaint)
	}
	down := 0
	for text := range strings.Lines(out) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if l.Site != "http://localhost:"+port || l.Step == "" || l.What == "" {
			t.Errorf("an incomplete line: %s", text)
		}
		if l.Result == bad {
			down++
			if l.Reason != "pronote_refused" || !strings.Contains(l.Cure, "publish PRONOTE.net") {
				t.Errorf("it says %s", text)
			}
		}
	}
	if down != 1 {
		t.Errorf("%d troubles, want one:\n%s", down, out)
	}
}

// Nothing has to run for a configuration to be looked at, and nothing runs then.
func TestCheckReadsAConfigurationBeforeTheFirstStart(t *testing.T) {
	port := freePort(t)
	s := startWith(t, func(s *rig) string { return s.caddyfile("") }) // another site
	s.storage = filepath.Join(s.dir, "other")
	file := filepath.Join(s.dir, "check.Caddyfile")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.upstream.answer(pronotePage)
	write(strings.ReplaceAll(s.local(port), "/site", "/never"))
	out, complaint, code := ask(t, en, nil, "check", "--config", file, "--adapter", "caddyfile")
	if code != 0 || !strings.Contains(out, "! Nobody listens at localhost:"+port+" yet") || !strings.Contains(out, "✓ PRONOTE.net answers") {
		t.Errorf("exit status %d\n%s%s", code, out, complaint)
	}
	if _, err := net.Dial("unix", s.dir+"/never"); err == nil {
		t.Error("a site is served while it is looked at")
	}
	left := 0
	if err := filepath.WalkDir(s.storage, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left++
		}
		return nil
	}); err != nil || left > 0 {
		t.Errorf("%d files are left in the storage, %v", left, err)
	}

	write(s.local(port, "espace eleve cas"))
	out, complaint, code = ask(t, fr, nil, "check", "--config", file, "--adapter", "caddyfile")
	if code != 1 || !strings.Contains(complaint, "espace") || out != "" {
		t.Errorf("a configuration that Caddy refuses: exit status %d\n%s%s", code, out, complaint)
	}
}

func TestCheckSaysWhatToDoWhereNoCaddyRuns(t *testing.T) {
	t.Parallel()
	for speaks, want := range map[language]string{en: "--config", fr: "premier lancement"} {
		_, complaint, code := ask(t, speaks, nil, "check", "--address", "unix/"+shortDir(t)+"/nobody")
		if code != 1 || !strings.Contains(complaint, want) {
			t.Errorf("exit status %d: %s", code, complaint)
		}
	}
}

// A login by hand shows what the ENT says, ends in no session, and its ticket
// stands nowhere.
func TestCheckLoginByHand(t *testing.T) {
	port := freePort(t)
	s := startWith(t, func(s *rig) string { return s.local(port, "user_header X-Cas-User") })
	walk := func(speaks language, args ...string) (out, ticket string, code int) {
		t.Helper()
		cmd := caddyCommand(append([]string{"pronote-cas", "check", "--login", "--address", "unix/" + s.dir + "/admin"}, args...)...)
		cmd.Env = append(cmd.Env, "LC_ALL="+map[language]string{en: "C", fr: "fr_FR.UTF-8"}[speaks])
		prompts, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		answers, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		login, lines := "", bufio.NewReader(prompts)
		for login == "" {
			text, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("%v: %s%s", err, said.String(), text)
			}
			said.WriteString(text)
			if strings.HasPrefix(text, "\t") {
				login = strings.TrimSpace(text)
			}
		}
		b := s.browser()
		back := b.ticket(login, pupil)
		_, ticket, _ = strings.Cut(back, "ticket=")
		page := b.get(back) // the running gate leaves it alone
		if page.StatusCode != 404 || page.location() != "" || len(page.Header["Set-Cookie"]) > 0 {
			t.Errorf("the ticket is gone from the address bar: %s", page.Status)
		}
		_, _ = io.WriteString(answers, back+"\n")
		_ = answers.Close()
		rest, _ := io.ReadAll(lines)
		var failed *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		for _, where := range []string{said.String(), string(rest), stdout.String(), ours(s.log.String())} {
			if strings.Contains(where, ticket) {
				t.Errorf("the ticket stands in: %s", where)
			}
		}
		return stdout.String(), ticket, cmd.ProcessState.ExitCode()
	}

	out, ticket, code := walk(fr)
	if code != 0 || !strings.Contains(out, "X-Pronote-Id: "+pupilID) || !strings.Contains(out, "X-Cas-User: "+pupil) || !strings.Contains(out, `"outcome":"ok"`) {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	if n := s.cas.ValidationsOf(ticket); n != 1 {
		t.Errorf("%d validations", n)
	}
	if _, err := os.Stat(filepath.Join(s.storage, "pronote_cas")); err == nil {
		if sessions, _ := filepath.Glob(filepath.Join(s.storage, "pronote_cas", "*", "sessions", "*", "*")); len(sessions) > 0 {
			t.Errorf("a session was opened: %v", sessions)
		}
	}

	out, _, code = walk(en, "--json")
	var w walked
	if err := json.Unmarshal([]byte(out), &w); err != nil || code != 0 || w.Headers["X-Pronote-Id"] != pupilID || w.Answer.Attributes["nom"] == nil {
		t.Errorf("%v, exit status %d: %s", err, code, out)
	}
}

// Who pastes an address without the ticket, or of another login, is told so.
func TestPastedAddressesHaveTheTestsOwnTicket(t *testing.T) {
	const service = "https://pronote.example.fr/pronote-cas/check/ABC"
	for pasted, want := range map[string]string{
		service + "?ticket=ST-1-x\r\n":                                       "ST-1-x",
		" " + service + "?SAMLart=ST-1-x":                                    "ST-1-x",
		"HTTPS://Pronote.example.fr:443/pronote-cas/check/ABC?ticket=ST-1#x": "ST-1",
		service:                              "",
		service + "?ticket=ST-1&ticket=ST-2": "",
		"https://pronote.example.fr/?ticket=ST-1":                "",
		"https://evil.example/pronote-cas/check/ABC?ticket=ST-1": "",
		"": "",
	} {
		if got, ok := pastedTicket(pasted, service); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", pasted, got, ok)
		}
	}
}

// With service_url and below another root the login by hand sets out for something
// that the ENT knows.
func TestCheckLoginSetsOutForAServiceOfTheSite(t *testing.T) {
	for _, test := range []struct {
		site   func(*Handler)
		prefix string
		exact  bool
	}{
		{nil, public + "/pronote-cas/check/", false},
		{func(h *Handler) { h.Root = "/pronote/" }, public + "/pronote/images/check-", false},
		{withRelay(func(h *Handler) { h.Root = "/pronote/" }), public + "/pronote/images/check-", false},
		{func(h *Handler) { h.ServiceURL = public + "/" }, public + "/", true},
	} {
		c := (&scene{site: test.site}).build(t, en)
		at := c.trip()
		if !strings.HasPrefix(at.Service, test.prefix) || at.Exact != test.exact || !strings.Contains(at.LoginURL, "/login?service=") {
			t.Errorf("it sets out for %+v", at)
		}
		if test.exact {
			continue
		}
		r := httptest.NewRequest(http.MethodGet, strings.TrimPrefix(at.Service, public)+"?ticket=ST-1-x", nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		w := httptest.NewRecorder()
		if err := c.ServeHTTP(w, asCaddyHas(r), http404{}); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: the gate takes the ticket out of the address bar: %d", at.Service, w.Code)
		}
	}
}

// A login by hand that leads nowhere says whose turn it is.
func TestCheckLoginSaysWhyItLedNowhere(t *testing.T) {
	ent := castest.New(castest.Options{Users: people()})
	t.Cleanup(ent.Close)
	s := scene{cas: ent.ServeHTTP}
	for _, speaks := range []language{en, fr} {
		c := configured{s.build(t, speaks)}
		at, err := c.setOut()
		if err != nil {
			t.Fatal(err)
		}
		ticket := ent.Ticket(pupil, at.Service)
		for _, test := range []struct {
			ticket, reason string
			says           map[language]string
		}{
			{ticket, "walk_login", map[language]string{en: pupil, fr: pupil}},
			{ticket, "walk_refused", map[language]string{en: "paste the address at once", fr: "collez l’adresse tout de suite"}}, // it is spent
			{ent.Ticket("hugo.lefevre", at.Service), "walk_nobody", map[language]string{en: "identifier", fr: "identifier"}},
		} {
			w, err := c.comeBack(t.Context(), ticketFor{at.Service, test.ticket})
			if err != nil {
				t.Fatal(err)
			}
			whole, err := json.Marshal(w)
			if err != nil || w.Reason != test.reason || !strings.Contains(w.What+w.Cure, test.says[speaks]) || strings.Contains(string(whole), test.ticket) {
				t.Errorf("want %s: %v %s", test.reason, err, whole)
			}
			if (w.Result == good) != (w.Headers["X-Pronote-Id"] == pupilID) {
				t.Errorf("%s: the headers are %v", w.Reason, w.Headers)
			}
		}
	}
	for _, unresolved := range []string{"ask", "pass"} { // they get in, and PRONOTE is told nothing
		s.site = func(h *Handler) { h.Unresolved = unresolved }
		c := configured{s.build(t, fr)}
		at, err := c.setOut()
		if err != nil {
			t.Fatal(err)
		}
		w, err := c.comeBack(t.Context(), ticketFor{at.Service, ent.Ticket("hugo.lefevre", at.Service)})
		if err != nil || w.Result != doubtful || w.Reason != "walk_unknown" || !strings.Contains(w.What, "X-Pronote-Id") || len(w.Headers) > 0 {
			t.Errorf("unresolved %s: %v %+v", unresolved, err, w)
		}
	}
	two := configured{s.build(t, en), s.build(t, en)}
	if _, err := two.setOut(); err == nil || !strings.Contains(err.Error(), "--site") {
		t.Errorf("of two sites one has to be chosen: %v", err)
	}
}
