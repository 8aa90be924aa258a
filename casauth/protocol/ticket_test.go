package protocol

import (
	"strings"
	"testing"
)

func TestTicketShape(t *testing.T) {
	for ticket, want := range map[string]bool{
		"ST-1":                           true,
		"ST-12-h7Kq-ent.example.fr":      true,
		"ST-0f8f--6162--c1":              true,
		"ST-a_b=c:d/e%3Af":               true,
		"ST-" + strings.Repeat("x", 509): true,
		"ST-" + strings.Repeat("x", 510): false,
		"ST-":                            false,
		"":                               false,
		"PT-1-a":                         false,
		"st-1":                           false,
		" ST-1":                          false,
		"ST-1\n":                         false,
		"ST-1 2":                         false,
		"ST-1&service=x":                 false,
		"ST-1#x":                         false,
		"ST-<b>":                         false,
		"ST-\"":                          false,
		"ST-'":                           false,
		"ST-é":                           false,
		"ST-\x00":                        false,
		"ST-\x7f":                        false,
	} {
		if got := TicketShape(ticket); got != want {
			t.Errorf("%q: %v", ticket, got)
		}
	}
	if !IsProxyTicket("PT-1") || IsProxyTicket("ST-1") || IsProxyTicket("PTX") {
		t.Error("IsProxyTicket")
	}
}

func TestParseProtocol(t *testing.T) {
	for name, path := range map[string]string{"cas1": "/validate", "cas2": "/serviceValidate", "cas3": "/p3/serviceValidate", "saml11": "/samlValidate"} {
		p, err := ParseProtocol(name)
		if err != nil || p.Path() != path {
			t.Errorf("%s: %q, %v", name, p.Path(), err)
		}
	}
	for _, name := range []string{"", "CAS2", "cas", "slo"} {
		_, err := ParseProtocol(name)
		if err == nil || !strings.Contains(err.Error(), "cas1, cas2, cas3 or saml11") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLoginURL(t *testing.T) {
	const s = "https://p.fr/é?a=1&b=%2F x#f"
	const encoded = "https%3A%2F%2Fp.fr%2F%C3%A9%3Fa%3D1%26b%3D%252F+x%23f"
	for _, x := range []struct {
		login  string
		renew  bool
		params []Param
		want   string
	}{
		{"https://cas/login", false, nil, "https://cas/login?service=" + encoded},
		{"https://cas/login", true, nil, "https://cas/login?service=" + encoded + "&renew=true"},
		{"https://cas/login?b=2&a=%41", false, nil, "https://cas/login?b=2&a=%41&service=" + encoded},
		{"https://cas/login?", false, nil, "https://cas/login?service=" + encoded},
		{"https://cas/login?a=1&", false, nil, "https://cas/login?a=1&service=" + encoded},
		{"https://cas/login#top", false, nil, "https://cas/login?service=" + encoded},
		{"https://cas/login", false, []Param{{"z", "1"}, {"a", "é&"}}, "https://cas/login?z=1&a=%C3%A9%26&service=" + encoded},
	} {
		if got := LoginURL(x.login, s, x.renew, x.params); got != x.want {
			t.Errorf("got  %s\nwant %s", got, x.want)
		}
	}
	params := make([]Param, 1, 4)
	LoginURL("https://cas/login", s, true, params)
	if params[:2][1] != (Param{}) {
		t.Error("the caller's parameters were written to")
	}
}
