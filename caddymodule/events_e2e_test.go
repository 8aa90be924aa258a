package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

func init() { caddy.RegisterModule(eventFile{}) }

// eventFile is an event handler that writes each event to a file, a line each.
type eventFile struct {
	Name string `json:"name"`
}

func (eventFile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.pronote_cas_test_file", New: func() caddy.Module { return new(eventFile) }}
}

func (f *eventFile) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&f.Name) {
		return d.ArgErr()
	}
	return nil
}

func (f *eventFile) Handle(_ context.Context, e caddy.Event) error {
	file, err := os.OpenFile(f.Name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	return json.NewEncoder(file).Encode(map[string]any{"name": e.Name(), "origin": e.Origin().CaddyModule().ID, "data": e.Data})
}

var _ caddyevents.Handler = (*eventFile)(nil)

// emitted is a line of such a file.
type emitted struct {
	Name   string            `json:"name"`
	Origin string            `json:"origin"`
	Data   map[string]string `json:"data"`
}

// Whoever subscribes hears of logins, logouts on every way, and refusals, and learns
// nobody's name.
func TestEventsTellWhatHappened(t *testing.T) {
	var file string
	s := startWith(t, func(s *rig) string {
		file = filepath.Join(s.dir, "events")
		on := ""
		for _, name := range []string{eventLogin, eventLogout, eventRefused} {
			on += "\t\ton " + name + " pronote_cas_test_file " + file + "\n"
		}
		return strings.Replace(s.caddyfile(""), "{\n", "{\n\tevents {\n"+on+"\t}\n", 1)
	})
	b := s.browser()
	ticketed := b.ticket(b.setOut("/eleve.html"), pupil)
	b.get(ticketed)
	b.get("/eleve.html")
	b.get("/appelfonction/3/1/1", script...)
	b.get("/pronote-cas/logout")
	b.get("/pronote-cas/logout") // where nobody is logged in
	s.browser().login("/parent.html", parent)
	_, query, _ := strings.Cut(ticketed, "ticket=")
	anonymous := s.browser()
	anonymous.send(http.MethodPost, "/", logoutForm(query), formType...) // of a session that has ended
	anonymous.get("/appelfonction/3/1/1", script...)
	s.cas.EndSessions(parent)
	s.cas.WaitLogouts()
	page := anonymous.get("/pronote/svcadmin")
	stranger := s.browser()
	stranger.get(stranger.ticket(stranger.setOut("/eleve.html"), "hugo.lefevre"))

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var all []emitted
	for line := range strings.Lines(string(text)) {
		var e emitted
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Origin != "http.handlers.pronote_cas" || e.Data["site"] != "pronote.example.fr" || len(e.Data) != 6 {
			t.Errorf("%s from %s with %v", e.Name, e.Origin, e.Data)
		}
		names, all = append(names, strings.TrimPrefix(e.Name, "pronote_cas_")), append(all, e)
	}
	if want := []string{"login", "logout", "login", "logout", "refused", "refused"}; !slices.Equal(names, want) {
		t.Fatalf("events %v, want %v\n%s", names, want, text)
	}
	if all[0].Data["person"] == "" || all[0].Data["person"] != all[1].Data["person"] || all[2].Data["person"] != all[3].Data["person"] || all[0].Data["person"] == all[2].Data["person"] {
		t.Errorf("a login and its logout are not the same person's, or two people are one:\n%s", text)
	}
	if all[0].Data["trip"] == "" || all[0].Data["espace"] != "eleves" || all[2].Data["espace"] != "parents" {
		t.Errorf("a login: %v", all[0].Data)
	}
	if code := all[4].Data["code"]; code == "" || !strings.Contains(page.body, code) || all[4].Data["reason"] != "administration" {
		t.Errorf("a refusal: %v\n%s", all[4].Data, page.body)
	}
	if all[5].Data["reason"] != "unknown_identifier" || all[5].Data["person"] == "" || all[5].Data["trip"] == "" {
		t.Errorf("a login refused: %v", all[5].Data)
	}
	for _, secret := range []string{pupil, pupilID, parent, parentID, "lefevre", "ST-"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the events hold %q:\n%s", secret, text)
		}
	}
}
