package relay_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

func TestLoginParameters(t *testing.T) {
	for query, want := range map[string]relay.Login{
		"": {},
		// As PRONOTE writes it: ':' and '=' are not encoded.
		"service=http:%2F%2F10.0.0.5:8088%2Fmobile.eleve.html%3Ffd=1": {Service: "http://10.0.0.5:8088/mobile.eleve.html?fd=1"},
		"service=http%3A%2F%2Fx%2F%3Fa%3Db%26c%3Dd":                   {Service: "http://x/?a=b&c=d"},
		"TARGET=http:%2F%2Fx%2F":                                      {Service: "http://x/", ViaTARGET: true},
		"target=http:%2F%2Fx%2F":                                      {},
		"service=x&renew=true":                                        {Service: "x", Renew: true},
		"service=x&renew":                                             {Service: "x", Renew: true},
		"service=x&renew=false&gateway=true":                          {Service: "x", Gateway: true},
		// CAS 3.0 §2.1.1: both are not to be set; renew is the one that counts.
		"service=x&renew=true&gateway=true": {Service: "x", Renew: true},
		"gateway=true":                      {}, // nowhere to go back to
		"service=x&method=POST&warn=true":   {Service: "x"},
	} {
		if got, err := relay.ParseLogin(query); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", query, got, err, want)
		}
	}
}

// Two readers of a repeated parameter take two different ones.
func TestARepeatedLoginParameterIsRefused(t *testing.T) {
	for _, query := range []string{
		"service=a&service=a", "service=a&%73ervice=b", "service=a&TARGET=a", "TARGET=a&TARGET=b",
		"service=a&renew=true&renew=false", "service=a&gateway&gateway", "service=%zz", "service=a;service=b",
	} {
		if got, err := relay.ParseLogin(query); err == nil {
			t.Errorf("%s: %+v", query, got)
		}
	}
	if _, err := relay.ParseLogin("service=x?ticket=ST-secret%zz"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error quotes the query: %v", err)
	}
}

func TestDestination(t *testing.T) {
	s := services(t, "/", []string{private}, nil)
	for _, c := range []struct {
		service, ticket, want string
		target                bool
	}{
		{eleve, "ST-1", public + "/eleve.html?ticket=ST-1", false},
		{eleve + "?", "ST-1", public + "/eleve.html?ticket=ST-1", false},
		{eleve + "?fd=1", "ST-1", public + "/eleve.html?fd=1&ticket=ST-1", false},
		{eleve + "?fd=1&", "ST-1", public + "/eleve.html?fd=1&ticket=ST-1", false},
		{eleve + "?fd=1#top", "ST-1", public + "/eleve.html?fd=1&ticket=ST-1", false},
		{eleve + "#?", "ST-1", public + "/eleve.html?ticket=ST-1", false},
		{eleve, "ST-1", public + "/eleve.html?SAMLart=ST-1", true},
		{eleve + "?fd=1", "ST-1", public + "/eleve.html?fd=1&SAMLart=ST-1", true},
		{private, "ST-1", public + "/?ticket=ST-1", false},
		{eleve, "ST-a&b", public + "/eleve.html?ticket=ST-a%26b", false},
		{eleve + "?fd=1", "", public + "/eleve.html?fd=1", false}, // gateway, nobody logged in
		// Somebody else's ticket in the link would be the first of two, and PRONOTE might take it.
		{eleve + "?ticket=ST-evil&fd=1", "ST-1", public + "/eleve.html?fd=1&ticket=ST-1", false},
		{eleve + "?SAMLart=ST-evil", "ST-1", public + "/eleve.html?ticket=ST-1", false},
		{eleve + "?TICKET=ST-evil", "", public + "/eleve.html", false},
	} {
		got, ok := s.Destination(relay.Login{Service: c.service, ViaTARGET: c.target}, c.ticket)
		if !ok || got != c.want {
			t.Errorf("%s\n got %s, %t\nwant %s", c.service, got, ok, c.want)
		}
	}
}

func FuzzParseLogin(f *testing.F) {
	f.Add("service=http:%2F%2F10.0.0.5:8088%2Fmobile.eleve.html%3Ffd=1&renew=true")
	f.Add("TARGET=https:%2F%2Fpronote.college.example%2F&gateway=true")
	f.Add("service=a&service=b&TARGET=%zz")
	s := services(f, "/", []string{private}, nil)
	f.Fuzz(func(t *testing.T, query string) {
		login, err := relay.ParseLogin(query)
		if err != nil {
			if login != (relay.Login{}) {
				t.Errorf("%q: an error and %+v", query, login)
			}
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil || len(values["service"])+len(values["TARGET"]) > 1 {
			t.Errorf("%q was read", query)
		}
		if login.Renew && login.Gateway {
			t.Errorf("%q: renew and gateway", query)
		}
		if to, ok := s.Destination(login, "ST-1"); ok && (!strings.HasPrefix(to, public+"/") || strings.Count(to, "ST-1") < 1) {
			t.Errorf("%q goes to %q", query, to)
		}
	})
}
