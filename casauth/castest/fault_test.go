package castest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

func TestFaultsReplaceTheAnswerAndLeaveTheTicket(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	c := client(t)
	ticket := s.Ticket("camille.durand", service)
	at := s.URL + "/serviceValidate?service=" + url.QueryEscape(service) + "&ticket=" + ticket
	for _, f := range []struct {
		name   string
		fault  castest.Fault
		status int
		body   string
	}{
		{"status", castest.Fault{Status: 502}, 502, ""},
		{"body", castest.Fault{Body: []byte("<html>portail</html>"), ContentType: "text/html"}, 200, "<html>portail</html>"},
		{"empty body", castest.Fault{Body: []byte{}}, 200, ""},
		{"both", castest.Fault{Status: 400, Body: []byte("no")}, 400, "no"},
		{"redirect", castest.Fault{Redirect: "https://elsewhere.example/"}, 302, ""},
	} {
		s.SetFault(f.fault)
		resp, body := get(t, c, at)
		if resp.StatusCode != f.status || body != f.body {
			t.Errorf("%s: %d %q", f.name, resp.StatusCode, body)
		}
		if got := resp.Header.Get("Location"); got != f.fault.Redirect {
			t.Errorf("%s: to %q", f.name, got)
		}
	}
	s.SetFault(castest.Fault{})
	if resp, _ := get(t, c, at); resp.StatusCode != http.StatusOK {
		t.Errorf("the ticket was spent by a fault: %d", resp.StatusCode)
	}
	if n := s.ValidationsOf(ticket); n != 6 {
		t.Errorf("%d validations counted, want 6", n)
	}
	if n := s.Counts(); n.TotalValidations() != 6 || n.Connections != 1 {
		t.Errorf("%+v", n)
	}
}

func TestDownClosesConnectionsUntilItIsUpAgain(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	c := client(t)
	s.SetFault(castest.Fault{Down: true})
	if resp, err := c.Get(s.URL + "/login"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("down, and yet %s", resp.Status)
	}
	s.SetFault(castest.Fault{})
	if resp, _ := get(t, c, s.URL+"/login"); resp.StatusCode != http.StatusOK {
		t.Errorf("up again: %s", resp.Status)
	}
}

func TestDelayIsTimeSpentOrTheClientsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := castest.New(castest.Options{})
		defer s.Close()
		s.SetFault(castest.Fault{Delay: 300 * time.Millisecond})
		began := time.Now()
		w := ask(s, "/serviceValidate", service, s.Ticket("camille.durand", service), "")
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("took %s", took)
		}
		if got := outcome(t, "/serviceValidate", w); got != "camille.durand" {
			t.Errorf("then: %s", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began = time.Now()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/validate", nil))
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("a client that left after 100 ms was served for %s", took)
		}
	})
}

func TestHangSendsHeadersThenNothing(t *testing.T) {
	s := castest.Start(t, castest.Options{})
	s.SetFault(castest.Fault{HangAfterHeaders: true})
	resp, err := client(t).Get(s.URL + "/serviceValidate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	s.Close() // ends what hangs
	if n, _ := io.Copy(io.Discard, resp.Body); n != 0 {
		t.Errorf("%d bytes", n)
	}
}

func TestGzipBombIsSmallOnTheWire(t *testing.T) {
	s := castest.New(castest.Options{})
	defer s.Close()
	s.SetFault(castest.Fault{GzipBomb: 8 << 20})
	w := ask(s, "/serviceValidate", service, "ST-1", "")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 64<<10 {
		t.Errorf("%d bytes, %v", w.Body.Len(), w.Header())
	}
	// A client that asks for gzip by itself unpacks it.
	started := castest.Start(t, castest.Options{})
	started.SetFault(castest.Fault{GzipBomb: 8 << 20})
	if _, body := get(t, client(t), started.URL+"/validate"); len(body) != 8<<20 {
		t.Errorf("unpacked: %d bytes", len(body))
	}
}

// Settings may change while requests run: the race detector is the judge.
func TestSettingsMayChangeWhileRequestsRun(t *testing.T) {
	s := castest.New(castest.Options{SLO: castest.SLO{Mode: castest.SLOOff}})
	defer s.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				ticket := s.Ticket("camille.durand", service)
				ask(s, "/samlValidate", service, ticket, "")
				s.SetFault(castest.Fault{Status: 503, Body: []byte("x")})
				ask(s, "/p3/serviceValidate", service, ticket, "")
				s.SetFault(castest.Fault{})
				s.SetShape(castest.Shape{Style: castest.Flat})
				s.SetSLO(castest.SLO{Mode: castest.SLOOff, Front: true})
				s.EndSessions("camille.durand")
				_, _, _ = s.Counts(), s.LastHeader(), s.LogoutsSent()
			}
		})
	}
	wg.Wait()
	if n := s.Counts().TotalValidations(); n != 800 {
		t.Errorf("%d validations, want 800", n)
	}
}

func TestOneTicketServedToManyAtOnceSucceedsOnce(t *testing.T) {
	s := castest.New(castest.Options{})
	defer s.Close()
	ticket := s.Ticket("camille.durand", service)
	yes := make(chan struct{}, 50)
	var wg sync.WaitGroup
	for range cap(yes) {
		wg.Go(func() {
			if ask(s, "/validate", service, ticket, "").Body.String() != "no\n\n" {
				yes <- struct{}{}
			}
		})
	}
	wg.Wait()
	if len(yes) != 1 {
		t.Errorf("%d successes", len(yes))
	}
}
