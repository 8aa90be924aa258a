package relay_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// The form of PRONOTE's own request is not public.
func TestAValidationMayBeAskedInManyWays(t *testing.T) {
	service := "http:%2F%2F10.0.0.5:8088%2Feleve.html" // as PRONOTE encodes
	form := "application/x-www-form-urlencoded; charset=UTF-8"
	for name, c := range map[string]relay.Call{
		"GET":                    {Endpoint: relay.ServiceValidate, Method: "GET", Query: "service=" + service + "&ticket=TICKET"},
		"the other way round":    {Endpoint: relay.ServiceValidate, Method: "GET", Query: "ticket=TICKET&service=" + service},
		"pgtUrl is ignored":      {Endpoint: relay.ServiceValidate, Method: "GET", Query: "pgtUrl=https://x/&pgtUrl=y&ticket=TICKET&service=" + service},
		"format":                 {Endpoint: relay.ServiceValidate, Method: "GET", Query: "format=XML&ticket=TICKET&service=" + service},
		"renew=false":            {Endpoint: relay.ServiceValidate, Method: "GET", Query: "renew=false&ticket=TICKET&service=" + service},
		"form":                   {Endpoint: relay.P3ServiceValidate, Method: "POST", ContentType: form, Body: []byte("service=" + service + "&ticket=TICKET")},
		"form and query":         {Endpoint: relay.ProxyValidate, Method: "POST", ContentType: form, Query: "service=" + service, Body: []byte("ticket=TICKET")},
		"empty POST":             {Endpoint: relay.P3ProxyValidate, Method: "POST", Query: "service=" + service + "&ticket=TICKET"},
		"SOAP":                   {Endpoint: relay.SAMLValidate, Method: "POST", Query: "TARGET=" + service, ContentType: "text/xml", Body: []byte(soap(artifact("TICKET")))},
		"SOAP, any content type": {Endpoint: relay.SAMLValidate, Method: "POST", Query: "TARGET=" + service, ContentType: form, Body: []byte("\xEF\xBB\xBF" + soap(artifact("TICKET")))},
		"form at samlValidate":   {Endpoint: relay.SAMLValidate, Method: "POST", ContentType: form, Body: []byte("TARGET=" + service + "&SAMLart=TICKET")},
		"SAMLart":                {Endpoint: relay.SAMLValidate, Method: "GET", Query: "TARGET=" + service + "&SAMLart=TICKET"},
		"CAS 1":                  {Endpoint: relay.Validate, Method: "GET", Query: "service=" + service + "&ticket=TICKET"},
	} {
		s := node(t, newMemory())
		ticket := issue(t, s, pupil())
		c.Query = strings.ReplaceAll(c.Query, "TICKET", ticket)
		c.Body = []byte(strings.ReplaceAll(string(c.Body), "TICKET", ticket))
		if got := s.Answer(t.Context(), c); got.Refusal != nil || got.Status != 200 {
			t.Errorf("%s: %d %v", name, got.Status, got.Refusal)
		}
	}
}

// What is judged must be what is used; what cannot be read uses no ticket up.
func TestAValidationThatCannotBeReadSpendsNothing(t *testing.T) {
	service := "service=" + url.QueryEscape(eleve)
	form := "application/x-www-form-urlencoded"
	for name, c := range map[string]relay.Call{
		"no service":               {Method: "GET", Query: "ticket=TICKET"},
		"no ticket":                {Method: "GET", Query: service},
		"empty ticket":             {Method: "GET", Query: service + "&ticket="},
		"ticket twice":             {Method: "GET", Query: service + "&ticket=TICKET&ticket=TICKET"},
		"ticket and SAMLart":       {Method: "GET", Query: service + "&ticket=TICKET&SAMLart=TICKET"},
		"service twice":            {Method: "GET", Query: service + "&" + service + "&ticket=TICKET"},
		"service and TARGET":       {Method: "GET", Query: service + "&TARGET=x&ticket=TICKET"},
		"service twice, encoded":   {Method: "GET", Query: service + "&%73ervice=x&ticket=TICKET"},
		"renew twice":              {Method: "GET", Query: service + "&ticket=TICKET&renew=true&renew=false"},
		"format twice":             {Method: "GET", Query: service + "&ticket=TICKET&format=XML&format=JSON"},
		"unknown format":           {Method: "GET", Query: service + "&ticket=TICKET&format=YAML"},
		"malformed query":          {Method: "GET", Query: service + "&ticket=TICKET&x=%zz"},
		"semicolons":               {Method: "GET", Query: service + ";ticket=TICKET"},
		"HEAD":                     {Method: "HEAD", Query: service + "&ticket=TICKET"},
		"PUT":                      {Method: "PUT", Query: service + "&ticket=TICKET"},
		"twice, query and form":    {Method: "POST", Query: service + "&ticket=TICKET", ContentType: form, Body: []byte("ticket=TICKET")},
		"malformed form":           {Method: "POST", Query: service, ContentType: form, Body: []byte("ticket=TICKET&x=%zz")},
		"a body of another kind":   {Method: "POST", Query: service + "&ticket=TICKET", ContentType: "application/json", Body: []byte(`{"ticket":"TICKET"}`)},
		"a body that is too long":  {Method: "POST", Query: service + "&ticket=TICKET", ContentType: form, Body: []byte("x=" + strings.Repeat("x", relay.MaxBody))},
		"SOAP elsewhere":           {Method: "POST", Query: service, ContentType: "text/xml", Body: []byte(soap(artifact("TICKET")))},
		"SOAP and ticket":          {Endpoint: relay.SAMLValidate, Method: "POST", Query: service + "&ticket=TICKET", Body: []byte(soap(artifact("TICKET")))},
		"SOAP with a DTD":          {Endpoint: relay.SAMLValidate, Method: "POST", Query: service, Body: []byte("<!DOCTYPE x>" + soap(artifact("TICKET")))},
		"SOAP that is too long":    {Endpoint: relay.SAMLValidate, Method: "POST", Query: service, Body: []byte(soap(artifact("TICKET") + strings.Repeat(" ", relay.MaxBody)))},
		"JSON where there is none": {Endpoint: relay.SAMLValidate, Method: "POST", Query: service + "&format=JSON", Body: []byte(soap(artifact("TICKET")))},
	} {
		t.Run(name, func(t *testing.T) {
			s := node(t, newMemory())
			ticket := issue(t, s, pupil())
			if c.Endpoint == "" {
				c.Endpoint = relay.ServiceValidate
			}
			c.Query = strings.ReplaceAll(c.Query, "TICKET", ticket)
			c.Body = []byte(strings.ReplaceAll(string(c.Body), "TICKET", ticket))
			got := s.Answer(t.Context(), c)
			if code(got.Refusal) != relay.InvalidRequest || got.Status != 200 {
				t.Fatalf("%d %v", got.Status, got.Refusal)
			}
			if strings.Contains(string(got.Body), ticket) || strings.Contains(got.Refusal.Error(), ticket) {
				t.Errorf("the ticket is repeated: %s %v", got.Body, got.Refusal)
			}
			p := protocols[c.Endpoint]
			if _, err := protocol.Read(p, got.Body, protocol.Context{}); err == nil || !strings.Contains(err.Error(), "fail") {
				t.Errorf("a client reads %v in %s", err, got.Body)
			}
			if _, refusal := s.Redeem(t.Context(), ticket, eleve, false); refusal != nil {
				t.Errorf("the ticket was used up: %v", refusal)
			}
		})
	}
}

func TestRenewIsHeldAgainstTheTicket(t *testing.T) {
	s := node(t, newMemory())
	for _, fresh := range []bool{false, true} {
		for _, renew := range []string{"&renew", "&renew=", "&renew=true"} {
			g := pupil()
			g.Fresh = fresh
			c := call(relay.ServiceValidate, eleve, issue(t, s, g))
			c.Query += renew
			if got := s.Answer(t.Context(), c); (got.Refusal == nil) != fresh {
				t.Errorf("fresh %t, %s: %v", fresh, renew, got.Refusal)
			}
		}
	}
}

func TestUnknownEndpoints(t *testing.T) {
	s := node(t, newMemory())
	ticket := issue(t, s, pupil())
	for _, endpoint := range []string{"", "proxy", "ServiceValidate", "p3/validate", "p3/samlValidate", "../serviceValidate"} {
		if got := s.Answer(t.Context(), call(endpoint, eleve, ticket)); got.Status != 404 || got.Refusal == nil || len(got.Body) > 0 {
			t.Errorf("%q: %d %v", endpoint, got.Status, got.Refusal)
		}
	}
	for _, endpoint := range relay.Endpoints() {
		if got := s.Answer(t.Context(), call(endpoint, eleve, "ST-1")); got.Status != 200 {
			t.Errorf("%q: %d", endpoint, got.Status)
		}
	}
}

func TestRefusalsInEveryProtocol(t *testing.T) {
	for endpoint, p := range protocols {
		for want, c := range map[relay.Code]relay.Call{
			relay.InvalidTicketSpec: call(endpoint, eleve, "PT-1"),
			relay.InvalidTicket:     call(endpoint, eleve, "ST-1"),
			relay.InvalidService:    call(endpoint, private+"/parent.html", "TICKET"),
			relay.InternalError:     call(endpoint, eleve, "TICKET"),
		} {
			store := newMemory()
			s := node(t, store)
			ticket := issue(t, s, pupil())
			c.Query = strings.ReplaceAll(c.Query, "TICKET", ticket)
			c.Body = []byte(strings.ReplaceAll(string(c.Body), "TICKET", ticket))
			store.fails["Load"] = want == relay.InternalError
			got := s.Answer(t.Context(), c)
			if code(got.Refusal) != want || got.Status != 200 {
				t.Errorf("%s: %d %v, want %s", endpoint, got.Status, got.Refusal, want)
			}
			_, err := protocol.Read(p, got.Body, protocol.Context{Service: eleve, RequestID: requestID})
			read, ok := err.(*protocol.Error)
			if !ok || read.Outcome != protocol.Failed {
				t.Errorf("%s: a client reads %v in %s", endpoint, err, got.Body)
			}
			if p != protocol.CAS1 && !strings.Contains(string(got.Body), string(want)) {
				t.Errorf("%s: %s is not said in %s", endpoint, want, got.Body)
			}
			if strings.Contains(string(got.Body), "gone") || strings.Contains(string(got.Body), ticket) {
				t.Errorf("%s: the answer says too much: %s", endpoint, got.Body)
			}
		}
	}
}
