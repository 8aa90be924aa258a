package caddymodule

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// patience is how long a check waits for one answer.
const patience = 10 * time.Second

// maxPage is how much of a page is looked at.
const maxPage = 256 << 10

// page is an answer, as far as it is looked at.
type webPage struct {
	status int
	header http.Header
	body   string
}

// get asks for address, once: no redirect is followed and no cookie kept.
func getPage(ctx context.Context, through http.RoundTripper, address, accept string) (webPage, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return webPage{}, err
	}
	r.Header.Set("Accept", accept)
	return fetch(r, through)
}

func fetch(r *http.Request, through http.RoundTripper) (webPage, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	r.Header.Set("User-Agent", "caddy-pronote-cas")
	res, err := through.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return webPage{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	return webPage{res.StatusCode, res.Header, string(body)}, err
}

// code is the status, as it is told.
func (p webPage) code() string { return strconv.Itoa(p.status) }

// redirect is where p leads on to from the address at; nil where it does not.
func (p webPage) redirect(at string) *url.URL {
	if p.status/100 != 3 {
		return nil
	}
	from, err := url.Parse(at)
	if err != nil || p.header.Get("Location") == "" {
		return nil
	}
	to, err := from.Parse(p.header.Get("Location"))
	if err != nil {
		return nil
	}
	return to
}

// fromGate reports whether p is how the gate says that nothing is there.
func (p webPage) fromGate() bool {
	return p.status == http.StatusNotFound && p.header.Get("Content-Type") == "application/problem+json" &&
		strings.Contains(p.body, `"reason":"not_found"`)
}

var (
	scripts    = regexp.MustCompile(`(?is)<script\b.*?</script>|<style\b.*?</style>|<!--.*?-->`)
	titleTag   = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	whitespace = regexp.MustCompile(`\s+`)
)

// text is what a person would read in p, and its tags, in lower case.
func (p webPage) text() string {
	shown := html.UnescapeString(scripts.ReplaceAllString(p.body, " "))
	return strings.ReplaceAll(strings.ToLower(whitespace.ReplaceAllString(shown, " ")), "’", "'")
}

// title is what p is called, or how it begins.
func (p webPage) title() string {
	said := ""
	if match := titleTag.FindStringSubmatch(p.body); match != nil {
		said = html.UnescapeString(match[1])
	} else if !strings.Contains(p.body, "<") {
		said = p.body
	}
	said = strings.TrimSpace(whitespace.ReplaceAllString(said, " "))
	if said == "" {
		return "–"
	}
	if short := []rune(said); len(short) > 80 {
		said = string(short[:80]) + "…"
	}
	return strings.ToValidUTF8(said, "")
}

// connect makes a new connection for address and returns its TLS state; nil for
// http. Nothing is asked on it.
func connect(ctx context.Context, through *http.Transport, address string) (*tls.ConnectionState, error) {
	fresh := through.Clone()
	fresh.DisableKeepAlives = true
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	connected := false
	var state *tls.ConnectionState
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		connected = true
		if conn, ok := info.Conn.(*tls.Conn); ok {
			now := conn.ConnectionState()
			state = &now
		}
		cancel()
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodHead, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := fresh.RoundTrip(r)
	if err == nil {
		_ = res.Body.Close()
	}
	if connected {
		return state, nil
	}
	return nil, err
}

func trusting(roots *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}

// failed is the finding where no answer came from side, which is public, cas or
// pronote. Where the words know no more of the kind, it is that of "broken".
func unanswered(side string, err error, pairs ...string) finding {
	kind, more := trouble(err)
	if _, ok := checkEnglish[side+"_"+kind]; !ok {
		kind = "broken"
	}
	return wrong(side+"_"+kind, append(append(pairs, "error", err.Error()), more...)...).last()
}

// trouble sorts why no answer came.
func trouble(err error) (kind string, more []string) {
	var (
		netErr  net.Error
		dns     *net.DNSError
		op      *net.OpError
		record  tls.RecordHeaderError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		chain   *tls.CertificateVerificationError
	)
	text := err.Error() // reverse_proxy hides what it wraps
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "proxy_error", nil
	case errors.As(err, &dns), strings.Contains(text, "no such host"):
		return "name", nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "not_yet", []string{"date", dayOf(invalid.Cert.NotBefore)}
		}
		return "expired", []string{"date", dayOf(invalid.Cert.NotAfter)}
	case errors.As(err, &host):
		return "other_name", []string{"names", strings.Join(host.Certificate.DNSNames, ", ")}
	case errors.As(err, &unknown) && errors.As(err, &chain) && len(chain.UnverifiedCertificates) > 0:
		leaf := chain.UnverifiedCertificates[0]
		issuer := []string{"issuer", leaf.Issuer.String()}
		switch {
		case leaf.Issuer.String() == leaf.Subject.String():
			return "self_signed", issuer
		case len(chain.UnverifiedCertificates) == 1:
			return "chain", issuer
		}
		return "authority", issuer
	case errors.As(err, &record):
		return "no_tls", nil
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout(), strings.Contains(text, "i/o timeout"):
		return "timeout", nil
	case strings.Contains(text, "refus"): // Windows says it in its own language
		return "refused", nil
	}
	return "broken", nil
}

// certificate judges how long the chain of state is good for. A certificate is late
// when a quarter of its life is left: by then Caddy, and any ACME client, has
// renewed it, also one that lives for days only.
func certificate(side, host string, state *tls.ConnectionState) finding {
	until, from := state.PeerCertificates[0].NotAfter, state.PeerCertificates[0].NotBefore
	if len(state.VerifiedChains) > 0 {
		for _, link := range state.VerifiedChains[0] {
			if link.NotAfter.Before(until) {
				until, from = link.NotAfter, link.NotBefore
			}
		}
	}
	left := time.Until(until)
	pairs := []string{"host", host, "days", strconv.Itoa(int(left.Hours() / 24)), "date", dayOf(until),
		"issuer", state.PeerCertificates[0].Issuer.String(), "tls", tls.VersionName(state.Version)}
	switch late := left < until.Sub(from)/4; {
	case late && left < 3*24*time.Hour:
		return wrong(side+"_ends", pairs...)
	case late && left < 21*24*time.Hour:
		return doubt(side+"_ends", pairs...)
	}
	return fine(side+"_certificate", pairs...)
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// isPrivate reports whether host means nothing on the Internet: an address of RFC
// 1918, RFC 4193 or of this machine, a name without a dot, or one of the endings
// that schools give their own networks.
func isPrivate(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
	}
	ending := host[strings.LastIndex(host, ".")+1:]
	switch strings.ToLower(ending) {
	case "local", "lan", "internal", "home", "intra", "intranet", "localdomain", "localhost":
		return true
	}
	return !strings.Contains(host, ".")
}
