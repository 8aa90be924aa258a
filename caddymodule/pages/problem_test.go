package pages

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestProblem(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/pronote/appelfonction/3/1/a", nil)
	r.Header.Set("Accept-Language", "en")
	w := httptest.NewRecorder()
	Problem(w, r, http.StatusUnauthorized, ProblemFields{
		Kind: LoginRequired, Code: "K7PW-2MH", Reason: "session_required", RetryAfter: time.Second,
		LoginURL: "https://cas.example/login?service=https%3A%2F%2Fa&b=<c>",
	})
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "about:blank", "title": "Login needed", "status": 401.0, "code": "K7PW-2MH", "reason": "session_required",
		"detail":    "You need to log in through the ENT, the school’s online portal, to go on.",
		"login_url": "https://cas.example/login?service=https%3A%2F%2Fa&b=<c>",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for key, value := range map[string]string{
		"Content-Type": "application/problem+json", "Www-Authenticate": "CAS", "Cache-Control": "no-store",
		"Vary": "Accept-Language", "Content-Language": "en", "X-Content-Type-Options": "nosniff", "Retry-After": "1",
		"Content-Length": strconv.Itoa(w.Body.Len()), "Location": "",
	} {
		if got := w.Header().Get(key); got != value {
			t.Errorf("%s: got %q, want %q", key, got, value)
		}
	}
	if strings.ContainsAny(w.Body.String(), "<>") {
		t.Error("markup in a body that a browser might sniff")
	}

	r = httptest.NewRequest(http.MethodHead, "/", nil)
	w = httptest.NewRecorder()
	Problem(w, r, 0, ProblemFields{Kind: BadRequest, Cause: CauseSemicolon})
	if w.Code != http.StatusBadRequest || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d with %d bytes", w.Code, w.Body.Len())
	}
	r.Method, w = http.MethodGet, httptest.NewRecorder()
	Problem(w, r, 0, ProblemFields{Kind: BadRequest, Cause: CauseSemicolon})
	for _, part := range []string{`"reason":"semicolon"`, "point-virgule", `"title":"Adresse incorrecte"`} {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("no %s in %s", part, w.Body)
		}
	}
}
