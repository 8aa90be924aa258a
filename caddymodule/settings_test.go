package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/ent"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/pronote"
)

// settled returns what lines in the directive's block come to.
func settled(t *testing.T, lines string) *settings {
	t.Helper()
	h := new(Handler)
	if !strings.Contains(lines, "ent ") {
		lines += "\ncas_url https://cas.example.fr"
	}
	err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("pronote_cas {\npublic_url https://pronote.example.fr\n" + lines + "\n}"))
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	set, err := h.settle(later)
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return set
}

// Much of what keeps people out is what the configuration does not say.
func TestSettingsComeToWhatIsDocumented(t *testing.T) {
	for _, test := range []struct {
		lines string
		of    func(*settings) any
		want  any
	}{
		{"", func(s *settings) any { return s.session.TTL }, 10 * time.Hour},
		{"", func(s *settings) any { return s.session.Idle }, 2 * time.Hour},
		{"", func(s *settings) any { return s.session.Grace }, 5 * time.Minute},
		{"session {\nttl 1h\n}", func(s *settings) any { return s.session.Idle }, time.Hour},
		{"", func(s *settings) any { return s.gate.CAS.Timeout }, 10 * time.Second},
		{"cas_timeout 3s", func(s *settings) any { return s.gate.CAS.Timeout }, 3 * time.Second},
		{"", func(s *settings) any { return []bool{s.gate.Renew, s.gate.CAS.Renew} }, []bool{false, false}},
		{"renew", func(s *settings) any { return []bool{s.gate.Renew, s.gate.CAS.Renew} }, []bool{true, true}},
		{"", func(s *settings) any { return []bool{s.gate.DirectLogin, s.gate.MobileApp, s.gate.SingleLogout} }, []bool{false, false, true}},
		{"", func(s *settings) any { return s.gate.NoCASWritten }, false}, // or downloads would pass
		{"espace eleves cas", func(s *settings) any { return s.gate.NoCASWritten }, false},
		{"espace entreprise none", func(s *settings) any { return s.gate.NoCASWritten }, true},
		{"", none, "entreprise tuteur academie"},
		{"espace entreprise cas", none, "tuteur academie"},
		{"espace academie none", none, "entreprise tuteur academie"},
		{"espace academie none\nespace commune cas", none, "entreprise tuteur academie"},
		{"espace eleves none", none, "commune eleves entreprise tuteur academie"},
		{"", func(s *settings) any { return s.identity.folded }, []string{"x-pronote-id"}},
		{"identifier_header x-PRONOTE-id", func(s *settings) any { return s.identity.pronoteID }, "X-Pronote-Id"},
		{"cas_identifier subject", func(s *settings) any { return s.gate.CASIdentifier }, ""},
		{"cas_identifier uid", func(s *settings) any { return s.gate.CASIdentifier }, "uid"},
		{"", func(s *settings) any { return s.cookies }, cookieStyle{secure: true, sameSite: http.SameSiteLaxMode}},
		{"login_param b 1\nlogin_param a 2\nlogin_param b 3", func(s *settings) any { return s.gate.LoginParams }, "[{b 1} {a 2} {b 3}]"},
		{"internal_url http://[fd00::60]", allowed, "[fd00::60/128]"},
		{"internal_url http://192.168.222.60", allowed, "[192.168.222.60/32]"},
		{"internal_url http://localhost:8080", allowed, "[127.0.0.0/8 ::1/128]"},
		{"relay {\nallow_from 192.168.222.60/28 ::ffff:10.0.0.1\n}", allowed, "[192.168.222.48/28 10.0.0.1/32]"},
	} {
		if strings.Contains(test.lines, "internal_url") {
			test.lines += "\nrelay {\n}"
		}
		if got := test.of(settled(t, test.lines)); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%q comes to %v, want %v", test.lines, got, test.want)
		}
	}
	// Sessions are of one site and one CAS server.
	one := settled(t, "").session.Site
	if settled(t, "login_url https://other.example.fr/login").session.Site == one {
		t.Error("another CAS server's sessions are this one's")
	}
}

func none(s *settings) any {
	var names []string
	for espace, none := range s.gate.NoCAS {
		if none {
			names = append(names, pronote.Espace(espace).String())
		}
	}
	return strings.Join(names, " ")
}

func allowed(s *settings) any { return s.relay.allowFrom }

// What the list of ENTs says counts, and what is written beside it counts more.
func TestAnENTOfTheListIsSetUpAsListed(t *testing.T) {
	seen := make(map[string]bool)
	for _, listed := range ent.All() {
		if _, err := ent.Lookup(listed.Key); err != nil {
			continue // closed, or no CAS server
		}
		set := settled(t, "ent "+listed.Key)
		if got := string(set.gate.CAS.Protocol); got != listed.Protocol || !strings.HasPrefix(set.gate.LoginURL, strings.TrimSuffix(listed.CASURL, "/")) {
			t.Errorf("%s: %s speaks %s, want %s", listed.Key, set.gate.LoginURL, got, listed.Protocol)
		}
		seen[listed.Protocol] = true
		for name, value := range listed.LoginParams() {
			set, own := fmt.Sprint(set.gate.LoginParams), settled(t, "ent "+listed.Key+"\ncas_url https://own.example.fr/cas\nprotocol cas1\nlogin_param "+name+" own")
			if set != "[{"+name+" "+value+"}]" || fmt.Sprint(own.gate.LoginParams) != "[{"+name+" own}]" ||
				own.gate.LoginURL != "https://own.example.fr/cas/login" || own.gate.CAS.Protocol != "cas1" {
				t.Errorf("%s: %s; with settings of one's own %s %s %v", listed.Key, set, own.gate.LoginURL, own.gate.CAS.Protocol, own.gate.LoginParams)
			}
			seen[name] = true
		}
	}
	if !seen["saml11"] || !seen["cas2"] || !seen["selection"] {
		t.Errorf("the list has only %v", seen)
	}
}
