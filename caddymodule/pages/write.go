package pages

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed style.css
var stylesheet string

//go:embed page.html
var source string

var (
	// A browser hashes the style with its line ends made \n; a checkout on Windows
	// may have embedded others.
	style     = strings.ReplaceAll(stylesheet, "\r\n", "\n")
	page      = template.Must(template.New("page").Parse(source))
	styleHash = func() string {
		sum := sha256.Sum256([]byte(style))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}()
)

// Write answers with the page that p describes, in the language that r prefers.
// It sets every header of the answer, Retry-After and a 401's challenge among
// them, and leaves the body out for HEAD.
func Write(w http.ResponseWriter, r *http.Request, p Page) {
	p = p.known()
	t := speak(r)
	var body bytes.Buffer
	if err := page.Execute(&body, t.view(p)); err != nil {
		http.Error(w, http.StatusText(p.Status), p.Status)
		return
	}
	header := w.Header()
	common(header, t, p.Status, p.RetryAfter)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Content-Security-Policy", p.policy())
	if p.logout() || p.Kind == AskIdentifier {
		// Under no-referrer a browser posts "Origin: null", and the check that the
		// form came from here would have nothing to go by.
		header.Set("Referrer-Policy", "same-origin")
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = body.WriteTo(w) // a client that left needs no page
	}
}

// common sets what HTML and JSON answers share.
func common(header http.Header, t *tongue, status int, retryAfter time.Duration) {
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Language", t.tag)
	header.Add("Vary", "Accept-Language")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	if retryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((retryAfter+time.Second-1)/time.Second), 10))
	}
	// RFC 9110 §15.5.2: a 401 must carry a challenge.
	if status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" {
		header.Set("WWW-Authenticate", "CAS")
	}
}

// logout tells whether the page has the logout button.
func (p Page) logout() bool { return p.Kind == LogoutConfirm || p.Kind == SessionOpen }

// policy is the page's Content-Security-Policy: one style, nothing else.
func (p Page) policy() string {
	form := "'none'"
	switch {
	case p.logout():
		// Chromium holds every redirect that follows a post against form-action, and
		// from the ENT's logout it may go on to hosts that nobody here can know.
		form = "'self' https: http:"
	case p.Kind == AskIdentifier:
		form = "'self'"
	}
	ancestors := p.FrameAncestors
	if ancestors == "" || strings.ContainsFunc(ancestors, func(r rune) bool { return r == ';' || r == ',' || r < ' ' || r > '~' }) {
		ancestors = "'none'"
	}
	return "default-src 'none'; style-src " + styleHash + "; base-uri 'none'; form-action " + form +
		"; frame-ancestors " + ancestors
}
