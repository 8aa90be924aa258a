package caddymodule

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

// response is PRONOTE's answer on its way out. It changes header fields and
// streams the rest: a long poll or a download is never held back. It is one piece
// of memory for all that a request needs, which is felt at a thousand a second.
type response struct {
	caddyhttp.ResponseWriterWrapper
	placeholders                   // who it is for; a session makes pages private
	rewriter     *address.Rewriter // nil: no private addresses to hide
	hold         casauth.Hold
	cancel       context.CancelFunc // nil: nothing to cut while the answer is awaited
	cut          atomic.Bool        // the session ended meanwhile
	wrote        bool
	withheld     bool // what came after the session's end, before anything was written
}

// Cut implements casauth.Live.
func (w *response) Cut() {
	w.cut.Store(true)
	w.cancel()
}

// over reports whether the session ended while the answer was under way.
func (w *response) over() bool {
	if w.cancel == nil {
		return w.session != nil && w.session.Over()
	}
	return w.cut.Load()
}

// WriteHeader changes the header on its way, that of early hints (103) included.
func (w *response) WriteHeader(status int) {
	if w.withheld = w.withheld || !w.wrote && w.over(); w.withheld {
		return // reverse_proxy's 499 for a request that was cut; there is a better answer
	}
	if !w.wrote {
		w.dress(status)
		w.wrote = status >= 200 || status == http.StatusSwitchingProtocols
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if !w.wrote {
		if header := w.Header(); header["Content-Type"] == nil && header["Content-Encoding"] == nil {
			header.Set("Content-Type", http.DetectContentType(p)) // as net/http would, too late for dress
		}
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.withheld:
		return len(p), nil
	case w.over():
		return 0, context.Canceled
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom, so that a file goes out as fast as without us.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.withheld {
		return io.Copy(io.Discard, r)
	}
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController calls; the header leaves with it.
func (w *response) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.withheld {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// unsay takes back the header of an answer that was withheld: it is of somebody whose
// session has ended, and of another body than the one that is sent instead.
func (w *response) unsay() {
	for name := range w.Header() {
		switch name {
		case "Server", "Alt-Svc", "Strict-Transport-Security": // Caddy's own
		default:
			delete(w.Header(), name)
		}
	}
}

// finish dresses a header that net/http sends by itself when nobody has written.
func (w *response) finish() {
	if !w.wrote {
		w.dress(http.StatusOK)
	}
}

var noStore = []string{"no-store"}

// dress keeps pages of people with a session out of every cache, for PRONOTE
// writes credentials for one session into them, and hides private addresses.
func (w *response) dress(status int) {
	header := w.Header()
	if w.session != nil && mayBePage(status, header["Content-Type"]) {
		header["Cache-Control"] = noStore
	}
	if w.rewriter == nil {
		return
	}
	for _, name := range [...]string{"Location", "Content-Location", "Refresh", "Link", "Set-Cookie"} {
		for i, value := range header[name] {
			if public, private := w.rewriter.Header(name, value); private {
				header[name][i] = public
			}
		}
	}
}

// mayBePage reports whether a browser may show the answer as a page: one whose type
// is not said is looked into, by net/http or by the browser. What has no body tells a
// cache about an answer that it has, and is left alone.
func mayBePage(status int, types []string) bool {
	if len(types) == 0 || types[0] == "" {
		return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
	}
	return isHTML(types[0])
}

func isHTML(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return strings.EqualFold(media, "text/html") || strings.EqualFold(media, "application/xhtml+xml")
}
