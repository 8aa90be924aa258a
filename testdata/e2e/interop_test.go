package e2e

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

// application stands where PRONOTE would: it is a client's origin, and hears logout messages.
type application struct {
	origin string
	heard  chan []string // the tickets of each logout message
}

func newApplication(t *testing.T) *application {
	app := &application{heard: make(chan []string, 16)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %s is no logout message (%v)", r.Method, r.URL, err)
			return
		}
		tickets, err := protocol.ReadLogout(r.Header.Get("Content-Type"), body)
		if err != nil {
			t.Errorf("logout message not understood: %v", err)
		}
		app.heard <- tickets
	}))
	t.Cleanup(server.Close)
	app.origin = server.URL
	return app
}

// refused checks that an answer was none, and why: outcome and code, if the protocol has codes.
func refused(t *testing.T, answer protocol.Answer, err error, want string) {
	t.Helper()
	var refusal *protocol.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("accepted: answer %+v, error %v", answer, err)
	}
	if answer.User != "" || len(answer.Attributes) > 0 {
		t.Errorf("a refusal comes with an identity: %+v", answer)
	}
	if got := strings.TrimSpace(string(refusal.Outcome) + " " + refusal.Code); got != want {
		t.Errorf("refused as %q (%v), want %q", got, refusal, want)
	}
}

// TestRealServersValidation logs in through the real form and validates by every
// protocol the server speaks: right, used, foreign and made-up tickets.
func TestRealServersValidation(t *testing.T) {
	forEachServer(t, func(t *testing.T, cas casServer) {
		app := newApplication(t)
		cas.start(t, app.origin)
		for _, speaks := range cas.speaks {
			t.Run(string(speaks), func(t *testing.T) {
				client := cas.client(t, speaks)
				visitor := newPerson(t, app.origin)
				service := app.origin + "/pronote/eleve.html?a=1&b=d%C3%A9j%C3%A0"

				ticket := cas.ticket(visitor, service)
				answer, err := client.Validate(t.Context(), service, ticket)
				if err != nil {
					t.Fatal(err)
				}
				if answer.User != pupil {
					t.Errorf("user %q, want %q", answer.User, pupil)
				}
				if speaks != protocol.CAS1 { // which has no attributes
					if got := answer.Attributes["idPronote"]; !slices.Equal(got, []string{pupilCode}) {
						t.Errorf("idPronote %q, want %q once", got, pupilCode)
					}
					groups := slices.Sorted(slices.Values(answer.Attributes["groups"]))
					if !slices.Equal(groups, []string{"timelords", "users"}) {
						t.Errorf("groups %q, want each value once", groups)
					}
				}

				// No code where the protocol has none.
				unknown, foreign := "fail INVALID_TICKET", "fail INVALID_SERVICE"
				switch speaks {
				case protocol.CAS1:
					unknown, foreign = "fail", "fail"
				case protocol.SAML11:
					unknown, foreign = "fail AuthnFailed", "fail AuthnFailed"
				}
				answer, err = client.Validate(t.Context(), service, ticket)
				refused(t, answer, err, unknown)
				answer, err = client.Validate(t.Context(), service, "ST-"+strings.Repeat("0", 61))
				refused(t, answer, err, unknown)

				ticket = cas.ticket(visitor, service)
				answer, err = client.Validate(t.Context(), app.origin+"/other", ticket)
				refused(t, answer, err, foreign)
				if speaks == protocol.CAS1 && cas.name == "django-cas-server" {
					return // the one case in which a ticket outlives the wrong service
				}
				answer, err = client.Validate(t.Context(), service, ticket)
				refused(t, answer, err, unknown)
			})
		}
	})
}

// TestRealServersValues reads values as the servers write them.
func TestRealServersValues(t *testing.T) {
	forEachServer(t, func(t *testing.T, cas casServer) {
		app := newApplication(t)
		cas.start(t, app.origin)
		client := cas.client(t, protocol.CAS3)
		visitor := newPerson(t, app.origin)
		validate := func(path string) (protocol.Answer, error) {
			service := app.origin + path
			return client.Validate(t.Context(), service, cas.ticket(visitor, service))
		}

		answer, err := validate("/byid/")
		if err != nil || answer.User != pupilCode || !slices.Equal(answer.Attributes["login"], []string{pupil}) {
			t.Errorf("identifier as user: %+v, %v", answer, err)
		}
		const accents = "Éléonore Ünal-Œuvré"
		if cas.name == "django-cas-server" {
			answer, err = validate("/")
			if err != nil || !slices.Equal(answer.Attributes["displayName"], []string{accents}) ||
				!slices.Equal(answer.Attributes["markup"], []string{"Tom & <Jerry>"}) {
				t.Errorf("escaped values: %+v, %v", answer, err)
			}
			return
		}
		answer, err = validate("/accents/")
		if err != nil || !slices.Equal(answer.Attributes["displayName"], []string{accents}) {
			t.Errorf("accents: %+v, %v", answer, err)
		}
		answer, err = validate("/multi/")
		if err != nil || !slices.Equal(answer.Attributes["classe"], []string{"6A", "6B", "6C"}) {
			t.Errorf("a list: %+v, %v", answer, err)
		}
		// LemonLDAP::NG prints values as they are, so whoever edits a name can write XML.
		answer, err = validate("/unescaped/")
		refused(t, answer, err, "malformed")
	})
}

// TestRealServersRenew asks for fresh credentials, at login and at validation.
func TestRealServersRenew(t *testing.T) {
	forEachServer(t, func(t *testing.T, cas casServer) {
		app := newApplication(t)
		cas.start(t, app.origin)
		service := app.origin + "/pronote/"
		visitor := newPerson(t, app.origin)
		fresh := cas.ticket(visitor, service)

		client := cas.client(t, protocol.CAS2)
		client.Renew = true
		if answer, err := client.Validate(t.Context(), service, fresh); err != nil || answer.User != pupil {
			t.Errorf("a ticket from the login form: %+v, %v", answer, err)
		}
		time.Sleep(1100 * time.Millisecond) // LemonLDAP::NG calls a login fresh for a second (mkconf.pl)
		for _, speaks := range cas.speaks {
			if speaks == protocol.SAML11 {
				continue // samlValidate knows no renew (CAS 3.0 §4.2): it is up to the login alone
			}
			client := cas.client(t, speaks)
			client.Renew = true
			answer, err := client.Validate(t.Context(), service, cas.ticket(visitor, service))
			if speaks == protocol.CAS1 || cas.name == "lemonldap" { // which answers in CAS 1's words whatever the protocol
				refused(t, answer, err, "fail")
			} else {
				refused(t, answer, err, "fail INVALID_TICKET")
			}
		}

		pg := visitor.open(protocol.LoginURL(cas.base+"/login", service, true, nil))
		if cas.name == "lemonldap" { // asks whether to go on first
			pg = visitor.submit(pg, pupil)
		}
		if !pg.asksForPassword() {
			t.Errorf("renew did not ask for the password again: %d at %s", pg.Status, pg.URL)
		}
	})
}

// TestRealServersGateway asks without wanting a form: there and back, with or without a ticket.
func TestRealServersGateway(t *testing.T) {
	forEachServer(t, func(t *testing.T, cas casServer) {
		app := newApplication(t)
		cas.start(t, app.origin)
		service := app.origin + "/pronote/"
		visitor := newPerson(t, app.origin)

		gateway := protocol.Param{Name: "gateway", Value: "true"} // LemonLDAP::NG knows no other value
		if pg := visitor.open(protocol.LoginURL(cas.base+"/login", service, false, []protocol.Param{gateway})); pg.URL.String() != service {
			t.Errorf("nobody logged in: at %s, want back at %s without a ticket", pg.URL, service)
		}
		cas.ticket(visitor, service)
		ticket := cas.ticket(visitor, service, gateway)
		answer, err := cas.client(t, protocol.CAS2).Validate(t.Context(), service, ticket)
		if err != nil || answer.User != pupil {
			t.Errorf("logged in: %+v, %v", answer, err)
		}
	})
}

// TestRealServersSingleLogout hears of a logout at the CAS server, by the ticket of the login.
func TestRealServersSingleLogout(t *testing.T) {
	forEachServer(t, func(t *testing.T, cas casServer) {
		app := newApplication(t)
		cas.start(t, app.origin)
		visitor := newPerson(t, app.origin)
		var tickets []string
		for _, speaks := range cas.speaks { // one service URL each: LemonLDAP::NG keeps one ticket for each
			service := app.origin + "/pronote/" + string(speaks) + ".html?x=1"
			ticket := cas.ticket(visitor, service)
			if _, err := cas.client(t, speaks).Validate(t.Context(), service, ticket); err != nil {
				t.Fatal(err)
			}
			tickets = append(tickets, ticket)
		}

		visitor.open(cas.base + "/logout")
		var heard []string
		for range tickets {
			select {
			case message := <-app.heard:
				heard = append(heard, message...)
			case <-time.After(10 * time.Second):
				t.Fatalf("%d logout messages of %d arrived", len(heard), len(tickets))
			}
		}
		slices.Sort(tickets)
		slices.Sort(heard)
		if !slices.Equal(heard, tickets) {
			t.Error("the logout messages do not name the tickets of the logins")
		}
	})
}
