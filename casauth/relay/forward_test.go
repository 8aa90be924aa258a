package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/relay"
)

// ent is the ENT's end of the wire: it keeps what was asked and answers.
type ent struct {
	asked  []*http.Request
	body   string // of the last request
	answer func(r *http.Request, body string) (status int, contentType, answer string, err error)
}

func (e *ent) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	e.asked, e.body = append(e.asked, r), string(body)
	status, contentType, answer, err := e.answer(r, e.body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

// says is an ent that answers always the same.
func says(status int, contentType, answer string) *ent {
	return &ent{answer: func(*http.Request, string) (int, string, string, error) { return status, contentType, answer, nil }}
}

func forwarding(t *testing.T, e http.RoundTripper) (*relay.Server, *memory) {
	store := newMemory()
	return node(t, store, func(c *relay.Config) {
		endpoints := map[string]string{}
		for _, name := range relay.Endpoints() {
			endpoints[name] = "https://cas.ent.example/cas/" + name
		}
		c.Forward = &relay.Forward{Endpoints: endpoints, Transport: e}
	}), store
}

var soapAction = "SOAPAction" // not as Go would spell it

const entTicket = "ST-6032-olCc0L2yNEBxSe6vKIPW-data4"

func TestTheENTIsAskedAboutThePublicService(t *testing.T) {
	e := says(200, "text/html", "no matter")
	s, _ := forwarding(t, e)
	for _, endpoint := range relay.Endpoints() {
		for spelled, service := range map[string]string{
			eleve + "?fd=1": public + "/eleve.html?fd=1",
			"HTTPS://Pronote.College.Example/eleve.html?a=b:c": "HTTPS://Pronote.College.Example/eleve.html?a=b:c", // as the ENT was told by PRONOTE
		} {
			c := call(endpoint, spelled, entTicket)
			c.Query += "&renew=true&pgtUrl=https://evil.example/&format=XML"
			s.Answer(t.Context(), c)
			r := e.asked[len(e.asked)-1]
			want, method := url.Values{"service": {service}, "ticket": {entTicket}, "renew": {"true"}}, "GET"
			if endpoint == relay.SAMLValidate {
				want, method = url.Values{"TARGET": {service}, "renew": {"true"}}, "POST"
				ticket, id, err := relay.ReadSAML([]byte(e.body))
				if ticket != entTicket || id != requestID || err != nil || r.Header[soapAction] == nil ||
					r.Header.Get("Content-Type") != "text/xml; charset=utf-8" || r.ContentLength != int64(len(e.body)) {
					t.Errorf("%s, %q, %v, %v", ticket, id, err, r.Header)
				}
			} else if e.body != "" || r.GetBody != nil || r.Body == http.NoBody {
				t.Errorf("%s: net/http may send the ticket twice", endpoint)
			}
			if got := r.URL.Query(); r.Method != method || got.Encode() != want.Encode() ||
				!strings.HasPrefix(r.URL.String(), "https://cas.ent.example/cas/"+endpoint+"?") {
				t.Errorf("%s: %s %s, want %v", endpoint, r.Method, r.URL, want)
			}
			if strings.Contains(r.URL.String()+e.body, "10.0.0.5") {
				t.Errorf("%s: the ENT learns the private address", endpoint)
			}
		}
	}
}

func TestAnAddressWithAQueryKeepsIt(t *testing.T) {
	e := says(200, "text/plain", "no\n\n")
	s := node(t, newMemory(), func(c *relay.Config) {
		c.Forward = &relay.Forward{Endpoints: map[string]string{relay.Validate: "https://cas.ent.example/validate?tenant=1#x"}, Transport: e}
	})
	s.Answer(t.Context(), call(relay.Validate, eleve, entTicket))
	if got := e.asked[0].URL.String(); got != "https://cas.ent.example/validate?tenant=1&service="+url.QueryEscape(public+"/eleve.html")+"&ticket="+entTicket {
		t.Error(got)
	}
	if got := s.Answer(t.Context(), call(relay.ServiceValidate, eleve, entTicket)); code(got.Refusal) != relay.InvalidRequest || len(e.asked) != 1 {
		t.Errorf("an endpoint that the ENT has not: %v", got.Refusal)
	}
}

// Only what can be the ENT's goes there, and only for PRONOTE's own services.
func TestWhatTheENTIsNotAskedAbout(t *testing.T) {
	e := says(200, "text/plain", "yes\nadmin\n")
	s, store := forwarding(t, e)
	ours := issue(t, s, pupil())
	json := call(relay.P3ServiceValidate, eleve, entTicket)
	json.Query += "&format=JSON"
	for name, c := range map[string]struct {
		call relay.Call
		want relay.Code
	}{
		"our own ticket":       {call(relay.Validate, eleve, ours), ""},
		"another service":      {call(relay.Validate, "https://evil.example/", entTicket), relay.InvalidService},
		"a lookalike":          {call(relay.Validate, private+".evil.example/", entTicket), relay.InvalidService},
		"our own logout":       {call(relay.Validate, public+"/pronote-cas/logout", entTicket), relay.InvalidService},
		"no ticket":            {call(relay.Validate, eleve, ""), relay.InvalidRequest},
		"another kind":         {call(relay.Validate, eleve, "TGT-1"), relay.InvalidTicketSpec},
		"markup":               {call(relay.Validate, eleve, "ST-<b>"), relay.InvalidTicketSpec},
		"a proxy ticket":       {call(relay.ServiceValidate, eleve, "PT-1"), relay.InvalidTicketSpec},
		"markup, proxy ticket": {call(relay.ProxyValidate, eleve, "PT-<b>"), relay.InvalidTicketSpec},
		"JSON":                 {json, relay.InvalidRequest},
	} {
		if got := s.Answer(t.Context(), c.call); code(got.Refusal) != c.want {
			t.Errorf("%s: %v, want %q", name, got.Refusal, c.want)
		}
	}
	if got := s.Answer(t.Context(), call(relay.Validate, eleve, ours)); code(got.Refusal) != relay.InvalidTicket {
		t.Errorf("our own, used: %v", got.Refusal)
	}
	if len(e.asked) != 0 {
		t.Errorf("the ENT was asked %d times", len(e.asked))
	}
	// And with no pass-through, nothing does.
	s = node(t, store)
	if got := s.Answer(t.Context(), call(relay.Validate, eleve, entTicket)); code(got.Refusal) != relay.InvalidTicket || got.Forwarded {
		t.Errorf("without pass-through: %v", got.Refusal)
	}
}

// What is no answer to the question that was asked never reaches PRONOTE.
func TestAnAnswerThatIsNoneIsNotPassedOn(t *testing.T) {
	now, echo, service := time.Now(), `InResponseTo="`+requestID+`"`, public+"/eleve.html"
	good := entSAML("samlp", "saml", service, echo, now)
	two := `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="x">` + entTicket + `</cas:authenticationFailure><cas:authenticationSuccess><cas:user>admin</cas:user></cas:authenticationSuccess></cas:serviceResponse>`
	for name, c := range map[string]struct {
		endpoint, body string
		status         int
		err            error
	}{
		"the ENT is down":             {relay.SAMLValidate, "", 0, errors.New("connection refused")},
		"an error with the ticket":    {relay.ServiceValidate, "", 0, fmt.Errorf("malformed response %q", entTicket)},
		"a login page":                {relay.SAMLValidate, "<!DOCTYPE html><html></html>", 200, nil},
		"a login page instead of XML": {relay.ServiceValidate, "<html></html>", 200, nil},
		"nothing":                     {relay.ServiceValidate, "", 200, nil},
		"a redirect":                  {relay.SAMLValidate, good, 302, nil},
		"an error with a success":     {relay.SAMLValidate, good, 500, nil},
		"for another service":         {relay.SAMLValidate, strings.ReplaceAll(good, service, "https://other.example/"), 200, nil},
		"for another recipient":       {relay.SAMLValidate, strings.Replace(good, `Recipient="`+service, `Recipient="https://other.example/`, 1), 200, nil},
		"to another request":          {relay.SAMLValidate, strings.Replace(good, requestID, "_other", 1), 200, nil},
		"of yesterday":                {relay.SAMLValidate, entSAML("samlp", "saml", service, echo, now.Add(-24*time.Hour)), 200, nil},
		"a DTD":                       {relay.SAMLValidate, "<!DOCTYPE x>" + good, 200, nil},
		"two documents":               {relay.SAMLValidate, good + good, 200, nil},
		"too long":                    {relay.SAMLValidate, good + strings.Repeat(" ", protocol.MaxAnswer), 200, nil},
		"two outcomes":                {relay.ServiceValidate, two, 200, nil},
		"another protocol":            {relay.SAMLValidate, "yes\nadmin\n", 200, nil},
		"another protocol, text":      {relay.Validate, good, 200, nil},
	} {
		s, _ := forwarding(t, &ent{answer: func(*http.Request, string) (int, string, string, error) { return c.status, "text/xml", c.body, c.err }})
		got := s.Answer(t.Context(), call(c.endpoint, eleve, entTicket))
		if code(got.Refusal) != relay.InternalError || got.Status != 200 || !got.Forwarded {
			t.Errorf("%s: %d %v", name, got.Status, got.Refusal)
			continue
		}
		if strings.Contains(got.Refusal.Error(), entTicket) || strings.Contains(string(got.Body), entTicket) {
			t.Errorf("%s: the ticket is repeated: %v %s", name, got.Refusal, got.Body)
		}
		_, err := protocol.Read(protocols[c.endpoint], got.Body, protocol.Context{Service: eleve, RequestID: requestID})
		if read, ok := err.(*protocol.Error); !ok || read.Outcome != protocol.Failed {
			t.Errorf("%s: a client reads %v in %s", name, err, got.Body)
		}
	}
}

func TestAnENTThatPutsTheTicketInItsCodeDoesNotGetItLogged(t *testing.T) {
	body := `<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationFailure code="` + entTicket + `">x</cas:authenticationFailure></cas:serviceResponse>`
	s, _ := forwarding(t, says(200, "text/xml", body))
	if got := s.Answer(t.Context(), call(relay.ServiceValidate, eleve, entTicket)); code(got.Refusal) != relay.InvalidTicket || strings.Contains(got.Refusal.Error(), entTicket) {
		t.Error(got.Refusal)
	}
}

// cut is an answer that breaks off after what it has said.
type cut struct {
	io.Reader
	closed bool
}

func (c *cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *cut) Close() error {
	c.closed = true
	return nil
}

// Of "lea.martin", "lea" may be all that has come, and is somebody else.
func TestAnAnswerThatBreaksOffIsNone(t *testing.T) {
	body := &cut{Reader: strings.NewReader("yes\nlea\n")}
	s, _ := forwarding(t, roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
	}))
	got := s.Answer(t.Context(), call(relay.Validate, eleve, entTicket))
	if code(got.Refusal) != relay.InternalError || string(got.Body) != "no\n\n" {
		t.Errorf("%v %q", got.Refusal, got.Body)
	}
	if !body.closed {
		t.Error("the connection to the ENT is never given back")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheENTHasTheTimeThatIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3 * time.Second
		s := node(t, newMemory(), func(c *relay.Config) {
			c.Forward = &relay.Forward{Timeout: limit, Endpoints: map[string]string{relay.Validate: "https://cas.ent.example/validate"},
				Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})}
		})
		start := time.Now()
		got := s.Answer(t.Context(), call(relay.Validate, eleve, entTicket))
		if waited := time.Since(start); code(got.Refusal) != relay.InternalError || waited != limit {
			t.Errorf("%v after %v", got.Refusal, waited)
		}
		if !errors.Is(got.Refusal, context.DeadlineExceeded) {
			t.Errorf("the log is not told that the ENT was too slow: %v", got.Refusal)
		}
	})
}

// A CAS server that binds tickets to the service to the byte.
func TestPassThroughAtARealServer(t *testing.T) {
	cas := castest.Start(t, castest.Options{RequireSOAPAction: true})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := node(t, newMemory(), func(c *relay.Config) {
		endpoints := map[string]string{}
		for _, name := range relay.Endpoints() {
			endpoints[name] = cas.URL + "/" + name
		}
		c.Forward = &relay.Forward{Endpoints: endpoints, Transport: transport}
	})
	for endpoint, p := range protocols {
		service := eleve + "?fd=1&x=é:é"
		service = strings.ReplaceAll(service, "é", "%C3%A9")
		ticket := cas.Ticket("camille.durand", strings.Replace(service, private, public, 1))
		for i := range 2 {
			got := s.Answer(t.Context(), call(endpoint, service, ticket))
			who, err := protocol.Read(p, got.Body, protocol.Context{Service: service, RequestID: requestID})
			if i == 0 && (err != nil || who.User != "camille.durand" || got.Refusal != nil) || i == 1 && (err == nil || got.Refusal == nil) {
				t.Errorf("%s, time %d: %q, %v, %v\n%s", endpoint, i, who.User, err, got.Refusal, got.Body)
			}
		}
	}
}
