package castest_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

const service = "https://pronote.example/pronote/eleve.html?fd=1&x=a%20b"

// ask sends one validation and returns the recorded answer.
func ask(s *castest.Server, endpoint, service, ticket, more string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	if endpoint == "/samlValidate" {
		r := httptest.NewRequest(http.MethodPost, "/cas/samlValidate?TARGET="+url.QueryEscape(service), strings.NewReader(soap(ticket)))
		s.ServeHTTP(w, r)
		return w
	}
	q := "?service=" + url.QueryEscape(service) + "&ticket=" + url.QueryEscape(ticket) + more
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/cas"+endpoint+q, nil))
	return w
}

func soap(ticket string) string {
	return `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
		`<samlp:Request xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" MajorVersion="1" MinorVersion="1" RequestID="_r1" IssueInstant="2026-01-01T00:00:00Z">` +
		`<samlp:AssertionArtifact>` + ticket + `</samlp:AssertionArtifact></samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`
}

// outcome reduces an answer of any protocol to the user or the error code.
func outcome(t *testing.T, endpoint string, w *httptest.ResponseRecorder) string {
	t.Helper()
	body := w.Body.String()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, body)
	}
	switch endpoint {
	case "/validate":
		if body == "no\n\n" {
			return "no"
		}
		return strings.TrimSuffix(strings.TrimPrefix(body, "yes\n"), "\n")
	case "/samlValidate":
		return firstNonEmpty(firstText(t, body, "NameIdentifier"), firstWord(firstText(t, body, "StatusMessage")))
	}
	var doc struct {
		Success struct {
			User string `xml:"http://www.yale.edu/tp/cas user"`
		} `xml:"http://www.yale.edu/tp/cas authenticationSuccess"`
		Failure struct {
			Code string `xml:"code,attr"`
		} `xml:"http://www.yale.edu/tp/cas authenticationFailure"`
	}
	if err := xml.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return firstNonEmpty(doc.Success.User, doc.Failure.Code)
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func firstWord(s string) string { w, _, _ := strings.Cut(s, ":"); return w }

// firstText returns the text of the first element with the local name.
func firstText(t *testing.T, doc, local string) string {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(doc))
	for {
		tok, err := dec.Token()
		if err != nil {
			return ""
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Local == local {
			var text string
			if err := dec.DecodeElement(&text, &start); err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
}

var allEndpoints = []string{
	"/validate", "/serviceValidate", "/proxyValidate", "/p3/serviceValidate", "/p3/proxyValidate", "/samlValidate",
}

func TestTicketsAreValidOnceForTheirServiceOnly(t *testing.T) {
	for _, endpoint := range allEndpoints {
		t.Run(endpoint, func(t *testing.T) {
			s := castest.New(castest.Options{Services: []string{"https://pronote.example/"}})
			defer s.Close()
			expect := func(ticket, service, want string) {
				t.Helper()
				if endpoint == "/validate" && want != "camille.durand" {
					want = "no"
				}
				if got := outcome(t, endpoint, ask(s, endpoint, service, ticket, "")); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			ticket := s.Ticket("camille.durand", service)
			expect(ticket, service, "camille.durand")
			expect(ticket, service, "INVALID_TICKET")

			ticket = s.Ticket("camille.durand", service)
			expect(ticket, strings.Replace(service, "eleve", "Eleve", 1), "INVALID_SERVICE") // another byte, another service
			expect(ticket, service, "INVALID_TICKET")                                        // spent by the failure

			ticket = s.Ticket("camille.durand", service)
			expect(ticket, "https://elsewhere.example/", "INVALID_SERVICE")
			expect(ticket, service, "INVALID_TICKET")

			expect("ST-1-made-up", service, "INVALID_TICKET")
			expect("ST-1-made-up", "https://elsewhere.example/", "INVALID_SERVICE")
			expect("", service, "INVALID_REQUEST")
			expect(s.Ticket("camille.durand", service), "", "INVALID_REQUEST")
			if n := s.Counts().Validations[endpoint]; n != 10 {
				t.Errorf("%d validations counted, want 10", n)
			}
		})
	}
}

func TestTicketsDieAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := castest.New(castest.Options{})
		defer s.Close()
		young, old := s.Ticket("nadia.durand", service), s.Ticket("nadia.durand", service)
		time.Sleep(5*time.Minute - time.Second)
		if got := outcome(t, "/serviceValidate", ask(s, "/serviceValidate", service, young, "")); got != "nadia.durand" {
			t.Errorf("after 4:59: %s", got)
		}
		time.Sleep(time.Second)
		if got := outcome(t, "/serviceValidate", ask(s, "/serviceValidate", service, old, "")); got != "INVALID_TICKET" {
			t.Errorf("after 5:00: %s", got)
		}
	})
}

func TestProxyTicketsAreForProxyValidateOnly(t *testing.T) {
	s := castest.New(castest.Options{NewTicket: func() string { return "PT-1-x" }})
	defer s.Close()
	s.Ticket("karim.benali", service)
	if got := outcome(t, "/serviceValidate", ask(s, "/serviceValidate", service, "PT-1-x", "")); got != "INVALID_TICKET_SPEC" {
		t.Errorf("serviceValidate: %s", got)
	}
	if got := outcome(t, "/proxyValidate", ask(s, "/proxyValidate", service, "PT-1-x", "")); got != "karim.benali" {
		t.Errorf("proxyValidate: %s", got)
	}
}

func TestRenewNeedsFreshCredentials(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	browser := client(t)
	first := login(t, s, browser, "?service="+url.QueryEscape(service), "camille.durand")
	second := login(t, s, browser, "?service="+url.QueryEscape(service), "camille.durand") // by SSO
	third := login(t, s, browser, "?renew=true&service="+url.QueryEscape(service), "camille.durand")
	for _, c := range []struct{ name, ticket, want string }{
		{"typed", first, "camille.durand"}, {"SSO", second, "INVALID_TICKET"}, {"renewed", third, "camille.durand"},
	} {
		if got := outcome(t, "/serviceValidate", ask(s, "/serviceValidate", service, c.ticket, "&renew=true")); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

var hostile = castest.User{
	Login: "o'neil&<b>", Password: "x", Name: "O'Neil",
	Attributes: map[string][]string{"nom": {`<O'Neil> & "fils"`}, "roles": {"a", "b"}, "two words": {"é"}},
}

func TestAttributeStylesAreWellFormedAndKeepEveryValue(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape castest.Shape
		want  []string
		not   string
	}{
		{"nested", castest.Shape{}, []string{"<cas:attributes>", "<cas:roles>a</cas:roles>", "<cas:roles>b</cas:roles>", "<cas:two_words>é<", "<cas:isFromNewLogin>true<"}, "<nom"},
		{"flat", castest.Shape{Style: castest.Flat}, []string{"<cas:roles>a</cas:roles>"}, "attributes"},
		{"name and value", castest.Shape{Style: castest.NameValue}, []string{`<cas:attribute name="roles" value="b"/>`, `name="two words"`}, "<cas:roles"},
		{"Edifice", castest.Shape{Style: castest.UserAttributes}, []string{"<cas:userAttributes>", `<roles xmlns="">a</roles>`}, "<cas:roles"},
		{"none", castest.Shape{Style: castest.NoAttributes}, []string{"<cas:user>"}, "roles"},
		{"default namespace", castest.Shape{Prefix: castest.Omit}, []string{`<serviceResponse xmlns="http://www.yale.edu/tp/cas">`, "<roles>a</roles>"}, "cas:"},
		{"odd prefix", castest.Shape{Prefix: "sso"}, []string{"<sso:user>"}, "cas:"},
		{"proxies", castest.Shape{Proxies: []string{"https://p.example/?a&b"}}, []string{"<cas:proxy>https://p.example/?a&amp;b</cas:proxy>"}, "?a&b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := castest.New(castest.Options{Users: []castest.User{hostile}, Shape: c.shape})
			defer s.Close()
			w := ask(s, "/p3/serviceValidate", service, s.Ticket(hostile.Login, service), "")
			if got := outcome(t, "/p3/serviceValidate", w); got != hostile.Login {
				t.Errorf("user %q", got)
			}
			body := w.Body.String()
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("no %s in\n%s", want, body)
				}
			}
			if strings.Contains(body, c.not) {
				t.Errorf("%s in\n%s", c.not, body)
			}
		})
	}
}

func TestJSONIsGivenWhenAskedFor(t *testing.T) {
	s := castest.New(castest.Options{Users: []castest.User{hostile}})
	defer s.Close()
	var doc struct {
		ServiceResponse struct {
			AuthenticationSuccess struct {
				User       string
				Attributes map[string][]string
			}
			AuthenticationFailure struct{ Code string }
		}
	}
	ticket := s.Ticket(hostile.Login, service)
	for range 2 {
		if err := json.Unmarshal(ask(s, "/p3/serviceValidate", service, ticket, "&format=JSON").Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
	}
	r := doc.ServiceResponse
	if r.AuthenticationSuccess.User != hostile.Login || len(r.AuthenticationSuccess.Attributes["roles"]) != 2 || r.AuthenticationFailure.Code != "INVALID_TICKET" {
		t.Errorf("%+v", r)
	}
}

func TestSAMLAnswersHaveTheShapeAskedFor(t *testing.T) {
	const escaped = "https://pronote.example/pronote/eleve.html?fd=1&amp;x=a%20b"
	for _, c := range []struct {
		name      string
		shape     castest.SAMLShape
		want, not []string
	}{
		{"usual", castest.SAMLShape{}, []string{
			`<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol"`, `InResponseTo="_r1"`, `Recipient="` + escaped + `"`,
			"<Audience>" + escaped + "</Audience>", `<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion"`,
			`AttributeName="idPronote"`, "<AttributeValue>KT2AQ3UW4S98DPYX</AttributeValue>",
		}, []string{"<samlp:", "<saml:"}},
		{"prefixes", castest.SAMLShape{Prefix: "saml1p"}, []string{"<saml1p:Response ", "<saml1:Assertion ", "<saml1:NameIdentifier>"}, []string{"<Response", "<saml1p:Assertion"}},
		{"nothing bound", castest.SAMLShape{Recipient: castest.Omit, Audience: castest.Omit, InResponseTo: castest.Omit}, nil, []string{"Recipient", "Audience", "InResponseTo"}},
		{"bound to another", castest.SAMLShape{Recipient: "https://x.example/", Audience: "https://y.example/", InResponseTo: "_z"},
			[]string{`Recipient="https://x.example/"`, "<Audience>https://y.example/</Audience>", `InResponseTo="_z"`}, []string{"_r1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := castest.New(castest.Options{Shape: castest.Shape{SAML: c.shape}})
			defer s.Close()
			w := ask(s, "/samlValidate", service, s.Ticket("camille.durand", service), "")
			if got := outcome(t, "/samlValidate", w); got != "camille.durand" {
				t.Errorf("user %q", got)
			}
			for _, want := range c.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("no %s in\n%s", want, w.Body)
				}
			}
			for _, not := range c.not {
				if strings.Contains(w.Body.String(), not) {
					t.Errorf("%s in\n%s", not, w.Body)
				}
			}
		})
	}
}

func TestSkewMovesTheAnswerAndTheDateHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := castest.New(castest.Options{})
		defer s.Close()
		s.SetShape(castest.Shape{Skew: -2 * time.Minute})
		w := ask(s, "/samlValidate", service, s.Ticket("camille.durand", service), "")
		want := time.Now().Add(-2 * time.Minute).UTC()
		if got := w.Header().Get("Date"); got != want.Format(http.TimeFormat) {
			t.Errorf("Date %s", got)
		}
		if !strings.Contains(w.Body.String(), `NotBefore="`+want.Format("2006-01-02T15:04:05.000Z")+`"`) {
			t.Errorf("NotBefore in\n%s", w.Body)
		}
	})
}

func TestSAMLRequestsThatAreNoneAreRefused(t *testing.T) {
	s := castest.New(castest.Options{RequireSOAPAction: true})
	defer s.Close()
	ticket := s.Ticket("camille.durand", service)
	target := "/samlValidate?TARGET=" + url.QueryEscape(service)
	for name, body := range map[string]string{
		"empty": "", "not XML": "ST-1", "no namespace": "<Request><AssertionArtifact>" + ticket + "</AssertionArtifact></Request>",
		"cut": soap(ticket)[:300], "two tickets": strings.Replace(soap(ticket), "</samlp:Request>", "<samlp:AssertionArtifact>x</samlp:AssertionArtifact></samlp:Request>", 1),
		"too long": soap(strings.Repeat("x", 70_000)), "no SOAPAction": soap(ticket),
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, target, strings.NewReader(body)))
		if got := outcome(t, "/samlValidate", w); got != "INVALID_REQUEST" {
			t.Errorf("%s: %s", name, got)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(soap(ticket)))
	r.Header.Set("SOAPAction", "http://www.oasis-open.org/committees/security")
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if got := outcome(t, "/samlValidate", w); got != "camille.durand" {
		t.Errorf("a good request after the bad ones: %s", got)
	}
	if n := s.ValidationsOf(ticket); n != 2 { // without SOAPAction, and with; the others could not be read
		t.Errorf("%d validations of the ticket, want 2", n)
	}
}
